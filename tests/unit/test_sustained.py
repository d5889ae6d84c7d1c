"""What lasted: the worst value over so many windows in a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.judging.sustained import sustained, windows_for

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "count", "is_from_above", "lasted"),
    [
        pytest.param([1, 9, 1, 9, 1], 2, True, 1, id="peaks of one window do not last"),
        pytest.param([1, 9, 8, 1, 1], 2, True, 8, id="two in a row do, at the lower of them"),
        pytest.param([9, 2, 3, 9], 2, False, 3, id="what may not fall below"),
        pytest.param([9, NAN, 9, 1, 2], 2, True, 1, id="a window without data ends a stretch"),
        pytest.param([9, NAN, 9], 2, True, None, id="no stretch is long enough"),
        pytest.param([9], 2, True, None, id="too short"),
        pytest.param([], 1, True, None, id="nothing"),
    ],
)
def test_the_worst_value_that_lasted(values, count: int, is_from_above: bool, lasted: float | None) -> None:
    assert sustained(np.array(values, np.float64), count, is_from_above=is_from_above) == lasted


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 5), st.integers(0, 9))
def test_it_breaks_a_limit_exactly_when_so_many_neighbours_all_break_it(
    values: list[int], count: int, limit: int
) -> None:
    runs = "".join("x" if value > limit else "." for value in values)
    lasted = sustained(np.array(values, np.float64), count, is_from_above=True)
    assert (lasted is not None and lasted > limit) == ("x" * count in runs)


@pytest.mark.parametrize(
    ("seconds", "window_us", "windows"), [(10, 1_000_000, 10), (0.5, 1_000_000, 1), (2, 500_000, 4)]
)
def test_a_time_is_whole_windows_and_at_least_one(seconds: float, window_us: int, windows: int) -> None:
    assert windows_for(seconds, window_us) == windows
