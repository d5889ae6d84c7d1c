"""An aiokafka producer as it is used here: started, checked against the topic table, stopped in bounded time."""

import asyncio
import contextlib

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from producers.publisher.base import PublisherError
from schemas.topics import BULK, Topics

_STOP_S = 2.0
_TOPIC_S = 3.0
_REQUEST_TIMEOUT_MS = 10_000
# One record batch must stay under the topics' max.message.bytes (1 MiB); a message of ours has at most 512 KiB.
_RECORD_BATCH_BYTES = 768 << 10


async def connect(bootstrap: str, client_id: str) -> AIOKafkaProducer:
    """A started idempotent producer. Raises KafkaError or OSError; the caller bounds the time."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        enable_idempotence=True,
        acks="all",
        max_batch_size=_RECORD_BATCH_BYTES,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
    )
    try:
        await producer.start()
    except BaseException:
        await stop(producer)
        raise
    return producer


async def check_topics(producer: AIOKafkaProducer, topics: Topics, bootstrap: str) -> None:
    """Raise PublisherError unless both bulk topics are there with the partition count of the settings."""
    for kind in BULK:
        name = topics.name(kind)
        try:
            async with asyncio.timeout(_TOPIC_S):
                found = len(await producer.partitions_for(name))
        except (KafkaError, TimeoutError) as error:
            raise PublisherError(
                f"Kafka at {bootstrap} has no topic {name}; start `loadflame process` or `loadflame load` first, "
                "which create the topics"
            ) from error
        if found != topics.partitions:
            raise PublisherError(
                f"topic {name} has {found} partitions where the settings say {topics.partitions}; "
                f"set LOADFLAME_PARTITIONS={found}, or take another LOADFLAME_TOPIC_PREFIX"
            )


async def stop(producer: AIOKafkaProducer) -> None:
    """Stop a producer in bounded time, also when its broker is away and its flush would wait for ever."""
    stopping = asyncio.create_task(producer.stop())
    done, _ = await asyncio.wait({stopping}, timeout=_STOP_S)
    if not done:
        # Private, hence the pin of aiokafka and a contract test: nothing public ends a flush that cannot end.
        producer._message_accumulator.fail_all(KafkaConnectionError("given up"))  # noqa: SLF001  see above
        await producer.client.close()
        done, _ = await asyncio.wait({stopping}, timeout=_STOP_S)
    if done:
        with contextlib.suppress(KafkaError, OSError):
            await stopping
    else:
        stopping.cancel()
