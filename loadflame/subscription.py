"""Events of a run as they are published: what the live display and a shared load hear, and any other service could."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import DecodeError
from schemas.events import EventData, FindingMade, ProducerEnded, WindowJoined, from_message
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.topics import Kind, Topics


async def events_of(
    broker: str, topics: Topics, kinds: Sequence[Kind], run_id: str, *, security: KafkaSecurity = PLAINTEXT
) -> AsyncGenerator[EventData, None]:
    """Each event of a run in topics of one partition, from the first on and each id once, until it is closed."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker, enable_auto_commit=False, auto_offset_reset="earliest", **security.client_options()
    )
    try:
        await consumer.start()
        consumer.assign([TopicPartition(topics.name(kind), 0) for kind in kinds])
        seen: set[str] = set()
        async for record in consumer:
            try:
                event = from_message(record.headers, record.value or b"")
            except DecodeError:
                continue  # a damaged event is the writer's affair; its readers go on
            if event is not None and event.run_id == run_id and event.event_id() not in seen:
                seen.add(event.event_id())
                yield event
    finally:
        await asyncio.shield(consumer.stop())


async def follow(
    broker: str,
    topics: Topics,
    run_id: str,
    *,
    on_window: Callable[[WindowJoined], None],
    on_finding: Callable[[FindingMade], None],
    security: KafkaSecurity = PLAINTEXT,
) -> None:
    """Call these with each joined window of a run, each state of a window once, and with its findings; for ever."""
    async with aclosing(events_of(broker, topics, ("windows", "findings"), run_id, security=security)) as events:
        async for event in events:
            if isinstance(event, WindowJoined):
                on_window(event)
            elif isinstance(event, FindingMade):
                on_finding(event)


async def loads_ended(
    broker: str, topics: Topics, run_id: str, *, count: int, timeout_s: float, security: KafkaSecurity = PLAINTEXT
) -> int:
    """Wait until so many loads of a run have said their last words, and no longer: how many have."""
    ended: set[str] = set()
    try:
        said = events_of(broker, topics, ("runs",), run_id, security=security)
        async with asyncio.timeout(timeout_s), aclosing(said) as events:
            async for event in events:
                if isinstance(event, ProducerEnded) and event.role == "load":
                    ended.add(event.producer_id)
                if len(ended) >= count:
                    break
    except (TimeoutError, KafkaError, OSError):
        pass  # who has not been heard by now counts as silent
    return len(ended)
