"""A producer's clock beside Kafka's: read from round trips, corrected once if notably off, and then only watched."""

import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers import clock
from producers.clock import SteadyClock, ahead
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
    steady = SteadyClock(wall_ns=lambda: NOW_US * 1000)
    moved = steady.moved(-HOUR_US)
    counter_ns = time.perf_counter_ns()
    assert moved.at_us(counter_ns) - steady.at_us(counter_ns) == -HOUR_US
    first_us, second_us = moved.now_us(), moved.now_us()
    assert moved.at_us(counter_ns) <= first_us <= second_us <= moved.at_us(time.perf_counter_ns())


def test_who_is_held_up_as_two_clocks_are_looked_at_looks_again():
    counter, wall = iter([0, 9_000, 20_000, 20_004, 30_000, 30_900]), iter([5_000_000, 5_020_002, 5_030_100])
    assert ahead(lambda: next(wall), lambda: next(counter)) == 5_020_002 - 20_004


def test_a_clock_is_not_behind_for_good_because_its_host_was_busy_as_it_was_made(monkeypatch):
    passed_ns, hold_ups_ns = 0, [20_000_000]

    def wall_ns():
        nonlocal passed_ns
        told = NOW_US * 1000 + passed_ns
        passed_ns += hold_ups_ns.pop() if hold_ups_ns else 0
        return told

    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter_ns=lambda: passed_ns))
    assert SteadyClock(wall_ns=wall_ns).now_us() == NOW_US + 20_000


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
