"""A publisher that keeps everything in memory: for tests, and for a run whose outcome nobody else needs."""

import secrets

import pyarrow as pa

from producers.clock import Clock, SteadyClock
from producers.publisher.base import Published
from producers.publisher.messages import Facts, Message, Messages, Publication, split
from producers.publisher.skew import Skew
from schemas.batches import Batch, BatchHeader
from schemas.codec import decode
from schemas.events import EventData, to_message
from schemas.topics import Bulk, Topics


class MemoryPublisher:
    """See Publisher. Messages are made as for Kafka; `reachable = False` loses them, as a broker that is away does."""

    def __init__(
        self, topics: Topics | None = None, run_id: str = "run-1", *, source: str = "loadflame/memory"
    ) -> None:
        self._topics = topics or Topics()
        self._source = source
        self._producer_id = secrets.token_hex(8)
        self._messages = Messages(self._topics, run_id, self._producer_id)
        self._published = Published()
        self._closed = False
        self.clock: Clock = SteadyClock()
        self.skew = Skew()
        self.reachable = True
        self.sent: list[Message] = []
        self.events: list[EventData] = []

    @property
    def producer_id(self) -> str:
        """See Publisher."""
        return self._producer_id

    @property
    def batches(self) -> list[Batch]:
        """The batches that arrived, read back from their bytes."""
        batches = []
        for message in self.sent:
            if message.is_batch:
                header = BatchHeader.from_kafka(self._topics.kind(message.topic), message.headers)
                batches.append(decode(header, message.value))
        return batches

    def publish(
        self,
        topic: Bulk,
        window: int,
        rows: pa.RecordBatch,
        facts: Facts,
        *,
        final: bool,
        goodbye: bool = False,
    ) -> None:
        """See Publisher."""
        publication = Publication(topic, window, rows, facts, final, goodbye)
        if self._closed:
            return
        for message in self._messages.number(publication, split(rows, facts)):
            if isinstance(message, Message) and self.reachable:
                self.sent.append(message)
                self._published = self._published.with_acknowledged(message.rows)
            else:
                self._published = self._published.with_lost(message.rows, "not reachable")

    def announce(self, event: EventData) -> None:
        """See Publisher."""
        message = to_message(event, source=self._source, time_us=self.clock.now_us())
        if self._closed or not self.reachable:
            return
        self.events.append(event)
        name = self._topics.name(event.topic)
        self.sent.append(Message(name, None, message.key, message.headers, message.value, 0, is_batch=False))

    async def flush(self, timeout_s: float) -> Published:
        """See Publisher."""
        del timeout_s
        return self._published

    async def close(self, timeout_s: float) -> Published:
        """See Publisher."""
        self._closed = True
        return await self.flush(timeout_s)
