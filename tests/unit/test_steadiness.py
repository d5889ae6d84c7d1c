"""When a rate has been held for long enough to be judged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.judging.steadiness import halves_agree, lost_for_long, plain_share

S = 1_000_000
HALVES = [
    # (in words, answers and their latency in ms in the first half and in the second, whether these agree)
    ("alike", (300, 20), (300, 20), True),
    ("a tenth slower", (300, 20), (300, 22), True),
    ("a quarter slower", (300, 20), (300, 25), False),
    ("a quarter faster", (300, 25), (300, 20), False),
    ("less than a millisecond apart", (300, 0.5), (300, 1.4), True),
    ("fewer, as chance has it", (300, 20), (262, 20), True),
    ("fewer than chance has it", (3000, 20), (2500, 20), False),
    ("nothing answered", (0, 0), (0, 0), True),
    ("nothing answered any more", (30, 20), (0, 0), False),
    ("a single answer", (1, 20), (0, 0), True),
]


@pytest.mark.parametrize(("first", "second", "agree"), [row[1:] for row in HALVES], ids=[row[0] for row in HALVES])
def test_halves_agree_in_what_they_answered_and_how_fast(first, second, agree) -> None:
    one, other = (np.full(count, 1000.0 * ms) for count, ms in (first, second))
    assert halves_agree(one, other) is agree


@given(st.lists(st.floats(1, 1e7), max_size=50), st.lists(st.floats(1, 1e7), max_size=50))
def test_it_does_not_matter_which_half_comes_first(first: list[float], second: list[float]) -> None:
    one, other = np.array(first), np.array(second)
    assert halves_agree(one, other) == halves_agree(other, one)
    assert halves_agree(one, one)


LOST = [
    # (lost, of so many due, in windows of a second; the share when it is plain)
    ([30, 30, 30], [100, 100, 100], 0.3),
    ([0, 0, 30, 60, 90], [100] * 5, 0.6),
    ([30, 30], [100, 100], None),
    ([90, 10, 90], [100] * 3, None),
    ([20, 30, 30], [100] * 3, None),
    ([0, 0, 0], [0, 0, 0], None),
    ([900, 900, 900, 0], [1000] * 4, None),
]


@pytest.mark.parametrize(("lost", "due", "share"), LOST)
def test_a_rate_is_plainly_broken_when_much_was_lost_in_each_of_the_last_three_seconds(lost, due, share) -> None:
    assert lost_for_long(lost, due, S, 0.2) == share


@pytest.mark.parametrize(("limit", "share"), [(0.0, 0.2), (0.01, 0.2), (0.1, 0.5), (0.3, 0.65), (1.0, 1.0)])
def test_what_is_plain_lies_far_above_what_is_allowed(limit: float, share: float) -> None:
    assert plain_share(limit) == pytest.approx(share)
