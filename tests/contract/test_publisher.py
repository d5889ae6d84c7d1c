"""What every publisher promises, checked on the one in memory and on a real broker; and what only Kafka can do."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from loadflame.broker import LocalBroker
from loadflame.topics import ensure_topics
from producers.publisher import KafkaPublisher, MemoryPublisher, Publisher, PublisherError
from schemas.batches import Batch, BatchHeader
from schemas.codec import LIMITS, decode
from schemas.events import EventData, RunEnded, from_message
from schemas.rows import RequestFacts, StackFacts
from schemas.topics import BULK, Topics
from schemas.windows import partition_of
from tests.support.batches import WINDOW, Request, many_requests, many_samples, request_rows
from tests.support.polling import until

TOPICS = Topics("t", 4)


@pytest.fixture(scope="module")
def tansu():
    with LocalBroker() as broker:
        yield broker


@asynccontextmanager
async def standing_still(broker: LocalBroker) -> AsyncIterator[None]:
    """It neither answers nor ends meanwhile."""
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        await until(lambda: psutil.Process(broker.pid).status() == psutil.STATUS_STOPPED, 60, "a stopped broker")
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


async def read(bootstrap: str, topics: Topics, run_id: str) -> tuple[list[Batch], list[EventData]]:
    """Everything of a run that is in the topics now, with the partition checked against the window's."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    batches, events = [], []
    try:
        places = [TopicPartition(t.name, p) for t in topics.all() for p in range(t.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for record in (await consumer.getmany(place, timeout_ms=200)).get(place, []):
                    if topics.kind(place.topic) in BULK:
                        header = BatchHeader.from_kafka(topics.kind(place.topic), record.headers)
                        if header.key.run_id == run_id:
                            assert place.partition == partition_of(run_id, header.key.window, topics.partitions)
                            batches.append(decode(header, record.value))
                    elif record.key == run_id.encode():
                        events.append(from_message(record.headers, record.value))
    finally:
        await consumer.stop()
    return batches, events


@dataclass(slots=True)
class Bench:
    """A publisher and a way to see what arrived."""

    publisher: Publisher
    run_id: str
    arrived: Callable[[], Awaitable[tuple[list[Batch], list[EventData]]]]


@pytest.fixture(params=["memory", pytest.param("tansu", marks=pytest.mark.broker)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    run_id = f"run-{request.node.name}"
    if request.param == "memory":
        memory = MemoryPublisher(TOPICS, run_id)

        async def kept() -> tuple[list[Batch], list[EventData]]:
            return memory.batches, memory.events

        yield Bench(memory, run_id, kept)
        return
    bootstrap = request.getfixturevalue("tansu").bootstrap
    await ensure_topics(bootstrap, TOPICS)
    publisher = KafkaPublisher(bootstrap, TOPICS, run_id, source="test")
    await publisher.start()
    yield Bench(publisher, run_id, lambda: read(bootstrap, TOPICS, run_id))
    await publisher.close(60)


class TestEveryPublisher:
    async def test_rows_facts_and_marks_arrive_as_they_were_handed_over(self, bench):
        rows, facts = many_requests(300), RequestFacts(engine="aiohttp", scheduled=310, sent=305, dropped=5)
        bench.publisher.publish("requests", WINDOW, rows, facts, final=True, goodbye=True)
        published = await bench.publisher.flush(60)
        (batch,), _ = await bench.arrived()
        assert batch.rows.equals(rows)
        assert batch.facts == facts
        assert (batch.header.final, batch.header.goodbye, batch.header.partitions) == (True, True, 4)
        assert batch.header.key == ("requests", bench.run_id, WINDOW, bench.publisher.producer_id, 0)
        assert (published.batches_acknowledged, published.rows_acknowledged, published.batches_lost) == (1, 300, 0)

    async def test_a_window_too_large_for_one_message_is_split_with_facts_first_and_marks_last(self, bench):
        rows = many_requests(2 * LIMITS.rows + 1)
        facts = RequestFacts(engine="aiohttp", scheduled=rows.num_rows, sent=7)
        bench.publisher.publish("requests", WINDOW, rows, facts, final=True, goodbye=True)
        published = await bench.publisher.flush(60)
        batches, _ = await bench.arrived()
        assert [batch.header.key.seq for batch in batches] == [0, 1, 2]
        assert [batch.header.rows for batch in batches] == [LIMITS.rows, LIMITS.rows, 1]
        assert [batch.header.final for batch in batches] == [False, False, True]
        assert [batch.header.goodbye for batch in batches] == [False, False, True]
        assert [batch.facts.scheduled for batch in batches] == [rows.num_rows, 0, 0]
        assert published.rows_acknowledged == rows.num_rows

    async def test_an_empty_window_still_says_that_it_is_over(self, bench):
        bench.publisher.publish("requests", WINDOW, request_rows([]), RequestFacts(), final=True)
        published = await bench.publisher.flush(60)
        (batch,), _ = await bench.arrived()
        assert (batch.header.rows, batch.header.final, batch.header.goodbye) == (0, True, False)
        assert (published.batches_acknowledged, published.rows_acknowledged) == (1, 0)

    async def test_each_window_and_topic_is_numbered_from_zero_in_the_order_of_handing_over(self, bench):
        one = request_rows([Request()])
        bench.publisher.publish("requests", WINDOW, one, RequestFacts(), final=False)
        bench.publisher.publish("requests", WINDOW + 1, one, RequestFacts(), final=True)
        bench.publisher.publish("stacks", WINDOW, many_samples(50), StackFacts(instance="a"), final=True)
        bench.publisher.publish("requests", WINDOW, one, RequestFacts(), final=True)
        await bench.publisher.flush(60)
        batches, _ = await bench.arrived()
        keys = sorted((b.header.key.topic, b.header.key.window - WINDOW, b.header.key.seq) for b in batches)
        assert keys == [("requests", 0, 0), ("requests", 0, 1), ("requests", 1, 0), ("stacks", 0, 0)]

    async def test_events_arrive_under_the_key_of_their_run(self, bench):
        event = RunEnded(run_id=bench.run_id, ended_at_us=WINDOW * 1_000_000, reason="finished", producers=2)
        bench.publisher.announce(event)
        published = await bench.publisher.flush(60)
        _, events = await bench.arrived()
        assert events == [event]
        assert published.batches_acknowledged == 0, "only batches are counted"

    async def test_what_is_said_after_a_flush_still_goes_and_after_a_close_no_more(self, bench):
        await bench.publisher.flush(60)
        bench.publisher.publish("requests", WINDOW, request_rows([Request()]), RequestFacts(), final=True)
        closed = await bench.publisher.close(60)
        bench.publisher.publish("requests", WINDOW + 1, request_rows([Request()]), RequestFacts(), final=True)
        bench.publisher.announce(RunEnded(run_id=bench.run_id, ended_at_us=1, reason="finished", producers=1))
        batches, events = await bench.arrived()
        assert closed.rows_acknowledged == 1
        assert (len(batches), events) == (1, [])

    async def test_rows_of_another_schema_are_a_mistake_of_the_caller(self, bench):
        with pytest.raises(ValueError, match="not of the schema of stacks"):
            bench.publisher.publish("stacks", WINDOW, many_requests(3), StackFacts(), final=True)


async def test_an_unreachable_publisher_in_memory_counts_what_it_loses():
    publisher = MemoryPublisher(TOPICS)
    publisher.reachable = False
    publisher.publish("requests", WINDOW, many_requests(30), RequestFacts(), final=True)
    published = await publisher.close(1)
    assert (published.batches_lost, published.rows_lost, published.batches_acknowledged) == (1, 30, 0)


async def test_no_kafka_at_the_start_is_one_sentence_with_the_remedy():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        bootstrap = f"127.0.0.1:{free.getsockname()[1]}"  # nobody listens there, and nobody else may
        with pytest.raises(PublisherError, match=f"Kafka does not answer at {bootstrap}; start it, or name another"):
            await KafkaPublisher(bootstrap, TOPICS, "run", source="test").start()


@pytest.mark.broker
class TestKafka:
    async def test_a_missing_topic_is_said_at_the_start(self, tansu):
        await ensure_topics(tansu.bootstrap, TOPICS)
        with pytest.raises(PublisherError, match=r"has no topic missing\.requests"):
            await KafkaPublisher(tansu.bootstrap, Topics("missing"), "run", source="test").start()

    async def test_another_partition_count_is_said_at_the_start(self, tansu):
        await ensure_topics(tansu.bootstrap, TOPICS)
        with pytest.raises(PublisherError, match=r"topic t\.requests has 4 partitions where the settings say 8"):
            await KafkaPublisher(tansu.bootstrap, Topics("t", 8), "run", source="test").start()

    async def test_while_the_broker_stands_still_nothing_blocks_and_afterwards_all_arrives(self, tansu):
        await ensure_topics(tansu.bootstrap, TOPICS)
        publisher = KafkaPublisher(tansu.bootstrap, TOPICS, "still", source="test")
        await publisher.start()
        async with standing_still(tansu):  # whoever waited for it now would wait for ever
            for window in range(WINDOW, WINDOW + 20):
                publisher.publish("requests", window, many_requests(200), RequestFacts(scheduled=200), final=True)
        published = await publisher.close(60)
        batches, _ = await read(tansu.bootstrap, TOPICS, "still")
        assert (published.batches_acknowledged, published.rows_acknowledged, published.batches_lost) == (20, 4000, 0)
        assert len({batch.header.key for batch in batches}) == 20

    async def test_beyond_the_memory_budget_rows_are_lost_and_counted_but_facts_and_marks_go(self, tansu):
        await ensure_topics(tansu.bootstrap, TOPICS)
        publisher = KafkaPublisher(tansu.bootstrap, TOPICS, "full", source="test", budget_bytes=20_000)
        await publisher.start()
        for window in (WINDOW, WINDOW + 1):
            publisher.publish("requests", window, many_requests(300), RequestFacts(scheduled=300), final=True)
        published = await publisher.close(60)
        batches, _ = await read(tansu.bootstrap, TOPICS, "full")
        assert (published.batches_acknowledged, published.rows_acknowledged) == (2, 300)
        assert (published.batches_lost, published.rows_lost) == (1, 300)
        assert published.note == "too much at once, or too large for a message"
        first, second = sorted(batches, key=lambda batch: batch.header.key.window)
        assert (first.header.rows, first.header.key.seq) == (300, 0)
        assert (second.header.rows, second.header.key.seq, second.header.final) == (0, 1, True)
        assert second.facts.scheduled == 300

    async def test_a_broker_that_is_gone_for_good_costs_bounded_time_and_counted_batches(self, tansu):
        await ensure_topics(tansu.bootstrap, TOPICS)
        publisher = KafkaPublisher(tansu.bootstrap, TOPICS, "gone", source="test")
        await publisher.start()
        async with standing_still(tansu):
            publisher.publish("requests", WINDOW, many_requests(40), RequestFacts(), final=True)
            async with asyncio.timeout(30):  # aiokafka would try for 40 s
                published = await publisher.close(0.5)
        assert (published.batches_lost, published.rows_lost) == (1, 40), published
        assert published.note == "not acknowledged within 0.5 s"
