"""A producer whose host's clock is off, on a real broker: its windows land where the broker's time says."""

import time
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from structlog.testing import capture_logs

from processors.admission import AHEAD_US
from processors.windows import GRACE_US
from producers.publisher import KafkaPublisher, kafka_clock, say_last_words, skew
from schemas.events import ProducerEnded
from schemas.rows import RequestFacts
from schemas.windows import WINDOW_US, window_of
from tests.support.batches import many_requests
from tests.support.brokers import new_topics
from tests.support.traffic import messages_of

S = 1_000_000
ERROR_US = S
"""Of a clock that is told over a way on which both ends may be held up."""
SKEWS = [
    pytest.param(5 * S, id="5 s ahead"),
    pytest.param(-5 * S, id="5 s behind"),
    pytest.param(3600 * S, id="1 h ahead"),
    pytest.param(-3600 * S, id="1 h behind"),
]


@pytest.fixture(scope="module")
def kafka_topics(kafka_broker):
    return new_topics(kafka_broker)


@pytest.fixture(scope="module")
def tansu_topics(tansu_broker):
    return new_topics(tansu_broker)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Of a host that is held up while it asks for the time."""
    monkeypatch.setattr(kafka_clock, "PROBE_S", 60.0)


@asynccontextmanager
async def skewed(broker, topics, run_id, skew_us):
    """A publisher on a host whose clock is off by so much."""
    publisher = KafkaPublisher(
        broker.bootstrap, topics, run_id, source="test", wall_ns=lambda: time.time_ns() + skew_us * 1000
    )
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close(60)


async def lateness_us(broker, topics, run_id, publisher):
    """How long after the end of its window the broker appended a batch that was published right then, and how long that
    took, by the publisher's clock.
    """
    began_us = publisher.clock.now_us()
    window = window_of(began_us)
    publisher.publish("requests", window, many_requests(3), RequestFacts(), final=True)
    assert (await publisher.flush(60)).batches_acknowledged == 1
    took_us = publisher.clock.now_us() - began_us
    appended_ms = await appended(broker, topics, run_id)
    return appended_ms * 1000 - (window + 1) * WINDOW_US, took_us


async def appended(broker, topics, run_id):
    """When the broker appended the one batch of a run."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topics.name("requests"), number) for number in range(topics.partitions)])
        async for record in consumer:
            if ("run", run_id.encode()) in record.headers:
                return record.timestamp
    finally:
        await consumer.stop()


@pytest.mark.broker
@pytest.mark.parametrize("skew_us", SKEWS)
class TestKafka:
    async def test_windows_land_where_the_brokers_time_says(self, kafka_broker, kafka_topics, skew_us):
        with capture_logs() as logs:
            async with skewed(kafka_broker, kafka_topics, f"right{skew_us}", skew_us) as publisher:
                late_us, took_us = await lateness_us(kafka_broker, kafka_topics, f"right{skew_us}", publisher)
                await say_last_words(publisher, f"right{skew_us}", "load", timeout_s=60)
        assert -1.1 * WINDOW_US < late_us < took_us + ERROR_US
        assert ERROR_US < GRACE_US, "so it is in time, but for what the way took"
        events = [event for event, _, _ in await messages_of(kafka_broker, kafka_topics.name("runs"), 1)]
        (ended,) = (event for event in events if event.run_id == f"right{skew_us}" and isinstance(event, ProducerEnded))
        assert ended.clock_correction_us == pytest.approx(-skew_us, abs=ERROR_US)
        assert abs(ended.clock_residual_us) <= ended.clock_error_us + 20_000
        (warning,) = logs
        assert warning["event"].startswith(f"this host's clock is {abs(skew_us) / S:,.1f} s ")

    async def test_without_correction_they_are_too_early_or_too_late(
        self, kafka_broker, kafka_topics, skew_us, monkeypatch
    ):
        monkeypatch.setattr(skew, "CORRECT_FROM_US", 10**15)
        run_id = f"wrong{skew_us}"
        async with skewed(kafka_broker, kafka_topics, run_id, skew_us) as publisher:
            late_us, took_us = await lateness_us(kafka_broker, kafka_topics, run_id, publisher)
            left = publisher.skew
        assert -1.1 * WINDOW_US < late_us + skew_us < took_us + ERROR_US
        assert (left.correction_us, left.residual.offset_us) == (0, pytest.approx(-skew_us, abs=ERROR_US))
        if skew_us == 3600 * S:
            assert -late_us > AHEAD_US, "so it is dead-lettered"
        if skew_us < 0:
            assert late_us > GRACE_US, "so it is stored, late"


@pytest.mark.broker
async def test_a_clock_that_is_right_is_left_alone(kafka_broker, kafka_topics):
    async with skewed(kafka_broker, kafka_topics, "fine", 0) as publisher:
        assert publisher.skew.correction_us == 0
        assert abs(publisher.skew.residual.offset_us) <= publisher.skew.residual.error_us + 20_000


@pytest.mark.broker
async def test_a_broker_that_does_not_tell_its_time_changes_nothing(tansu_broker, tansu_topics):
    async with skewed(tansu_broker, tansu_topics, "unknown", 5 * S) as publisher:
        assert (publisher.skew.correction_us, publisher.skew.residual) == (0, None)
        before_us, told_us, after_us = time.time_ns() // 1000, publisher.clock.now_us(), time.time_ns() // 1000
        assert before_us - 100_000 <= told_us - 5 * S <= after_us + 100_000
