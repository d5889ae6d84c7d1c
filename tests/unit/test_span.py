"""Which tier answers for a stretch of a run, and how wide a point is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.minutes import MINUTE_US
from views.web.span import MOST_POINTS, Span

SECOND, HOUR = 1_000_000, 3_600 * 1_000_000
START = 1_790_000_000 * SECOND


@pytest.mark.parametrize(
    ("length_us", "window_us", "tier", "bucket_us"),
    [
        (1, SECOND, "windows", SECOND),
        (15 * 60 * SECOND, SECOND, "windows", SECOND),
        (HOUR // 2, SECOND, "windows", 2 * SECOND),
        (HOUR // 2 + SECOND, SECOND, "minutes", MINUTE_US),
        (24 * HOUR, SECOND, "minutes", MINUTE_US),
        (7 * 24 * HOUR, SECOND, "minutes", 10 * MINUTE_US),
        (24 * HOUR, 300 * SECOND, "windows", 300 * SECOND),
        (HOUR // 2, SECOND // 4, "windows", 5 * SECOND // 4),
    ],
)
def test_short_stretches_are_read_from_windows_and_long_ones_from_minutes(
    length_us: int, window_us: int, tier: str, bucket_us: int
) -> None:
    span = Span.of(START // MINUTE_US * MINUTE_US, START // MINUTE_US * MINUTE_US + length_us, window_us)
    assert (span.tier, span.bucket_us) == (tier, bucket_us)


@given(
    start_us=st.integers(0, 2**50),
    length_us=st.integers(-HOUR, 400 * 24 * HOUR),
    window_us=st.integers(1_000, 100 * SECOND),
)
def test_all_of_a_stretch_is_in_it_and_it_never_has_too_many_points(
    start_us: int, length_us: int, window_us: int
) -> None:
    span = Span.of(start_us, start_us + length_us, window_us)
    assert span.first * span.unit_us <= start_us
    assert (span.last + 1) * span.unit_us >= start_us + length_us
    assert 0 <= (span.last - span.first) // span.step < MOST_POINTS
