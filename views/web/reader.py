"""Questions to the store, asked in threads of their own: a query never holds up the event loop."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Concatenate, ParamSpec, TypeVar

from clickhouse_connect.driver.client import Client

from views.web.judged import Judged

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
_KEPT = 16
_LAST_WORDS = timedelta(minutes=1)
"""After a run's end its checks are told, and once more when a producer says its last words later than others."""


def _is_final(judged: Judged) -> bool:
    """Whether nothing more is to come: all producers have said what they sent, or had the time to."""
    ended_at = judged.run.ended_at
    told = {check.name: check.ok for check in judged.report.checks}
    return told.get("I1") is not None or (ended_at is not None and datetime.now(UTC) - ended_at > _LAST_WORDS)


class Reader:
    """Asks the store; `connect` gives a client, which one thread at a time may use. Close it when done."""

    def __init__(self, connect: Callable[[], Client], *, threads: int = THREADS) -> None:
        self._connect = connect
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="page")
        self._mine = threading.local()
        self._clients: list[Client] = []
        self._judged: OrderedDict[str, Judged] = OrderedDict()
        self._judging: dict[str, asyncio.Future[Judged]] = {}

    async def ask(self, question: Callable[Concatenate[Client, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `question(client, ...)` in a thread. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: question(self._client(), *args, **kwargs)
        )

    async def judged(self, run: str) -> Judged:
        """The report of a run and what it rests on: made once for all who ask meanwhile, and kept once it has ended."""
        if run in self._judged:
            self._judged.move_to_end(run)
            return self._judged[run]
        if run not in self._judging:
            judging = self._judging[run] = asyncio.ensure_future(self.ask(Judged.of, run))
            # By itself: whoever asked may have gone by then, and others wait for it.
            judging.add_done_callback(lambda done: done.cancelled() or done.exception())
            judging.add_done_callback(lambda _: self._judging.pop(run, None))
        found = await asyncio.shield(self._judging[run])
        if _is_final(found):
            self._judged[run] = found
            while len(self._judged) > _KEPT:
                self._judged.popitem(last=False)
        return found

    def close(self) -> None:
        """Wait for what is being asked, and close every client."""
        self._pool.shutdown(cancel_futures=True)
        for client in self._clients:
            client.close()

    def _client(self) -> Client:
        found: Client | None = getattr(self._mine, "client", None)
        if found is None:
            found = self._mine.client = self._connect()
            self._clients.append(found)
        return found
