"""A part of a run, as people write it and as windows."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from views.ranges import Clock, RangeError

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
STARTED_US = round(START.timestamp() * 1e6)


def clock(window_us: int = 1_000_000, windows: int = 60) -> Clock:
    first = STARTED_US // window_us
    return Clock("run-1", first * window_us, window_us, first, first + windows - 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12.0),
        ("12.5", 12.5),
        ("-2", -2.0),
        ("12s", 12.0),
        ("1m", 60.0),
        ("500ms", 0.5),
        ("2026-01-31T12:00:05", 5.0),
        ("2026-01-31T13:00:05+01:00", 5.0),
        ("2026-01-31T12:00:05Z", 5.0),
    ],
)
def test_a_time_is_seconds_since_the_start_or_a_time_of_day(text: str, seconds: float) -> None:
    assert clock().parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["noon", "", "12 13", "1d", "2026-31-31"])
def test_what_is_no_time_is_refused_with_the_way_to_write_it(text: str) -> None:
    with pytest.raises(RangeError, match="write seconds since the start of the run"):
        clock().parse(text)


@pytest.mark.parametrize(
    ("ends", "found"),
    [
        pytest.param((None, None), (0, 60), id="the whole run"),
        pytest.param((10, 20), (10, 20), id="whole windows"),
        pytest.param((9.5, 20.2), (10, 21), id="windows that start in it"),
        pytest.param((-5, 3), (0, 3), id="from before the first"),
        pytest.param((55, 99), (55, 60), id="beyond the last"),
        pytest.param((STARTED_US / 1e3 + 10_000, STARTED_US / 1e3 + 20_000), (10, 20), id="Unix milliseconds"),
    ],
)
def test_a_part_is_made_of_whole_windows(ends: tuple[float | None, float | None], found: tuple[float, float]) -> None:
    part = clock().part(*ends)
    assert (part.from_s, part.to_s) == found


def test_a_part_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(RangeError, match="ends before it starts"):
        clock().part(20, 10)


def test_a_part_without_windows_is_empty() -> None:
    assert clock().part(100, 110).windows == 0
    assert clock(windows=0).part().windows == 0
    assert clock(windows=0).is_empty


@given(st.integers(0, 500), st.integers(1, 500), st.sampled_from([100_000, 250_000, 1_000_000]), st.integers(1, 100))
def test_the_buckets_of_a_part_cover_it_and_no_more_are_made_than_asked_for(
    first: int, windows: int, window_us: int, most: int
) -> None:
    whole = clock(window_us, 1000)
    part = whole.part(first * window_us / 1e6, (first + windows) * window_us / 1e6)
    span = part.span(most)
    buckets = range(-(-part.windows // span.step))
    assert len(buckets) <= most
    times = part.times_s(span, buckets)
    assert times[0] == pytest.approx(part.from_s)
    assert times[-1] < part.to_s <= times[-1] + span.bucket_us / 1e6 + 1e-9
