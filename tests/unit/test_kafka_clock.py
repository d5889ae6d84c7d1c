"""A producer asks Kafka for its time as it starts, goes by it if its host's is off, and listens from then on."""

import asyncio
import time

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from structlog.testing import capture_logs

from producers.publisher import PublisherError, kafka_clock
from producers.publisher.client import Delivered
from producers.publisher.kafka_clock import PROBES, KafkaClock
from producers.publisher.skew import Skew
from schemas.batches import BatchHeader
from schemas.topics import Topics

NOW_NS = 1_790_000_000_000_000_000
MS = 1_000_000


class Asked:
    """A Kafka that is ahead of the host's clock; `round_trips_ms` are those of its answers, the last one of all more.

    An answer that is none: what is raised instead, or "never".
    """

    bootstrap = "kafka:9092"

    def __init__(self, ahead_ms, round_trips_ms=(4,), instead=None, *, tells=True):
        self._ahead_ms, self._round_trips_ms = ahead_ms, list(round_trips_ms)
        self._instead, self._tells = instead, tells
        self._anchor_ns = time.perf_counter_ns()
        self.asked = []

    async def deliver(self, message):
        self.asked.append(message)
        if isinstance(self._instead, Exception):
            raise self._instead
        if self._instead == "never":
            await asyncio.Event().wait()
        return self.answer()

    def answer(self):
        trip_ms = self._round_trips_ms.pop(0) if len(self._round_trips_ms) > 1 else self._round_trips_ms[0]
        began_ns = time.perf_counter_ns()
        broker_ms = (NOW_NS + began_ns - self._anchor_ns) // MS + trip_ms // 2 + self._ahead_ms
        return Delivered(began_ns, began_ns + trip_ms * MS, broker_ms if self._tells else None)

    def wall_ns(self):
        return NOW_NS + time.perf_counter_ns() - self._anchor_ns


async def learnt(kafka):
    clock = KafkaClock(kafka.wall_ns)
    await clock.learn(kafka, Topics())
    return clock


@pytest.mark.parametrize("ahead_ms", [5_000, -5_000, 3_600_000, -3_600_000])
async def test_a_clock_that_is_off_is_corrected_and_that_is_said(ahead_ms):
    kafka = Asked(ahead_ms)
    with capture_logs() as logs:
        clock = await learnt(kafka)
    assert clock.skew.correction_us == pytest.approx(ahead_ms * 1000, abs=1_000)
    assert abs(clock.skew.residual.offset_us) < 1_000
    before_us, told_us, after_us = kafka.wall_ns() // 1000, clock.steady.now_us(), kafka.wall_ns() // 1000
    assert before_us - 1_000 <= told_us - ahead_ms * 1000 <= after_us + 1_000
    side = "behind" if ahead_ms > 0 else "ahead of"
    (log,) = logs
    assert log["event"].startswith(
        f"this host's clock is {abs(ahead_ms) / 1000:,.1f} s {side} Kafka's: times of this run"
    )


async def test_a_clock_that_is_about_right_is_left_alone_and_nothing_is_said():
    with capture_logs() as logs:
        clock = await learnt(Asked(30))
    assert clock.skew.correction_us == 0
    assert clock.skew.residual.offset_us == pytest.approx(30_000, abs=1_000)
    assert logs == []


async def test_a_slow_first_answer_spoils_nothing():
    clock = await learnt(Asked(5_000, (900, 40, 4, 30, 30)))
    assert clock.skew.residual.error_us <= 2_501


async def test_it_asks_by_ticks_which_mean_nothing_else():
    kafka = Asked(0)
    await learnt(kafka)
    assert len(kafka.asked) == PROBES
    for message in kafka.asked:
        assert BatchHeader.from_kafka("requests", message.headers).tick
        assert (message.topic, message.partition, message.rows) == (Topics().name("requests"), 0, 0)


async def test_a_broker_that_keeps_the_producers_time_is_asked_once_and_changes_nothing():
    kafka = Asked(5_000, tells=False)
    clock = await learnt(kafka)
    clock.heard(kafka.answer())
    assert (len(kafka.asked), clock.skew) == (1, Skew())


async def test_a_broker_that_does_not_answer_in_time_changes_nothing(monkeypatch):
    monkeypatch.setattr(kafka_clock, "PROBE_S", 0.01)
    assert (await learnt(Asked(5_000, instead="never"))).skew == Skew()


@pytest.mark.parametrize("error", [TopicAuthorizationFailedError(), KafkaConnectionError()])
async def test_a_broker_that_takes_nothing_is_said_at_the_start(error):
    with pytest.raises(
        PublisherError, match=rf"takes no messages on topic loadflame\.requests \({type(error).__name__}"
    ):
        await learnt(Asked(0, instead=error))


async def test_what_is_heard_later_is_told_and_moves_no_clock():
    kafka = Asked(0)
    clock = await learnt(kafka)
    steady = clock.steady
    for _ in range(3):
        kafka._ahead_ms += 400
        kafka._round_trips_ms = [2]
        clock.heard(kafka.answer())
    assert clock.steady is steady
    assert clock.skew.correction_us == 0
    assert clock.skew.residual.offset_us > 300_000
