"""Where findings are handed in: one worker of several has the desk, and it tells them to Kafka, then to the store.

Findings are made from the store, by whoever starts the worker: this room joins, and knows nothing of what it means. The
worker that has the topic of runs, which has one partition, makes them; Kafka sees to it that there is one, and another
when it is gone.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import structlog

from processors.records import Place
from schemas.batches import Headers
from schemas.events import EventData, to_message
from schemas.topics import Topics
from sinks.errors import StoreError
from sinks.store import Store

_log = structlog.get_logger()
SOURCE = "loadflame/process"

Send = Callable[[str, int | None, bytes | None, bytes, Headers], Coroutine[Any, Any, None]]
Ask = Callable[..., Coroutine[Any, Any, Any]]


class Desk(Protocol):
    """What whoever makes findings is given. Both are to be used on the worker's own loop."""

    @property
    def is_ours(self) -> bool:
        """Whether this worker is the one that tells findings just now."""

    async def tell(self, events: Sequence[EventData]) -> None:
        """Send events, then store them; they are both when this returns. Raises StoreError when trying is vain."""


class Finder(Protocol):
    """Makes findings beside a worker, and never in its way."""

    async def work(self) -> None:
        """Look again and again, for ever; cancelled when the worker ends."""

    async def finish(self, run_id: str) -> None:
        """Tell the findings of a run that is over and stored; the worker ends after it. Raises nothing."""


class WorkerDesk:
    """See Desk. `send` waits for Kafka's acknowledgement, `ask` calls a function in the thread that the store has,
    `places` says which partitions are this worker's. A store that is away is tried again after `again_s`.
    """

    def __init__(
        self,
        topics: Topics,
        send: Send,
        store: Store,
        ask: Ask,
        places: Callable[[], set[Place]],
        *,
        again_s: float = 1.0,
    ) -> None:
        self._topics = topics
        self._send = send
        self._store = store
        self._ask = ask
        self._places = places
        self._again_s = again_s

    @property
    def is_ours(self) -> bool:
        """See Desk."""
        return Place(self._topics.name("runs"), 0) in self._places()

    async def tell(self, events: Sequence[EventData]) -> None:
        """See Desk.

        In this order: what was sent and not stored as the worker was killed is found again, and told again. The other
        way round it would be in the store, and nobody would ever be told.
        """
        now_us = time.time_ns() // 1000
        for event in events:
            message = to_message(event, source=SOURCE, time_us=now_us)
            await self._send(self._topics.name(event.topic), None, message.key, message.value, message.headers)
        while events:
            try:
                await self._ask(self._store.write_events, events, [now_us] * len(events))
            except StoreError as error:
                if not error.retriable:
                    raise
                _log.warning("findings are stored later", error=str(error))
                await asyncio.sleep(self._again_s)
            else:
                return
