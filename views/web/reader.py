"""Questions to the store, asked in threads of their own: a query never holds up the event loop."""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from clickhouse_connect.driver.client import Client

from views.queries import fetch
from views.web.judged import Judged
from views.web.more_queries import KNOWN

P = ParamSpec("P")
T = TypeVar("T")
Known = dict[str, int]

THREADS = 4
REST = 4
"""The report of a run that is on is not made again for so many times as long as making it took."""
_KEPT = 16
_FURTHER = {"windows", "minutes"}
"""What a run that is on changes all the time."""


def _known(client: Client, run: str) -> Known:
    (row,) = fetch(client, KNOWN, run=run).to_pylist()
    return dict(row)


@dataclass(frozen=True, slots=True)
class _Made:
    """A report, what was known of its run before it was made, and until when it will do while the run is on."""

    judged: Judged
    known: Known
    rests_until_s: float

    def will_do(self, known: Known, now_s: float) -> bool:
        changed = {part for part, value in known.items() if self.known[part] != value}
        return not changed or (bool(known["live"]) and changed <= _FURTHER and now_s < self.rests_until_s)


class Reader:
    """Asks the store; `connect` gives a client, which one thread at a time may use. Close it when done."""

    def __init__(
        self, connect: Callable[[], Client], *, threads: int = THREADS, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._connect = connect
        self._now_s = now_s
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="page")
        self._mine = threading.local()
        self._clients: list[Client] = []
        self._judged: OrderedDict[str, _Made] = OrderedDict()
        self._judging: dict[str, asyncio.Future[Judged]] = {}

    async def ask(self, question: Callable[Concatenate[Client, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `question(client, ...)` in a thread. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: question(self._client(), *args, **kwargs)
        )

    async def judged(self, run: str) -> Judged:
        """The report of a run and what it rests on: made once for all who ask meanwhile, and kept until something of
        the run changes; while it only gets on, for a rest at least. One that was broken off may be heard of again.
        """
        known = await self.ask(_known, run)
        kept = self._judged.get(run)
        if kept is not None and kept.will_do(known, self._now_s()):
            self._judged.move_to_end(run)
            return kept.judged
        if run not in self._judging:
            judging = self._judging[run] = asyncio.ensure_future(self._made(run, known))
            # By itself: whoever asked may have gone by then, and others wait for it.
            judging.add_done_callback(lambda done: done.cancelled() or done.exception())
            judging.add_done_callback(lambda _: self._judging.pop(run, None))
        return await asyncio.shield(self._judging[run])

    async def _made(self, run: str, known: Known) -> Judged:
        """What was `known` beforehand is kept with it: what comes while it is made has it made again."""
        began_s = self._now_s()
        found = await self.ask(Judged.of, run)
        made_s = self._now_s()
        self._judged[run] = _Made(found, known, made_s + REST * (made_s - began_s))
        self._judged.move_to_end(run)
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
