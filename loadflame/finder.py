"""Findings while a run is on, and with the verdict when it is over: looked for in the store, beside the worker and
never in its way.

A look builds the report, as `loadflame report` does, in a process of its own, and is to take a twentieth of the time at
most. Whether there is reason for one is asked here, in a thread with a client of its own. What a look finds is held
against what was told before, which the store knows; so a worker that was started again, or another one, goes on where
the last one was.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

import structlog
from clickhouse_connect.driver.client import Client

from loadflame.looked import Ending, Look, Stored, ending_of, is_all_said, stored_of
from processors.desk import Desk
from processors.drain import is_over, is_stored
from schemas.events import EventData
from sinks.clickhouse import ClickHouseStore
from sinks.errors import StoreError
from views.runs import RunRow, list_runs

P = ParamSpec("P")
T = TypeVar("T")
_log = structlog.get_logger()
POLL_S = 5.0
REST = 20.0
"""After a look a run is left alone for so many times as long as that took."""
NEWEST = 8
"""Of the runs in a store so many are looked after."""
LATE_S = 3600.0
"""For so long after its end a run is looked at again when a batch comes late."""
AGAIN_S = 1.0
FINISH_S = 30.0
"""Who waits for a run to be stored gives up after a minute: findings are to be told well before."""
PATIENCE_S = 120.0
"""For so long after its end all of a run is waited for; what a dead producer had will not come."""


class Eyes:
    """A thread with a client of its own, in which the store is read; to be entered, and left when nobody asks."""

    def __init__(self, open_client: Callable[[], Client]) -> None:
        self._open_client = open_client
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="findings")
        self._store: ClickHouseStore | None = None

    async def see(self, question: Callable[Concatenate[ClickHouseStore, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `question(store, ...)` there. Raises what it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: question(self._opened(), *args, **kwargs))

    def _opened(self) -> ClickHouseStore:
        if self._store is None:
            self._store = ClickHouseStore(self._open_client())
        return self._store

    def __enter__(self) -> Self:
        """Nothing is opened before somebody asks."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Wait for a look that is being taken, and let go of the store."""
        self._thread.shutdown(cancel_futures=True)
        if self._store is not None:
            self._store.close()


@dataclass(slots=True)
class _Looked:
    """The last look at a run: what there was of it, and what was found."""

    stored: Stored
    names: tuple[str, ...]


class Looks(Protocol):
    """Who builds reports, and says what there is to be told of them: `loadflame.looks_apart.LooksApart`."""

    async def look_at(self, run_id: str, stored: Stored, *, before: Collection[str]) -> Look:
        """A run that is on. See `loadflame.looks.look_at`."""

    async def check(self, run_id: str) -> Sequence[EventData]:
        """See `loadflame.looks.check`."""

    async def last_look(self, run_id: str, stored: Stored, *, is_checked_anew: bool) -> Sequence[EventData]:
        """See `loadflame.looks.last_look`."""

    async def rest(self) -> None:
        """There is nothing to look at just now."""


@dataclass(slots=True)
class StoreFinder:
    """See `processors.desk.Finder`. An error is logged, and the worker goes on: it joins, whatever is found.

    `now_s` is any steady clock, `wall_s` the Unix time.
    """

    desk: Desk
    eyes: Eyes
    looks: Looks
    poll_s: float = POLL_S
    now_s: Callable[[], float] = time.monotonic
    wall_s: Callable[[], float] = time.time
    _looked: dict[str, _Looked] = field(default_factory=dict)
    _due_s: dict[tuple[str, bool], float] = field(default_factory=dict)
    _settled: dict[str, Ending] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def work(self) -> None:
        """See Finder."""
        while True:
            await asyncio.sleep(self.poll_s)
            if self.desk.is_ours:
                await _unharmed(self.look())

    async def finish(self, run_id: str) -> None:
        """See Finder. As often as it takes while the store is away, and for so long as whoever waits has patience."""
        try:
            async with asyncio.timeout(FINISH_S):
                while not await _unharmed(self._settle(run_id, waits=False)):  # noqa: ASYNC110  a store has no event for it
                    await asyncio.sleep(AGAIN_S)
        except TimeoutError:
            _log.warning("the worker ends before all findings of the run are told", run=run_id)

    async def look(self) -> None:
        """Look at those of the newest runs that may have something new. Raises StoreError."""
        runs = await self.eyes.see(_newest)
        for run in runs:
            due_s = self._due_s.get((run.id, run.ended_at is None))
            if due_s is not None and self.now_s() < due_s:
                continue
            if run.ended_at is None:
                await _unharmed(self._look_at(run.id))
            elif (ended_s := self.wall_s() - run.ended_at.timestamp()) < LATE_S:
                await _unharmed(self._settle(run.id, waits=ended_s < PATIENCE_S))
        known = {run.id for run in runs}
        self._due_s = {key: due_s for key, due_s in self._due_s.items() if key[0] in known}
        self._looked = {run: looked for run, looked in self._looked.items() if run in known}
        self._settled = {run: ending for run, ending in self._settled.items() if run in known}
        async with self._looking:
            await self.looks.rest()

    async def _look_at(self, run_id: str) -> None:
        """A run that is on: not again before something more is joined, and the last look lies far enough behind."""
        async with self._looking:
            last = self._looked.get(run_id)
            stored = await self.eyes.see(stored_of, run_id)
            if not stored.windows or (last and last.stored == stored):
                return
            with self._rested(run_id, is_on=True):
                look = await self.looks.look_at(run_id, stored, before=last.names if last else ())
                await self.desk.tell(look.events)
                self._looked[run_id] = _Looked(stored, look.names)

    async def _settle(self, run_id: str, *, waits: bool) -> None:
        """A run that has ended: what came of it, unless that was said of what is stored now.

        Its checks are told and stored before the rest, for the report rests on them.
        """
        async with self._looking:
            ending = await self.eyes.see(_ending, run_id, self._settled.get(run_id), waits=waits)
            if ending is None:
                return
            if not await self.eyes.see(is_all_said, run_id, ending.stored):
                with self._rested(run_id, is_on=False):
                    checks = await self.looks.check(run_id)
                    await self.desk.tell(checks)
                    news = await self.looks.last_look(run_id, ending.stored, is_checked_anew=bool(checks))
                    await self.desk.tell(news)
            self._settled[run_id] = ending

    @contextlib.contextmanager
    def _rested(self, run_id: str, *, is_on: bool) -> Iterator[None]:
        """A look inside, after which a run is left alone; also after one that failed, which may be due to the run. A
        run that ends meanwhile is looked at all the same: somebody waits for what came of it.
        """
        began_s = self.now_s()
        try:
            yield
        finally:
            ended_s = self.now_s()
            self._due_s[run_id, is_on] = ended_s + REST * (ended_s - began_s)


async def _unharmed(look: Coroutine[Any, Any, None]) -> bool:
    """Take a look; False when the store is away, and one may look again."""
    try:
        await look
    except StoreError as error:
        _log.warning("findings are told later", error=str(error))
        return not error.retriable
    except Exception as error:  # noqa: BLE001  any: what a look meets is no reason to end a worker
        _log.exception("findings could not be told; the worker goes on", error=str(error))
    return True


def _newest(store: ClickHouseStore) -> list[RunRow]:
    return list_runs(store.client, most=NEWEST)


def _ending(store: ClickHouseStore, run_id: str, settled: Ending | None, *, waits: bool) -> Ending | None:
    """How much there is; None when nothing came since, or, where one `waits`, something is to come."""
    if ending_of(store, run_id) == settled or (waits and not (is_over(store, run_id) and is_stored(store, run_id))):
        return None
    return ending_of(store, run_id)  # not before it is all there
