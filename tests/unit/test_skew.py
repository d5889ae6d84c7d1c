"""A producer's clock beside Kafka's: read from round trips, corrected once if notably off, and then only watched."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.clock import SteadyClock
from producers.publisher.skew import Reading, Residual, best

HOUR_US = 3_600_000_000
NOW_US = 1_790_000_000_000_000


@given(
    offset_us=st.integers(-2 * HOUR_US, 2 * HOUR_US),
    there_us=st.integers(0, 5_000_000),
    back_us=st.integers(0, 5_000_000),
)
def test_the_truth_lies_within_the_error_however_uneven_the_way_is(offset_us, there_us, back_us):
    broker_us = NOW_US + there_us + offset_us
    reading = Reading.of(NOW_US, NOW_US + there_us + back_us, broker_us // 1000)
    assert abs(reading.offset_us - offset_us) <= reading.error_us + 1
    assert reading.error_us <= (there_us + back_us) / 2 + 501


@pytest.mark.parametrize(
    ("offset_us", "error_us", "correction_us"),
    [
        pytest.param(0, 1_000, 0, id="a clock that is right"),
        pytest.param(40_000, 1_000, 0, id="off by less than matters"),
        pytest.param(-51_500, 1_000, -51_500, id="ahead by more than matters"),
        pytest.param(60_000, 20_000, 0, id="off by more, but that may be the round trip"),
        pytest.param(5_000_000, 20_000, 5_000_000, id="seconds behind"),
        pytest.param(-HOUR_US, 20_000, -HOUR_US, id="an hour ahead"),
    ],
)
def test_a_clock_is_corrected_when_it_is_notably_off(offset_us, error_us, correction_us):
    assert Reading(offset_us, error_us).correction_us == correction_us


def test_of_several_readings_the_shortest_round_trip_counts():
    assert best([Reading(1, 30), Reading(2, 10), Reading(3, 20)]) == Reading(2, 10)
    assert best([]) is None


def test_a_corrected_clock_is_as_steady_as_before():
    clock = SteadyClock(wall_ns=lambda: NOW_US * 1000)
    moved = clock.moved(-HOUR_US)
    counter_ns = time.perf_counter_ns()
    assert moved.at_us(counter_ns) - clock.at_us(counter_ns) == pytest.approx(-HOUR_US, abs=1_000)
    before = moved.now_us()
    assert 0 <= moved.now_us() - before < 1_000_000


class TestWhatIsLeft:
    def test_is_the_best_that_was_heard_lately(self):
        left = Residual(Reading(10, 5), 0)
        left.hear(Reading(400, 900), 1_000_000)
        assert left.reading == Reading(10, 5)
        left.hear(Reading(12, 3), 2_000_000)
        assert left.reading == Reading(12, 3)

    def test_is_no_more_what_it_was_minutes_ago(self):
        """A clock that drifts by 10 us a second is off by 18 ms after half an hour, and that is what is told."""
        left = Residual(Reading(0, 500), 0)
        for second in range(1, 1801):
            left.hear(Reading(second * 10, 1_000), second * 1_000_000)
        assert left.reading.offset_us == pytest.approx(18_000, abs=1_200)

    def test_is_unknown_where_the_broker_does_not_tell(self):
        assert Residual(None, 0).reading is None
