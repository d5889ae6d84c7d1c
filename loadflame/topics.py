"""Topics are made before anything is sent, and asserted to be what the join needs."""

import asyncio
import logging

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from loadflame.broker import BrokerError
from schemas.topics import BULK, Topics

CONNECT_S = 8.0
_POLL_S = 0.05


async def ensure_topics(bootstrap: str, topics: Topics) -> None:
    """Create the topics that are missing, and check that both bulk topics have the expected partition count.

    Raises BrokerError when nobody answers at `bootstrap`, or the counts differ: the two sides of a window would then
    meet in different workers.
    """
    log = logging.getLogger("aiokafka")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it would print each failed attempt; our one sentence says it
    try:
        async with asyncio.timeout(CONNECT_S):
            await _ensure(bootstrap, topics)
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error)[:200]
        raise BrokerError(f"no Kafka at {bootstrap} ({why}); start one there, or name another by --broker") from error
    finally:
        log.setLevel(level)


async def _ensure(bootstrap: str, topics: Topics) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        present = set(await admin.list_topics())
        missing = [topic for topic in topics.all() if topic.name not in present]
        if missing:
            answer = await admin.create_topics(
                [
                    NewTopic(topic.name, topic.partitions, topics.replication, topic_configs=topic.config)
                    for topic in missing
                ]
            )
            for name, code, *_ in answer.topic_errors:
                error = for_code(code)
                if code and error is not TopicAlreadyExistsError:  # somebody else was faster: as good
                    raise BrokerError(f"Kafka at {bootstrap} would not create topic {name}: {error.__name__}")
        while not all(counts := await _counts(admin, topics)):  # noqa: ASYNC110  Kafka has no event to wait for
            await asyncio.sleep(_POLL_S)  # a topic that was just made is not known at once
        for kind, count in zip(BULK, counts, strict=True):
            if count != topics.partitions:
                raise BrokerError(
                    f"topic {topics.name(kind)} has {count} partitions, not {topics.partitions}; "
                    f"set LOADFLAME_PARTITIONS={count} or take another LOADFLAME_TOPIC_PREFIX"
                )
    finally:
        await admin.close()


async def _counts(admin: AIOKafkaAdminClient, topics: Topics) -> list[int]:
    """Partitions of the bulk topics as the broker knows them now, in the order of BULK."""
    described = await admin.describe_topics([topics.name(kind) for kind in BULK])
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
    return [counts.get(topics.name(kind), 0) for kind in BULK]
