"""The publisher to Kafka: an aiokafka producer behind a bounded queue.

What aiokafka 0.14 does, and what follows from it:
- An idempotent producer never expires a batch: it retries until the broker takes it. So giving up is ours.
- A batch that the broker refuses leaves a gap in the sequence numbers, and all that follows for that partition is
  refused as out of order (aiokafka issue 1017). So the producer is replaced and what was not acknowledged is sent
  again: a batch that arrives twice has the same identity and counts once.
- `stop()` waits for ever for a broker that is away. So `connection.stop` gives it a time.
"""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from types import TracebackType
from typing import Self

import pyarrow as pa
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidMessageError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from producers.publisher.base import Published, PublisherError
from producers.publisher.connection import check_topics, connect, stop
from producers.publisher.figures import PublisherFigures
from producers.publisher.messages import Facts, Message, Messages, Part, Publication, split
from schemas.events import EventData, to_message
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.topics import Bulk, Topics

BUDGET_BYTES = 64 << 20
"""Rows and messages that may wait for Kafka; beyond it rows are given up, facts and marks still go."""
BUDGET_MESSAGES = 10_000
"""Messages and publications that may wait; beyond it everything is given up."""
ATTEMPTS = 5
_RETRY_S = 0.2
_STOP_S = 5.0
_REFUSED_FOR_GOOD = (
    InvalidMessageError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)


def new_producer_id() -> str:
    """Random, and long enough that no two producers share one."""
    return secrets.token_hex(8)


class KafkaPublisher:
    """See Publisher. Call `start` before anything else, and `close` at the end; `async with` sees to both."""

    def __init__(
        self,
        bootstrap: str,
        topics: Topics,
        run_id: str,
        *,
        source: str,
        security: KafkaSecurity = PLAINTEXT,
        budget_bytes: int = BUDGET_BYTES,
        producer_id: str | None = None,
    ) -> None:
        """`producer_id` is random, unless somebody who is to know it gives one that is."""
        self._bootstrap = bootstrap
        self._security = security
        self._topics = topics
        self._source = source
        self._budget_bytes = budget_bytes
        self._producer_id = producer_id or new_producer_id()
        self._client_id = f"loadflame-{self._producer_id}"
        self._messages = Messages(topics, run_id, self._producer_id)
        self._inbox: deque[Publication | Message] = deque()
        self._arrived = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._bytes = 0
        self._deliveries: dict[asyncio.Task[None], Message] = {}
        self._given_up: set[asyncio.Task[None]] = set()
        self._renewal = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._sending: asyncio.Task[None] | None = None
        self._published = Published()
        self._moved_s = time.monotonic()

    @property
    def producer_id(self) -> str:
        """See Publisher."""
        return self._producer_id

    def figures(self) -> PublisherFigures:
        """What may be told of it to whoever watches."""
        waiting = len(self._inbox) + len(self._deliveries)
        return PublisherFigures(self._published, waiting, self._bytes, time.monotonic() - self._moved_s)

    async def start(self, timeout_s: float = 10.0) -> None:
        """Connect and check the topics. Raises PublisherError when Kafka or a topic is not there as it must be."""
        try:
            async with asyncio.timeout(timeout_s):
                self._producer = await connect(self._bootstrap, self._client_id, security=self._security)
                await check_topics(self._producer, self._topics, self._bootstrap)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._stop_producer()
            raise PublisherError(
                f"Kafka does not answer at {self._bootstrap}; start it, or name another one with --broker"
            ) from error
        except PublisherError:
            await self._stop_producer()
            raise
        self._sending = asyncio.create_task(self._send_all())

    async def __aenter__(self) -> Self:
        """Start. Raises PublisherError."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Let go of the connections, whatever happened; after `close` there is nothing left to do."""
        await self.close(_STOP_S)

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
        if self._bytes + rows.nbytes > self._budget_bytes and rows.num_rows:
            publication = publication.without_rows()
        self._take(publication, publication.rows.nbytes)

    def announce(self, event: EventData) -> None:
        """See Publisher."""
        message = to_message(event, source=self._source, time_us=time.time_ns() // 1000)
        name = self._topics.name(event.topic)
        self._take(Message(name, None, message.key, message.headers, message.value, 0, is_batch=False), 0)

    async def flush(self, timeout_s: float) -> Published:
        """See Publisher."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), timeout_s)
        if self._sending is not None and self._sending.done():
            self._sending.result()  # only a mistake of ours ends it: let it be seen
        if not self._quiet.is_set():
            self._give_up(f"not acknowledged within {timeout_s:g} s")
        return self._published

    async def close(self, timeout_s: float) -> Published:
        """See Publisher."""
        published = await self.flush(timeout_s)
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending, *self._given_up}, timeout=_STOP_S)
            self._sending = None
        await self._stop_producer()
        return published

    def _take(self, work: Publication | Message, size: int) -> None:
        if self._sending is None or len(self._inbox) + len(self._deliveries) >= BUDGET_MESSAGES:
            self._lose(work, "more than may wait for Kafka")
            return
        if self._quiet.is_set():
            self._moved_s = time.monotonic()
        self._bytes += size
        self._inbox.append(work)
        self._arrived.set()
        self._quiet.clear()

    async def _send_all(self) -> None:
        """Turn what was handed over into messages, in order, and start a delivery for each."""
        while True:
            await self._arrived.wait()
            while self._inbox:
                work = self._inbox[0]
                if isinstance(work, Message):
                    self._start_delivery(work)
                else:
                    # In a thread: compressing 20,000 rows takes some 20 ms, for which the schedule must not wait.
                    parts = await asyncio.to_thread(split, work.rows, work.facts)
                    if not self._inbox or self._inbox[0] is not work:
                        continue  # given up meanwhile
                    self._bytes -= work.rows.nbytes
                    for message in self._messages.number(work, parts):
                        if isinstance(message, Part):
                            self._lose(message, "too much at once, or too large for a message")
                        else:
                            self._start_delivery(message)
                self._inbox.popleft()
            self._arrived.clear()
            self._note_quiet()

    def _start_delivery(self, message: Message) -> None:
        self._bytes += len(message.value)
        task = asyncio.create_task(self._deliver(message))
        self._deliveries[task] = message
        task.add_done_callback(self._delivered)

    def _delivered(self, task: asyncio.Task[None]) -> None:
        message = self._deliveries.pop(task, None)
        if message is None:
            return  # given up before
        self._bytes -= len(message.value)
        self._moved_s = time.monotonic()
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            self._lose(message, f"refused by Kafka: {type(error).__name__}")
        elif message.is_batch:
            self._published = self._published.with_acknowledged(message.rows)
        self._note_quiet()

    async def _deliver(self, message: Message) -> None:
        """Send until acknowledged. Raises the last error when Kafka refuses it for good."""
        attempts = 0
        while True:
            producer = self._producer
            assert producer is not None, "deliveries start after start()"
            try:
                acknowledged = await producer.send(
                    message.topic,
                    message.value,
                    key=message.key,
                    partition=message.partition,
                    headers=message.headers,
                )
                await acknowledged
            except KafkaTimeoutError:
                continue  # the client's own buffer is full: Kafka is away or slow
            except _REFUSED_FOR_GOOD:
                raise
            except KafkaError as error:
                if error.retriable:  # only without idempotence: the client gave up after its request timeout
                    await asyncio.sleep(_RETRY_S)
                    continue
                attempts += 1
                if attempts == ATTEMPTS:
                    raise
                await self._renew(producer)
            else:
                return

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        """Replace a producer that failed, once for all deliveries that found it so; waits while Kafka is away."""
        async with self._renewal:
            if self._producer is not broken:
                return
            await stop(broken)
            while True:
                await asyncio.sleep(_RETRY_S)
                with contextlib.suppress(KafkaError, OSError):
                    self._producer = await connect(self._bootstrap, self._client_id, security=self._security)
                    return

    def _give_up(self, why: str) -> None:
        """Count as lost all that is not acknowledged, and stop trying."""
        for work in self._inbox:
            self._lose(work, why)
        self._inbox.clear()
        for task, message in list(self._deliveries.items()):
            self._lose(message, why)
            del self._deliveries[task]
            self._given_up.add(task)
            task.cancel()
        self._bytes = 0
        self._quiet.set()

    def _lose(self, what: Publication | Message | Part, why: str) -> None:
        if isinstance(what, Publication):
            self._published = self._published.with_lost(what.rows.num_rows + what.rows_dropped, why)
        elif isinstance(what, Part) or what.is_batch:
            self._published = self._published.with_lost(what.rows, why)

    def _note_quiet(self) -> None:
        if not self._inbox and not self._deliveries:
            self._quiet.set()

    async def _stop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop(producer)
