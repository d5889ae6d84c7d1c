"""The spool of a running producer: filled while Kafka is away, drained as it comes back.

Beside a load, draining takes its time, for what it costs is taken from the load's schedule: measured with aiokafka
0.14, 0.08 ms of the event loop for a message of 4 KB and 2.6 ms for one of 512 KiB. So while it lasts, draining takes
some 8% of a core at most. Once somebody waits for the end of it (`hurry`), it goes as fast as Kafka takes it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog
from aiokafka.errors import KafkaError

from producers.publisher.alarm import SpoolAlarm
from producers.publisher.base import Published, PublisherError
from producers.publisher.client import Client
from producers.publisher.leftovers import CHUNK_BYTES, CHUNK_MESSAGES, deliver_in_order, folders_in, send_left_behind
from producers.publisher.messages import Message
from producers.publisher.spool import Spool, SpoolHeldError, SpoolPlace, Waiting, broker_of

SHARE_LIVE, SHARE_LEFT = 0.08, 0.02
"""Of a core, for the messages of this process and for what earlier ones left, which is in less of a hurry."""
_MESSAGE_S, _BYTE_S = 80e-6, 5e-9
_DISK_RETRY_S = 1.0
_CLOSE_S = 5.0
_log = structlog.get_logger()


class Backlog:
    """Messages of one producer that wait on disk. All methods are called from the event loop's thread."""

    def __init__(self, place: SpoolPlace, name: str, client: Client, on_sent: Callable[[], None]) -> None:
        """`on_sent` is called whenever some of it is sent."""
        self.hurry = asyncio.Event()
        self._place = place
        self._spool = Spool(place, name, broker=client.bootstrap)
        self._client = client
        self._on_sent = on_sent
        self._alarm = SpoolAlarm(place.folder)
        self._filled = asyncio.Event()
        self._published = Published()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._spool.waiting.messages

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return self._spool.bytes

    @property
    def published(self) -> Published:
        """What came of what was put here; a message counts as spooled until it is deleted."""
        return self._published.with_spooled(self._spool.waiting.batches, self._spool.waiting.rows)

    async def put(self, message: Message) -> bool:
        """Put a message on disk; False when the disk does not take it, which is logged."""
        try:
            await asyncio.to_thread(self._spool.append, message)
        except OSError as error:
            self._alarm.refused(error)
            return False
        self._alarm.taken()
        self._filled.set()
        return True

    async def drain(self) -> None:
        """Send what comes here, first in first out, for ever; while Kafka is away, that waits for it."""
        while True:
            await self._filled.wait()
            try:
                messages = await asyncio.to_thread(self._spool.peek, CHUNK_BYTES, CHUNK_MESSAGES)
            except OSError as error:
                self._alarm.unreadable(error)
                await asyncio.sleep(_DISK_RETRY_S)
                continue
            outcomes = await deliver_in_order(self._client, messages)
            damaged, self._spool.damaged = self._spool.damaged, Waiting()
            await asyncio.to_thread(self._spool.drop)
            for message, outcome in zip(messages, outcomes, strict=True):
                if message.is_batch and isinstance(outcome, KafkaError):
                    why = f"refused by Kafka: {type(outcome).__name__}"
                    self._published = self._published.with_lost(message.rows, why)
                elif message.is_batch:
                    self._published = self._published.with_acknowledged(message.rows)
            if damaged.batches:
                self._published = self._published.with_lost(damaged.rows, "damaged on disk", batches=damaged.batches)
            if self.is_empty:
                self._filled.clear()
            self._on_sent()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.hurry.wait(), _cost_s(messages) / SHARE_LIVE)

    async def send_left_behind(self) -> None:
        """Send, once, what earlier processes left for this Kafka. Trouble with it is logged, and the rest stays."""

        async def pace(messages: Sequence[Message]) -> None:
            await asyncio.sleep(_cost_s(messages) / SHARE_LEFT)

        try:
            for folder in await asyncio.to_thread(folders_in, self._place.folder):
                with contextlib.suppress(SpoolHeldError, FileNotFoundError):
                    if await asyncio.to_thread(broker_of, folder) != self._client.bootstrap:
                        continue
                    done = await send_left_behind(self._client, folder, pace)
                    _log.info(
                        "sent what an earlier process had spooled",
                        spool=folder.name,
                        batches=done.sent.batches,
                        rows=done.sent.rows,
                        refused=done.refused.messages,
                    )
        except (PublisherError, KafkaError, OSError, ValueError) as error:
            _log.warning("what earlier processes spooled was not sent; see `loadflame spool`", why=str(error))

    async def close(self) -> None:
        """Let go of it; what waits stays on disk, and is told."""
        with contextlib.suppress(OSError, TimeoutError):  # it stays as it is, and is sent all the same
            await asyncio.wait_for(asyncio.to_thread(self._spool.close), _CLOSE_S)
        if not self.is_empty:
            self._alarm.left_behind(self.published, self._client.bootstrap)


def _cost_s(messages: Sequence[Message]) -> float:
    """What sending these takes of the event loop, about."""
    return len(messages) * _MESSAGE_S + sum(len(message.value) for message in messages) * _BYTE_S
