"""The worker in this process, with a store in memory that a test can take away, on both brokers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from processors.worker import WorkerConfig, WorkerSummary, run_worker
from producers.publisher.kafka_clock import PROBES
from schemas.batches import Batch, Headers
from schemas.codec import LIMITS, encode
from schemas.joined import JoinedWindow
from schemas.topics import BULK, Topics
from schemas.windows import partition_of
from sinks.errors import StoreError
from sinks.memory import MemoryStore
from tests.support.batches import Request, request_batch
from tests.support.brokers import Broker, new_topics
from tests.support.polling import until
from tests.support.traffic import Traffic, messages_of

pytestmark = pytest.mark.broker
RUN = "run-1"
WINDOW_US = 200_000
WAIT_S = 60.0


@dataclass(slots=True)
class Running:
    """A worker at work."""

    store: MemoryStore
    task: "asyncio.Task[WorkerSummary]"
    stop: asyncio.Event

    async def end(self) -> WorkerSummary:
        """Ask it to stop, and wait."""
        self.stop.set()
        async with asyncio.timeout(WAIT_S):
            return await self.task


@asynccontextmanager
async def working(broker: Broker, topics: Topics, store: MemoryStore, **named: object) -> AsyncIterator[Running]:
    config = WorkerConfig(broker.bootstrap, topics, topics.prefix, WINDOW_US, is_lone=broker.kind == "tansu")
    config = replace(config, **named)
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run_worker(config, store, stop=stop, on_ready=ready.set))
    started = asyncio.create_task(ready.wait())
    await asyncio.wait({task, started}, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
    started.cancel()
    try:
        yield Running(store, task, stop)
    finally:
        stop.set()
        await asyncio.wait({task}, timeout=WAIT_S)


@asynccontextmanager
async def producing(broker: Broker) -> AsyncIterator[Callable[..., "asyncio.Future[None]"]]:
    """A producer that sends any message whatsoever."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, max_request_size=4 << 20)
    await producer.start()

    async def send(topic: str, partition: int, value: bytes | None, headers: Headers) -> None:
        await producer.send_and_wait(topic, value, key=b"", partition=partition, headers=headers)

    try:
        yield send
    finally:
        await producer.stop()


async def commits(broker: Broker, topics: Topics) -> dict[TopicPartition, int]:
    """What the group has committed."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=topics.prefix, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topics.name(kind), number) for kind in BULK for number in range(topics.partitions)]
        places.append(TopicPartition(topics.name("runs"), 0))
        found = {place: await consumer.committed(place) for place in places}
        return {place: offset for place, offset in found.items() if offset}
    finally:
        await consumer.stop()


async def commits_of_more_than_the_clock(broker: Broker, topics: Topics) -> dict[TopicPartition, int]:
    """The same without the ticks by which producers read Kafka's clock, the first records of a run: nothing is held for
    them, and they may be committed by themselves.
    """
    clock = TopicPartition(topics.name("requests"), 0)
    ticks = 2 * PROBES
    return {place: at for place, at in (await commits(broker, topics)).items() if place != clock or at > ticks}


def message(batch: Batch, topics: Topics) -> tuple[str, int, bytes, Headers]:
    key = batch.header.key
    partition = partition_of(key.run_id, key.window, topics.partitions)
    return topics.name(key.topic), partition, encode(batch.rows, batch.facts), batch.header.to_kafka()


async def test_what_cannot_be_read_is_put_aside_as_received_and_everything_else_goes_on(
    broker: Broker, topics: Topics
) -> None:
    traffic = Traffic(broker, topics, RUN, WINDOW_US)
    name, runs = topics.name("requests"), topics.name("runs")
    batch = request_batch([Request()], run=RUN, window=5)
    poison: list[tuple[str, int, bytes | None, Headers]] = [
        (name, 0, b"\x00\xff not Arrow", batch.header.to_kafka()),
        (name, 1, None, [("kind", b"data")]),
        (name, 2, b"", []),
        (name, 3, b"no value", [("kind", None)]),  # type: ignore[list-item]  # Kafka allows it
        (name, 0, b"\x00" * (LIMITS.message_bytes + 1), batch.header.to_kafka()),
        (runs, 0, b"{", [("ce_type", b"loadflame.run.ended.v1")]),
    ]
    async with working(broker, topics, MemoryStore(), drain_run=RUN) as worker, producing(broker) as send:
        await traffic.begin()
        for one in poison:
            await send(*one)
        await traffic.send(*range(4))
        for one in poison:
            await send(*one)
        await traffic.send(*range(4, 8), goodbye=True)
        await traffic.end()
        async with asyncio.timeout(WAIT_S):
            summary = await worker.task
    assert summary.dead_letters == len(worker.store.dead_letters) == 2 * len(poison)
    assert {
        key.window: stored.batch.rows.num_rows
        for key, stored in worker.store.batches.items()
        if key.topic == "requests"
    } == {window: rows for window, (rows, _) in traffic.sent.items()}
    letters = await messages_of(broker, topics.name("dead-letters"), topics.partitions)
    received = sorted((headers["topic"].decode(), int(headers["partition"]), value) for _, headers, value in letters)
    assert received == sorted((topic, partition, value or b"") for topic, partition, value, _ in [*poison, *poison])
    assert all(headers["error"] for _, headers, _ in letters)
    assert (await commits(broker, topics))[TopicPartition(runs, 0)] == 4 + 2


async def test_repeated_and_late_batches_are_stored_once_and_their_windows_joined_again(
    broker: Broker, topics: Topics
) -> None:
    traffic = Traffic(broker, topics, RUN, WINDOW_US)
    async with working(broker, topics, MemoryStore()) as worker, producing(broker) as send:
        await traffic.begin()
        await traffic.send(*range(4))
        store = worker.store
        await until(lambda: len(store.windows) == 4, WAIT_S, "four joined windows")
        late = request_batch([Request()] * 3, run=RUN, window=traffic.first + 1, producer="late")
        old = request_batch([Request()] * 5, run=RUN, window=traffic.first - 10_000)
        for batch in (late, old, late):
            await send(*message(batch, topics))
        joined = (RUN, traffic.first + 1)
        await until(lambda: store.windows[joined].batches_covered == 3, WAIT_S, "the late batch in its window")
        await until(lambda: (RUN, old.header.key.window) in store.windows, WAIT_S, "the old window")
        assert store.windows[joined].closed_by == "late"
        await until(lambda: len(store.batches) == 4 * 2 + 2, WAIT_S, "every batch")
        await traffic.end()
        summary = await worker.end()
    assert summary.late_windows >= 2


@pytest.fixture
async def kafka_traffic(kafka_broker: Broker) -> Traffic:
    """A run on Kafka that has not begun."""
    return Traffic(kafka_broker, await asyncio.to_thread(new_topics, kafka_broker), RUN, WINDOW_US)


async def test_while_the_store_is_away_nothing_is_committed_and_then_all_is_stored(
    kafka_traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimmed: list[int] = []
    monkeypatch.setattr("processors.upkeep._C", SimpleNamespace(malloc_trim=trimmed.append))
    broker, topics = kafka_traffic.broker, kafka_traffic.topics
    store = MemoryStore()
    store.failures = [StoreError("away", retriable=True, retry_after_s=0.3)] * 10_000
    options = {"drain_run": RUN, "buffered_bytes": 20_000, "give_back_every_s": 0.1}
    async with working(broker, topics, store, **options) as worker:
        await kafka_traffic.begin()
        await kafka_traffic.send(*range(8), goodbye=True)
        await kafka_traffic.end()
        assert await commits_of_more_than_the_clock(broker, topics) == {}
        store.failures.clear()
        async with asyncio.timeout(WAIT_S):
            await worker.task
    assert sum(one.completed + one.failed for one in store.windows.values()) == kafka_traffic.requests
    assert sum(one.samples > 0 for one in store.windows.values()) == 8
    assert len(trimmed) > 1, "memory is given back meanwhile"


async def test_behind_a_backlog_windows_are_stored_together(kafka_traffic: Traffic) -> None:
    writes: list[float] = []

    class Counting(MemoryStore):
        def write_windows(self, windows: Sequence[JoinedWindow]) -> None:
            super().write_windows(windows)
            writes.extend([time.monotonic()] * bool(windows))

    broker, topics, count = kafka_traffic.broker, kafka_traffic.topics, 120
    await kafka_traffic.begin()
    await kafka_traffic.send(*range(count), goodbye=True)
    await kafka_traffic.end()
    async with working(broker, topics, store := Counting(), drain_run=RUN) as worker, asyncio.timeout(WAIT_S):
        await worker.task
    assert len(store.windows) == count
    assert all(after - before > 0.09 for before, after in pairwise(writes)), "each write has its price"


async def test_what_trying_again_cannot_mend_ends_the_worker_with_the_stores_own_words(kafka_traffic: Traffic) -> None:
    store = MemoryStore()
    store.failures = [StoreError("the user has no right to write; ask your administrator")]
    async with working(kafka_traffic.broker, kafka_traffic.topics, store) as worker:
        await kafka_traffic.begin()
        await kafka_traffic.send(0)
        await kafka_traffic.end()
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(StoreError, match="no right to write"):
                await worker.task
    assert await commits_of_more_than_the_clock(kafka_traffic.broker, kafka_traffic.topics) == {}


async def test_a_worker_that_is_stopped_in_mid_run_leaves_the_rest_to_the_next_one(kafka_traffic: Traffic) -> None:
    broker, topics, store = kafka_traffic.broker, kafka_traffic.topics, MemoryStore()
    await kafka_traffic.begin()
    async with working(broker, topics, store) as worker:
        await kafka_traffic.send(*range(4))
        await until(lambda: bool(store.windows), WAIT_S, "a joined window")
        first = await worker.end()
    kept = len(store.batches)
    await kafka_traffic.send(*range(4, 8), goodbye=True)
    await kafka_traffic.end()
    async with working(broker, topics, store, drain_run=RUN) as worker:
        async with asyncio.timeout(WAIT_S):
            second = await worker.task
    assert first.batches == kept > 0, "it had stored all that it had received"
    assert second.batches < 16, "and committed some of it"
    assert {one.batches_covered for one in store.windows.values()} == {2}
    assert sum(one.completed + one.failed for one in store.windows.values()) == kafka_traffic.requests


async def test_stopping_while_the_store_is_away_takes_bounded_time_and_commits_nothing(
    kafka_traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processors.worker.STOP_S", 0.2)
    store = MemoryStore()
    store.failures = [StoreError("away", retriable=True, retry_after_s=30.0)] * 99
    async with working(kafka_traffic.broker, kafka_traffic.topics, store) as worker:
        await kafka_traffic.begin()
        await until(lambda: len(store.failures) < 99, WAIT_S, "a write that fails")
        await kafka_traffic.end()
        await worker.end()
    assert await commits_of_more_than_the_clock(kafka_traffic.broker, kafka_traffic.topics) == {}


class SweptStore(MemoryStore):
    """Counts how often it is swept; the first time it is away."""

    sweeps = 0

    def sweep(self) -> int:
        self.sweeps += 1
        if self.sweeps == 1:
            raise StoreError("away", retriable=True)
        return 3


async def test_what_crashes_left_behind_is_swept_again_and_again_also_when_the_store_was_away(
    broker: Broker, topics: Topics
) -> None:
    store = SweptStore()
    async with working(broker, topics, store, sweep_every_s=0.02) as worker:
        await until(lambda: store.sweeps > 2, WAIT_S, "a third sweep")
        await worker.end()
