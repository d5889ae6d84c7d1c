"""Variances shrunk over many figures: right where figures are independent, and no surer than they are where not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.moderation import Contrast, Moderated, detectable, fit_prior, moderate
from tests.support.groups import abba

FIVE = abba(5)
AT = np.arange(10.0)


def contrast(values: np.ndarray, is_new: np.ndarray = FIVE) -> Contrast:
    return Contrast.of(values, is_new, np.arange(len(is_new), dtype=float))


@given(per_run=st.floats(-0.2, 0.2), effect=st.floats(-1, 1), pairs=st.sampled_from([4, 6, 8]))
def test_a_linear_drift_is_no_difference_where_the_runs_were_taken_in_turns(
    per_run: float, effect: float, pairs: int
) -> None:
    is_new = abba(pairs)
    found = contrast((effect * is_new + per_run * np.arange(2 * pairs))[None, :], is_new)
    assert found.drift_removed
    assert found.effect[0] == pytest.approx(effect, abs=1e-9)
    assert found.variance[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("pairs", [2, 4])
def test_whole_turns_cancel_a_drift_of_themselves(pairs: int) -> None:
    is_new = abba(pairs)
    assert np.flatnonzero(is_new).mean() == np.flatnonzero(~is_new).mean()


@pytest.mark.parametrize(
    ("is_new", "interleaved"),
    [
        pytest.param(FIVE, True, id="ABBAABBAAB"),
        pytest.param(abba(3), True, id="ABBAAB"),
        pytest.param(np.array([False, True] * 5), True, id="ABAB"),
        pytest.param(np.arange(10) >= 5, False, id="one side after the other"),
        pytest.param(np.arange(6) >= 3, False, id="one side after the other, three each"),
    ],
)
def test_sides_one_after_the_other_cannot_be_told_from_time(is_new: np.ndarray, interleaved: bool) -> None:
    found = contrast(np.random.default_rng(1).normal(0, 1, (20, len(is_new))), is_new)
    assert found.interleaved is interleaved
    assert found.drift_removed is (interleaved and len(is_new) >= 8)


def test_a_figure_alone_is_judged_by_student() -> None:
    values = np.random.default_rng(3).normal(0, 1, (1, 6))
    found = moderate(contrast(values, abba(3)), np.zeros(1))
    base, new = values[0, ~abba(3)], values[0, abba(3)]
    pooled = (base.var(ddof=1) + new.var(ddof=1)) / 2
    assert found.effect[0] == pytest.approx(new.mean() - base.mean())
    assert found.standard_error[0] == pytest.approx((pooled * 2 / 3) ** 0.5)
    assert (found.degrees[0], found.prior) == (4, None)


def test_independent_figures_lend_each_other_their_degrees_of_freedom() -> None:
    found = moderate(contrast(np.random.default_rng(2).normal(0, 0.02, (80, 10))), np.zeros(80))
    assert found.prior is not None
    assert found.prior.between**0.5 == pytest.approx(0.02, rel=0.1)
    assert found.degrees.min() > 50


def test_figures_that_rise_and_fall_together_are_one_observation() -> None:
    random = np.random.default_rng(2)
    together = random.normal(0, 0.02, (1, 10)) + random.normal(0, 0.0005, (80, 10))
    found = moderate(contrast(together), np.zeros(80))
    assert found.degrees.max() < 15


def test_the_chance_of_samples_is_told_from_the_spread_between_runs() -> None:
    random = np.random.default_rng(5)
    samples = np.geomspace(20, 20_000, 60)
    values = random.normal(0, 0.02, (60, 10)) + random.normal(0, 1, (60, 10)) / samples[:, None] ** 0.5
    prior = fit_prior(contrast(values), 1 / samples)
    assert prior.between**0.5 == pytest.approx(0.02, rel=0.25)
    assert prior.scale == 1
    regular = fit_prior(contrast(random.normal(0, 0.5, (60, 10)) / samples[:, None] ** 0.5), 1 / samples)
    assert regular.between == 0
    assert regular.scale == pytest.approx(0.25, rel=0.2)


def test_figures_of_different_spread_are_shrunk_less() -> None:
    """Smyth's prior degrees of freedom are found again: variances drawn from a scaled inverse chi-square of 6."""
    random = np.random.default_rng(4)
    sd = 0.02 * (6 / random.chisquare(6, 2_000)) ** 0.5
    prior = fit_prior(contrast(random.normal(0, 1, (2_000, 10)) * sd[:, None]), np.zeros(2_000))
    assert prior.degrees == pytest.approx(6, rel=0.25)
    assert prior.between**0.5 == pytest.approx(0.02, rel=0.1)


def test_what_is_called_detectable_is_found_in_four_of_five() -> None:
    random, threshold, error = np.random.default_rng(6), 0.001, 0.7
    effects = detectable(error, 7, threshold) + random.normal(0, 1, 4_000) * error
    errors = error * (random.chisquare(7, 4_000) / 7) ** 0.5
    p = Moderated(effects, errors, np.full(4_000, 7.0), None).p_values()
    assert 0.72 < (p < threshold).mean() < 0.88


def test_what_is_no_larger_than_the_steps_of_a_figure_is_no_difference() -> None:
    """All runs of a side in one bucket, of the other in the next: no spread at all, and no difference either."""
    found = moderate(contrast(np.where(FIVE, 0.0198, 0.0)[None, :]), np.zeros(1))
    assert found.p_values(0.0199)[0] >= 0.5
    assert found.p_values()[0] < 1e-6
