"""What stands in for scipy.optimize, held against it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, nnls

from analysis.statistics.nonnegative import nonnegative
from analysis.statistics.roots import where


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(4, 20))
def test_a_fit_without_negative_coefficients_is_the_one_of_scipy(seed: int, width: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    columns = random.random((rows, width)) * 10.0 ** random.integers(-4, 5, width)
    values = columns @ random.normal(0, 1, width) / np.abs(columns).max() + random.normal(0, 0.1, rows)
    found, (expected, _) = nonnegative(columns, values), nnls(columns, values)
    assert (found >= 0).all()
    assert np.linalg.norm(columns @ found - values) == pytest.approx(np.linalg.norm(columns @ expected - values))
    np.testing.assert_allclose(columns @ found, columns @ expected, atol=1e-6)


def test_columns_that_say_the_same_are_no_trouble() -> None:
    columns = np.ones((4, 2))
    assert nonnegative(columns, np.full(4, 3.0)).sum() == pytest.approx(3.0)
    assert nonnegative(columns, np.full(4, -3.0)).tolist() == [0.0, 0.0]


@given(st.floats(0.2, 6.0), st.floats(0.0, 50.0), st.floats(1e-6, 10.0), st.floats(0.01, 1000.0))
def test_a_curve_comes_to_a_value_where_scipy_says(power: float, fixed: float, each: float, value: float) -> None:
    def curve(at: float) -> float:
        return fixed + each * at**power

    low, high = 0.3, 30_000.0
    if curve(low) < value < curve(high):
        expected = brentq(lambda at: curve(at) - value, low, high, xtol=1e-9)
        assert where(curve, value, low, high) == pytest.approx(expected, rel=1e-6)


def test_a_curve_may_begin_with_nothing() -> None:
    assert where(lambda at: max(0.0, at - 5.0), 2.0, 1.0, 100.0) == pytest.approx(7.0)
