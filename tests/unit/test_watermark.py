"""A partition's clock is made of what was processed from it, and of nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.records import Place
from processors.watermark import TICK_AFTER_S, Watermarks

REQUESTS, STACKS = Place("t.requests", 0), Place("t.stacks", 0)
PAIR = (REQUESTS, STACKS)


def test_it_is_the_greatest_timestamp_processed() -> None:
    marks = Watermarks()
    marks.advance(REQUESTS, 500, 0.0)
    marks.advance(REQUESTS, 300, 0.0)
    assert marks.of([REQUESTS]) == 500


def test_of_two_partitions_it_is_the_one_that_is_behind() -> None:
    marks = Watermarks()
    marks.advance(REQUESTS, 900, 0.0)
    marks.advance(STACKS, 400, 0.0)
    assert marks.of(PAIR) == 400


def test_it_is_unknown_while_one_of_them_was_not_heard() -> None:
    marks = Watermarks()
    marks.advance(REQUESTS, 900, 0.0)
    assert marks.of(PAIR) is None


def test_time_that_passes_here_does_not_move_it() -> None:
    """So an outage, a pause or a wrong clock stops it instead of falsifying it."""
    marks = Watermarks()
    marks.advance(REQUESTS, 900, 0.0)
    marks.idle([REQUESTS], 1e9)
    assert marks.of([REQUESTS]) == 900


@given(st.lists(st.integers(0, 2**53), min_size=1))
def test_a_replay_moves_it_as_the_live_run_did(timestamps: list[int]) -> None:
    live, replay = Watermarks(), Watermarks()
    for at, timestamp in enumerate(timestamps):
        live.advance(REQUESTS, timestamp, float(at))
        replay.advance(REQUESTS, timestamp, 1e6)
        assert live.of([REQUESTS]) == replay.of([REQUESTS]) == max(timestamps[: at + 1])


TICKS = {
    "heard just now: none": (0.0, [0.1], []),
    "heard 250 ms ago: one": (0.0, [TICK_AFTER_S], [[REQUESTS]]),
    "one tick is enough until it had 250 ms to come back": (0.0, [0.25, 0.3, 0.45], [[REQUESTS]]),
    "and another one when it did not": (0.0, [0.25, 0.5], [[REQUESTS], [REQUESTS]]),
}


@pytest.mark.parametrize(("heard_s", "asked_s", "wanted"), TICKS.values(), ids=TICKS)
def test_a_quiet_partition_wants_a_tick(heard_s: float, asked_s: list[float], wanted: list[list[Place]]) -> None:
    marks = Watermarks()
    marks.advance(REQUESTS, 1, heard_s)
    found = [marks.idle([REQUESTS], now_s) for now_s in asked_s]
    assert [places for places in found if places] == wanted


def test_a_partition_that_was_never_heard_wants_a_tick_at_once() -> None:
    assert Watermarks().idle(PAIR, 0.0) == [REQUESTS, STACKS]


def test_a_partition_that_was_lost_begins_anew() -> None:
    marks = Watermarks()
    marks.advance(REQUESTS, 900, 0.0)
    marks.drop([REQUESTS])
    assert marks.of([REQUESTS]) is None
    marks.advance(REQUESTS, 100, 0.0)
    assert marks.of([REQUESTS]) == 100
