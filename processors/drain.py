"""When is a run over *and* stored? Asked of the store, so that a worker that was started again knows it too."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from processors.records import Place
from schemas.events import EventData, ProducerEnded, RunEnded, RunStarted
from sinks.errors import StoreError
from sinks.store import Store


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
    partitions end, which takes Kafka up to a second, so it is asked as soon as the run is over.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        ask: Callable[[Callable[[Store, str], bool], Store, str], Awaitable[bool]],
        ends: Callable[[], Coroutine[Any, Any, Mapping[Place, int]]],
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._ask = ask
        self._ends = ends
        self._until: asyncio.Task[Mapping[Place, int]] | None = None

    def on_revoked(self) -> None:
        """The partitions change, and with them where they end."""
        if self._until is not None:
            self._until.cancel()
        self._until = None

    async def is_done(self, reached: Callable[[Place], Awaitable[int | None]], *, idle: bool) -> bool:
        """Whether the run is over, stored and worked off; `idle`: nothing is open, waiting or held in the worker.

        While the store is away nobody knows, so it is not. Raises StoreError when to ask again cannot help.
        """
        try:
            return await self._is_done(reached, idle=idle)
        except StoreError as error:
            if not error.retriable:
                raise
            return False

    async def _is_done(self, reached: Callable[[Place], Awaitable[int | None]], *, idle: bool) -> bool:
        if self._until is None or (self._until.done() and (self._until.cancelled() or self._until.exception())):
            if await self._ask(is_over, self._store, self._run_id):
                self._until = asyncio.create_task(self._ends())
            return False
        until = self._until
        if not (idle and until.done() and await self._ask(is_stored, self._store, self._run_id)):
            return False
        if until is not self._until:
            return False  # the partitions changed while the store was asked
        offsets = [(await reached(place), end) for place, end in until.result().items()]
        return all(offset is not None and offset >= end for offset, end in offsets)
