"""Deliver a message, whatever it takes: an aiokafka producer that is replaced when it breaks.

What aiokafka 0.14 does, and what follows from it:
- An idempotent producer never expires a batch: it retries until the broker takes it. So giving up is the caller's.
- A batch that the broker refuses leaves a gap in the sequence numbers, and all that follows for that partition is
  refused as out of order (aiokafka issue 1017). So the producer is replaced and what was not acknowledged is sent
  again: a batch that arrives twice has the same identity and counts once.
- `stop()` waits for ever for a broker that is away. So `connection.stop` gives it a time.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidMessageError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import RecordMetadata

from producers.publisher.base import PublisherError
from producers.publisher.connection import check_topics, connect, stop
from producers.publisher.messages import Message
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.topics import Topics

ATTEMPTS = 5
_RETRY_S = 0.2
_LOG_APPEND_TIME = 1
_REFUSED_FOR_GOOD = (
    InvalidMessageError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)


@dataclass(frozen=True, slots=True)
class Delivered:
    """An acknowledgement: the performance counter around the round trip, and the broker's Unix time in milliseconds.

    The broker's time is None where it keeps the producer's (CreateTime).
    """

    began_ns: int
    ended_ns: int
    broker_ms: int | None


class Client:
    """Connected by `start`, until `stop`. Deliveries may run side by side."""

    def __init__(self, bootstrap: str, client_id: str, security: KafkaSecurity = PLAINTEXT) -> None:
        self.bootstrap = bootstrap
        self._client_id = client_id
        self._security = security
        self._renewal = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None

    async def start(self, timeout_s: float, topics: Topics | None = None) -> None:
        """Connect, and check the topics. Raises PublisherError when Kafka or a topic is not there as it must be."""
        try:
            async with asyncio.timeout(timeout_s):
                self._producer = await connect(self.bootstrap, self._client_id, security=self._security)
                if topics is not None:
                    await check_topics(self._producer, topics, self.bootstrap)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise PublisherError(
                f"Kafka does not answer at {self.bootstrap}; start it, or name another one with --broker"
            ) from error
        except PublisherError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Let go of the connections, in bounded time."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop(producer)

    async def partitions(self) -> dict[str, set[int]]:
        """The partitions of every topic, by its name. Raises KafkaError, OSError.

        Of all topics: to ask for one by name would create it on a broker that does so, with a count of its own.
        """
        assert self._producer is not None, "not started"
        cluster = await self._producer.client.fetch_all_metadata()
        return {topic: set(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}

    async def deliver(self, message: Message) -> Delivered:
        """Send until acknowledged. Raises the last error when Kafka refuses it for good."""
        attempts = 0
        while True:
            producer = self._producer
            assert producer is not None, "not started"
            began_ns = time.perf_counter_ns()
            try:
                acknowledged = await producer.send(
                    message.topic,
                    message.value,
                    key=message.key,
                    partition=message.partition,
                    headers=message.headers,
                )
                metadata = await acknowledged
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
                return Delivered(began_ns, time.perf_counter_ns(), _broker_ms(metadata))

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        """Replace a producer that failed, once for all deliveries that found it so; waits while Kafka is away."""
        async with self._renewal:
            if self._producer is not broken:
                return
            await stop(broken)
            while True:
                await asyncio.sleep(_RETRY_S)
                with contextlib.suppress(KafkaError, OSError):
                    self._producer = await connect(self.bootstrap, self._client_id, security=self._security)
                    return


def _broker_ms(metadata: RecordMetadata) -> int | None:
    return int(metadata.timestamp) if metadata.timestamp_type == _LOG_APPEND_TIME else None
