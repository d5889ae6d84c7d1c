"""Joined windows as they are published: what the live display shows, and what any other service could read."""

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.errors import DecodeError
from schemas.events import WindowJoined, from_message
from schemas.topics import Topics


async def windows_of(broker: str, topics: Topics, run_id: str, on_window: Callable[[WindowJoined], None]) -> None:
    """Call `on_window` with each joined window of a run, each state of a window once, until cancelled."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topics.name("windows"), 0)])
        seen: set[str] = set()
        async for record in consumer:
            try:
                event = from_message(record.headers, record.value or b"")
            except DecodeError:
                continue  # a damaged event is the writer's affair; the display goes on
            if isinstance(event, WindowJoined) and event.run_id == run_id and event.event_id() not in seen:
                seen.add(event.event_id())
                on_window(event)
    finally:
        await asyncio.shield(consumer.stop())
