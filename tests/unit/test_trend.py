import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.change_points import steps
from analysis.statistics.trend import Trend, trend
from tests.support.soaks import autocorrelated

HOURS = np.arange(60) / 60


def line(values: np.ndarray) -> Trend:
    found = trend(values, HOURS)
    assert found is not None
    return found


@given(slope=st.floats(-50, 50), level=st.floats(100, 1_000))
def test_a_line_is_found_as_it_is(slope: float, level: float) -> None:
    found = line(level + slope * HOURS)
    assert found.slope == pytest.approx(slope, abs=1e-6)
    assert found.ends() == pytest.approx((level, level + slope * HOURS[-1]))


def test_what_an_hour_adds_is_a_share_of_the_beginning() -> None:
    found = trend(310 + 36.7 * np.arange(180) / 60, np.arange(180) / 60)
    assert found is not None
    assert found.share_per_hour == pytest.approx([36.7 / 310] * 3, rel=1e-6)


def test_latency_rises_by_a_factor() -> None:
    found = trend(9_000 * np.exp(0.2 * HOURS), HOURS, is_log=True)
    assert found is not None
    assert found.rise() == pytest.approx(np.exp(0.2 * HOURS[-1]) - 1)


def test_a_change_of_level_that_is_fitted_beside_it_leaves_no_slope() -> None:
    after = (np.arange(60) >= 25).astype(float)
    found = trend(100 + 30 * after, HOURS, after[:, None])
    assert found is not None
    assert found.slope == pytest.approx(0, abs=1e-9)


def test_from_nothing_a_rise_is_without_bound() -> None:
    assert line(np.linspace(-1e-12, 5, 60)).rise() == float("inf")


def test_too_few_units_tell_nothing() -> None:
    assert trend(np.arange(11.0), np.arange(11.0)) is None


@pytest.mark.parametrize(
    ("correlation", "slow_share"),
    [(0.0, 0.0), (0.5, 0.0), (0.8, 0.0), (0.8, 0.5)],
    ids=["independent", "weak", "strong", "half of it strong"],
)
def test_minutes_that_are_alike_do_not_narrow_the_interval(correlation: float, slow_share: float) -> None:
    """The textbook's interval misses the truth in 48% of the cases where the correlation is 0.8."""
    random = np.random.default_rng(7)
    noise = autocorrelated(random, 60, 150, correlation, white=slow_share)
    found = [line(10 + 2 * HOURS + one) for one in noise]
    assert np.mean([abs(one.slope - 2) <= one.half for one in found]) >= 0.88


@pytest.mark.parametrize("size", [4.0, -8.0])
def test_a_level_that_changes_is_found_where_it_does(size: float) -> None:
    random = np.random.default_rng(8)
    for noise in autocorrelated(random, 60, 8, 0.3):
        (found,) = steps(100 + noise + size * (np.arange(60) >= 22))
        assert abs(found.at - 22) <= 2
        assert found.after - found.before == pytest.approx(size, abs=1.5)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_noise_alone_changes_no_level(correlation: float) -> None:
    random = np.random.default_rng(9)
    found = [bool(steps(one)) for one in autocorrelated(random, 60, 50, correlation)]
    assert sum(found) <= 1


@given(st.lists(st.floats(-1e6, 1e6), max_size=80))
def test_levels_are_in_order_and_last(values: list[float]) -> None:
    places = [0, *(step.at for step in steps(np.array(values))), len(values)]
    assert len(places) == 2 or min(np.diff(places)) >= 5
