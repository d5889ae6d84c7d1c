"""When is a run over *and* stored? Asked of the store, so that a worker that was started again knows it too."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import structlog

from processors.records import Place
from schemas.events import EventData, ProducerEnded, RunEnded, RunStarted
from sinks.errors import StoreError
from sinks.store import Store

_log = structlog.get_logger()
_TELL_S = 10.0


def is_over(store: Store, run_id: str) -> bool:
    """Whether the run has ended, and all of its producers after their last batch."""
    events = store.read_events(run_id)
    expected = next((event.producers for event in events if isinstance(event, RunEnded)), None)
    return expected is not None and sum(isinstance(event, ProducerEnded) for event in events) >= expected


def is_stored(store: Store, run_id: str) -> bool:
    """Whether all that Kafka acknowledged to the producers of a run is visible, and joined.

    Batches that became dead letters can never be visible: they are taken off.
    """
    events = store.read_events(run_id)
    visible = store.count_batches(run_id)
    ended = [event for event in events if isinstance(event, ProducerEnded)]
    missing = sum(max(0, event.batches_acknowledged - visible.get(event.producer_id, 0)) for event in ended)
    letters = store.count_dead_letters(run_id, since_us=_started_us(events))
    if missing > letters.batches + letters.unknown:
        return False
    return all(window.covered >= window.visible for window in store.read_coverage(run_id).values())


def _started_us(events: list[EventData]) -> int:
    return min((event.started_at_us for event in events if isinstance(event, RunStarted)), default=0)


class Drain:
    """Watches one run; `ask` runs a question to the store in the thread that the store belongs to.

    What the store holds is not all: a worker before us may have been killed between storing and announcing. So
    everything that was in Kafka when the run was over must have been worked off, too. `ends` says where this worker's
    partitions end, which takes Kafka up to a second, so it is asked as soon as the run is over. What a run that is over
    still waits for is logged every ten seconds.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        ask: Callable[[Callable[[Store, str], bool], Store, str], Awaitable[bool]],
        ends: Callable[[], Coroutine[Any, Any, Mapping[Place, int]]],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._ask = ask
        self._ends = ends
        self._now_s = now_s
        self._told_s: float | None = None
        self._until: asyncio.Task[Mapping[Place, int]] | None = None

    def on_revoked(self) -> None:
        """The partitions change, and with them where they end."""
        if self._until is not None:
            self._until.cancel()
        self._until = None

    async def is_done(self, reached: Callable[[Place], Awaitable[int | None]], *, busy: str) -> bool:
        """Whether the run is over, stored and worked off; `busy`: what is open, waiting or held in the worker, if any.

        While the store is away nobody knows, so it is not. Raises StoreError when to ask again cannot help.
        """
        try:
            awaited = await self._awaited(reached, busy)
        except StoreError as error:
            if not error.retriable:
                raise
            awaited = f"the store: {error}"
        if awaited:
            self._tell(awaited)
        return not awaited

    def _tell(self, awaited: str) -> None:
        if self._told_s is None or self._now_s() - self._told_s < _TELL_S:
            return
        self._told_s = self._now_s()
        _log.warning("the run is over, and not all of it is worked off", run=self._run_id, awaited=awaited)

    async def _awaited(self, reached: Callable[[Place], Awaitable[int | None]], busy: str) -> str:
        """What is waited for; empty when all is done."""
        if self._until is None or (self._until.done() and (self._until.cancelled() or self._until.exception())):
            if not await self._ask(is_over, self._store, self._run_id):
                return "the end of the run"
            if self._told_s is None:
                self._told_s = self._now_s()
            self._until = asyncio.create_task(self._ends())
        until = self._until
        if busy or not until.done():
            return busy or "Kafka, to say where its partitions end"
        if not await self._ask(is_stored, self._store, self._run_id):
            return "batches that Kafka has and the store has not, or windows that are not joined"
        if until is not self._until:
            return "partitions, which changed hands while the store was asked"
        offsets = {place: (await reached(place), end) for place, end in until.result().items()}
        short = {place: which for place, which in offsets.items() if which[0] is None or which[0] < which[1]}
        return ", ".join(f"{place.topic}/{place.partition} at {at} of {end}" for place, (at, end) in short.items())
