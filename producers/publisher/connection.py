"""An aiokafka producer as it is used here: started, checked against the topic table, stopped in bounded time."""

import asyncio
import contextlib
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownError
from aiokafka.producer.message_accumulator import MessageAccumulator

from producers.publisher.base import PublisherError
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.topics import BULK, Topics

_STOP_S = 2.0
_RETRY_S = 0.1
_REQUEST_TIMEOUT_MS = 10_000
# One record batch must stay under the topics' max.message.bytes (1 MiB); a message of ours has at most 512 KiB.
_RECORD_BATCH_BYTES = 768 << 10
_SENDER_LOG = logging.getLogger("aiokafka.producer.sender")


async def connect(bootstrap: str, client_id: str, *, security: KafkaSecurity = PLAINTEXT) -> AIOKafkaProducer:
    """A started producer, idempotent where the broker can. Raises KafkaError or OSError; the caller bounds the time.

    Tansu 0.6 answers the only InitProducerId version that aiokafka 0.14 speaks with an unknown error. There a retry may
    write a batch twice, which its identity makes harmless.
    """
    try:
        return await _started(bootstrap, client_id, security, idempotent=True)
    except UnknownError:
        return await _started(bootstrap, client_id, security, idempotent=False)


async def _started(bootstrap: str, client_id: str, security: KafkaSecurity, *, idempotent: bool) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        enable_idempotence=idempotent,
        acks="all",
        max_batch_size=_RECORD_BATCH_BYTES,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        **security.client_options(),
    )
    _SENDER_LOG.addFilter(_not_about_producer_ids)
    try:
        await producer.start()
    except BaseException:
        await stop(producer)
        raise
    finally:
        _SENDER_LOG.removeFilter(_not_about_producer_ids)
    return producer


def _not_about_producer_ids(record: logging.LogRecord) -> bool:
    """The refusal of a producer id is an answer that `connect` expects, so nobody need read of it."""
    return not record.getMessage().startswith("Unexpected error during InitProducerIdRequest")


async def check_topics(producer: AIOKafkaProducer, topics: Topics, bootstrap: str) -> None:
    """Raise PublisherError unless both bulk topics are there with the partition count of the settings.

    Asks for all topics: to ask for one by name would create it on a broker that does so, with a count of its own.
    """
    cluster = await producer.client.fetch_all_metadata()
    for kind in BULK:
        name = topics.name(kind)
        found = len(cluster.partitions_for_topic(name) or ())
        if not found:
            raise PublisherError(
                f"Kafka at {bootstrap} has no topic {name}; start `loadflame process` or `loadflame load` first, "
                "which create the topics"
            )
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
        # Private, hence the pin of aiokafka and a contract test: nothing public ends a flush that cannot end. The
        # sender's first cancellation makes it wait for its requests, the second one ends those too.
        sender = producer._sender.sender_task  # noqa: SLF001  see above
        for _ in range(2 if sender else 0):
            sender.cancel()
            await asyncio.wait({sender}, timeout=_RETRY_S)
        _fail_all(producer._message_accumulator)  # noqa: SLF001  see above
        done, _ = await asyncio.wait({stopping}, timeout=_STOP_S)
        if not done:
            stopping.cancel()
            await asyncio.wait({stopping})
    if not stopping.cancelled():
        with contextlib.suppress(KafkaError, OSError):
            stopping.result()


def _fail_all(accumulator: MessageAccumulator) -> None:
    """Give up what was not sent. What was about to be sent again is forgotten by aiokafka: it would end in tracebacks.

    The callback of such a batch takes it out of a set in which it is not, and nobody waits for its turn any more.
    """
    again = [batch for batches in accumulator._batches.values() for batch in batches]  # noqa: SLF001  see `stop`
    accumulator._pending_batches.update(again)  # noqa: SLF001  see `stop`
    accumulator.fail_all(KafkaConnectionError("given up"))
    for batch in again:
        batch._drain_waiter.exception()  # noqa: SLF001  see `stop`; whoever has seen it is not told of it
