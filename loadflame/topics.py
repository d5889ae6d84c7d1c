"""Topics are made before anything is sent, and asserted to be what the join needs."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    for_code,
)

from loadflame.broker import BrokerError
from loadflame.kafka_trouble import why_refused
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.topics import BULK, Bulk, Topics

T = TypeVar("T")
CONNECT_S = 8.0
REQUEST_S = 5.0
"""For each request, and for each address: the next is tried while there is time left to connect."""
ANSWER_S = 30.0
"""A broker that let us in may be busy: making topics is some round trips of its controllers, synced to disk."""
_POLL_S = 0.05
_BUSY = (RequestTimedOutError, NodeNotReadyError, KafkaConnectionError)


async def check_broker(bootstrap: str, topics: Topics, *, security: KafkaSecurity = PLAINTEXT) -> None:
    """Raise BrokerError when `ensure_topics` would for what is there now: nobody answers, or other partition counts.

    Makes nothing.
    """

    async def present_counts(admin: AIOKafkaAdminClient) -> dict[Bulk, int]:
        present = set(await admin.list_topics())
        kinds = [kind for kind in BULK if topics.name(kind) in present]
        return dict(zip(kinds, await _counts(admin, topics, kinds), strict=True))

    _check_counts(topics, await _asked(bootstrap, security, present_counts))


async def ensure_topics(bootstrap: str, topics: Topics, *, security: KafkaSecurity = PLAINTEXT) -> None:
    """Create the topics that are missing, and check that both bulk topics have the expected partition count.

    Raises BrokerError when nobody answers at `bootstrap` or lets us in, or the counts differ: the two sides of a window
    would then meet in different workers.
    """

    async def made(admin: AIOKafkaAdminClient) -> dict[Bulk, int]:
        present = set(await admin.list_topics())
        missing = [topic for topic in topics.all() if topic.name not in present]
        if missing:
            wanted = [
                NewTopic(topic.name, topic.partitions, topics.replication, topic_configs=topic.config)
                for topic in missing
            ]
            for name, code, *_ in (await admin.create_topics(wanted)).topic_errors:
                error = for_code(code)
                if error is RequestTimedOutError:  # it goes on with it
                    raise error
                if code and error is not TopicAlreadyExistsError:  # somebody else was faster: as good
                    raise BrokerError(
                        f"Kafka at {bootstrap} would not create topic {name}: {error.__name__}; give the user the "
                        "right to, or have the topics made by somebody who may"
                    )
        while not all(counts := await _counts(admin, topics, BULK)):  # noqa: ASYNC110  Kafka has no event to wait for
            await asyncio.sleep(_POLL_S)  # a topic that was just made is not known at once
        return dict(zip(BULK, counts, strict=True))

    _check_counts(topics, await _asked(bootstrap, security, made))


async def _asked(bootstrap: str, security: KafkaSecurity, question: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
    """What a broker answers; asked again while it is busy, so a question must be one that may be repeated.

    Raises BrokerError when nobody answers or lets us in, or it stays busy.
    """
    async with _admin(bootstrap, security) as admin:
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    with contextlib.suppress(*_BUSY):
                        return await question(admin)
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise BrokerError(
                f"Kafka at {bootstrap} let us in, but did not do what it was asked within {ANSWER_S:.0f} s; see "
                "whether it is well, and try again"
            ) from error


@contextlib.asynccontextmanager
async def _admin(bootstrap: str, security: KafkaSecurity) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for a moment. Raises BrokerError when nobody answers or lets us in."""
    log = logging.getLogger("aiokafka")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it would print each failed attempt; our one sentence says it
    try:
        admin = AIOKafkaAdminClient(
            bootstrap_servers=bootstrap, request_timeout_ms=int(REQUEST_S * 1000), **security.client_options()
        )
        try:
            async with asyncio.timeout(CONNECT_S):
                await admin.start()
            yield admin
        finally:
            await admin.close()
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        if refused := await why_refused(bootstrap, security):
            raise BrokerError(refused) from error
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error)[:200]
        raise BrokerError(f"no Kafka at {bootstrap} ({why}); start one there, or name another by --broker") from error
    finally:
        log.setLevel(level)


def _check_counts(topics: Topics, counts: Mapping[Bulk, int]) -> None:
    for kind, count in counts.items():
        if count != topics.partitions:
            raise BrokerError(
                f"topic {topics.name(kind)} has {count} partitions, not {topics.partitions}; "
                f"set LOADFLAME_PARTITIONS={count} or take another LOADFLAME_TOPIC_PREFIX"
            )


async def _counts(admin: AIOKafkaAdminClient, topics: Topics, kinds: Sequence[Bulk]) -> list[int]:
    """Partitions of bulk topics as the broker knows them now, in the order of `kinds`."""
    described = await admin.describe_topics([topics.name(kind) for kind in kinds]) if kinds else []
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
    return [counts.get(topics.name(kind), 0) for kind in kinds]
