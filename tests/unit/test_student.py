"""Quantiles and tails, against those of scipy.stats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.student import normal_quantile, t_above, t_quantile

PROBABILITIES = st.floats(0.001, 0.999)
DEGREES = st.integers(1, 200)


@given(PROBABILITIES, DEGREES)
def test_the_quantile_of_t_is_that_of_its_distribution(probability: float, degrees: int) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-6, abs=1e-9)


@given(st.floats(-50, 50), DEGREES)
def test_the_tail_of_t_is_that_of_its_distribution(value: float, degrees: int) -> None:
    assert t_above(value, degrees) == pytest.approx(stats.t.sf(value, degrees), rel=1e-6)


@given(PROBABILITIES)
def test_the_quantile_of_the_normal_is_that_of_its_distribution(probability: float) -> None:
    assert normal_quantile(probability) == pytest.approx(stats.norm.ppf(probability), rel=1e-9, abs=1e-12)
