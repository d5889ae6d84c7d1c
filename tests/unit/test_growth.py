from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.costs.folding import growths
from analysis.costs.growth import Experiment, Fit, fit_growth, fit_process, shape_of
from analysis.evidence.stacks import StackCounts
from analysis.statistics.regression import Slope, design, holm, odds_slope, odds_slopes, rate_slope, rate_slopes
from tests.support.experiments import HANDLE, LOOP, Costs, experiment, service

LEVELS = np.repeat([40.0, 80.0, 160.0, 320.0], 4)
MINUTES = np.random.default_rng(2).permutation(16) / 10


def quadratic(tps: float) -> float:
    return 4.0 * tps


def constant(_: float) -> float:
    return 400.0


# The two witnesses


@given(
    exponent=st.floats(-0.5, 2.5),
    recall=st.lists(st.floats(0.3, 1.0), min_size=16, max_size=16),
    share=st.floats(0.02, 0.9),
)
def test_whatever_a_sampler_overlooks_in_a_visit_a_ratio_of_samples_keeps_its_slope(
    exponent: float, recall: list[float], share: float
) -> None:
    seen = np.array(recall)
    others = 1_000.0 * seen * LEVELS / 40
    counts = others * share * (LEVELS / 40) ** exponent
    slope = odds_slope(counts, others, design(np.log(LEVELS), MINUTES))
    assert slope is not None
    assert slope.value == pytest.approx(exponent, abs=1e-4)


@given(exponent=st.floats(-0.8, 2.0), per_minute=st.floats(-0.5, 0.5))
def test_a_slow_drift_in_time_is_not_taken_for_growth_when_the_order_was_random(
    exponent: float, per_minute: float
) -> None:
    requests = LEVELS * 3
    cpu_us = requests * 500 * (LEVELS / 40) ** exponent * np.exp(per_minute * MINUTES)
    slope = rate_slope(cpu_us, requests, design(np.log(LEVELS), MINUTES))
    assert slope is not None
    assert slope.value == pytest.approx(exponent, abs=1e-4)


def test_a_ratio_is_unbiased_even_when_the_rest_has_few_samples() -> None:
    random = np.random.default_rng(4)
    found = []
    for _ in range(150):
        others, counts = random.poisson(LEVELS / 40 * 1.5), random.poisson((LEVELS / 40) ** 2 * 1.5)
        slope = odds_slope(counts.astype(float), others.astype(float), design(np.log(LEVELS), MINUTES))
        assert slope is not None
        found.append(slope.value)
    assert np.mean(found) == pytest.approx(1.0, abs=0.06)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        others, counts = random.poisson(LEVELS), random.poisson(LEVELS * 0.3 * (LEVELS / 40) ** 0.5)
        slope = odds_slope(counts.astype(float), others.astype(float), design(np.log(LEVELS), MINUTES))
        assert slope is not None
        low, high = slope.interval()
        held += low <= 0.5 <= high
    assert 0.92 <= held / 200 <= 1.0


def test_counts_that_happen_to_lie_on_a_line_are_still_counts() -> None:
    """Sixteen visits may look smoother than independent samples can be; the interval must not believe it."""
    slope = odds_slope(LEVELS * 0.5, LEVELS, design(np.log(LEVELS), MINUTES))
    assert slope is not None
    spread = np.log(LEVELS).std() * (LEVELS.sum() * 0.5 / 1.5) ** 0.5  # of the information in that many samples
    low, high = slope.interval()
    assert (high - low) / 2 > 0.7 * 1.96 / spread


def test_the_least_error_is_that_of_counting_and_judged_by_the_normal_distribution() -> None:
    """It is known, not estimated: Student's wider tails for it would make intervals that hold the truth too often."""
    smooth = Slope(0.3, 0.01, 13, least_error=0.1)
    rough = Slope(0.3, 0.1, 13, least_error=0.01)
    assert smooth.interval() == pytest.approx((0.3 - 1.95996 * 0.1, 0.3 + 1.95996 * 0.1), abs=1e-5)
    assert rough.interval() == pytest.approx((0.3 - 2.16037 * 0.1, 0.3 + 2.16037 * 0.1), abs=1e-5)
    assert smooth.p_above(0.1) == pytest.approx(0.02275, abs=1e-5)
    assert rough.p_above(0.1) == pytest.approx(0.0334, abs=1e-3)
    exact = Slope(0.3, 0.0, 13)
    assert (exact.p_above(0.2), exact.p_above(0.4)) == (0.0, 1.0)


def test_intervals_of_growth_hold_the_truth_in_92_to_98_percent_also_where_a_function_is_most_of_its_process() -> None:
    """The kernel's CPU time is exact, and only how it is divided is counted; as if all were, 99.9% hold the truth."""
    random = np.random.default_rng(6)
    held = []
    for _ in range(400):
        completed = LEVELS * 3
        others, counts = random.poisson(LEVELS / 8), random.poisson(LEVELS / 2)
        measured = Experiment(
            tps=LEVELS,
            level_tps=LEVELS,
            minutes=MINUTES,
            seconds=np.full(16, 3.0),
            completed=completed,
            cpu_us=completed * 2_000,
            randomised=True,
        )
        fit = fit_growth(counts.astype(float), others.astype(float), (counts + others).astype(float), measured)
        assert fit is not None
        held.append(fit.low <= 1 <= fit.high)
    assert 0.92 <= np.mean(held) <= 0.985


@pytest.mark.parametrize(
    ("counts", "others"),
    [
        pytest.param(np.zeros(16), np.full(16, 50.0), id="a function that was never seen"),
        pytest.param(np.full(16, 50.0), np.zeros(16), id="a function that is always on the stack"),
        pytest.param(np.full(2, 50.0), np.full(2, 50.0), id="fewer visits than coefficients"),
    ],
)
def test_what_cannot_be_told_is_none(counts: np.ndarray, others: np.ndarray) -> None:
    assert odds_slope(counts, others, design(np.log(LEVELS[: len(counts)]))) is None


def test_a_time_column_that_says_the_same_as_the_rate_is_left_out() -> None:
    assert design(np.log(LEVELS), np.log(LEVELS)).shape == (16, 2)


@pytest.mark.parametrize(
    ("p_values", "fall"),
    [
        ([0.001, 0.02, 0.9], [True, False, False]),
        ([0.001, 0.012, 0.02], [True, True, True]),
        ([0.03, 0.9], [False, False]),
        ([], []),
    ],
)
def test_holm_lets_hypotheses_fall_in_order_until_one_stands(p_values: list[float], fall: list[bool]) -> None:
    assert holm(np.array(p_values), 0.025).tolist() == fall


# The shape of a growth


@pytest.mark.parametrize(
    ("low", "high", "shape"),
    [
        (0.9, 1.1, "linear"),
        (0.7, 1.3, "linear"),
        (0.6, 1.4, "unclear"),
        (1.05, 1.14, "linear"),
        (1.05, 1.3, "unclear"),
        (1.2, 1.4, "unclear"),
        (0.4, 0.8, "sublinear"),
        (0.4, 0.9, "unclear"),
    ],
)
def test_without_a_claim_the_interval_gives_the_word(low: float, high: float, shape: str) -> None:
    fit = Fit((low + high) / 2, low, high, p_superlinear=0.5, samples=500)
    assert shape_of(fit, superlinear=False) == shape


def test_without_a_fit_the_shape_is_unclear() -> None:
    assert shape_of(None, superlinear=False) == "unclear"


# A whole service


@pytest.mark.parametrize("drift", [0.0, 0.15, -0.15])
@pytest.mark.parametrize("fixed", [0.0, 40_000.0])
def test_no_innocent_function_is_called_superlinear(drift: float, fixed: float) -> None:
    accused = []
    for seed in range(8):
        found = growths(*experiment(service(sweep=constant, fixed_us_per_s=fixed), seed=seed, drift=drift))
        accused += found.culprits
    assert accused == []


def test_fixed_work_would_fool_the_ratio_alone_and_does_not_fool_both() -> None:
    relative, counted = [], []
    for seed in range(8):
        stacks, measured = experiment(service(sweep=constant, fixed_us_per_s=60_000.0), seed=seed)
        fit = growths(stacks, measured).by_function["rank"].fit
        assert fit is not None
        relative.append(fit.relative)
        counted.append(fit.growth)
    assert np.mean(relative) > 1.2
    assert np.mean(counted) == pytest.approx(1.0, abs=0.07)


def test_what_makes_all_code_dearer_under_load_accuses_nobody_and_is_a_finding_about_the_process() -> None:
    """A busy neighbour, say: the CPU time of everything rises, and only the ratio tells that it rose alike."""
    costs = service(sweep=constant, fixed_us_per_s=0)
    dearer = {stack: lambda tps, cost=cost: cost(tps) * (tps / 40) ** 0.3 for stack, cost in costs.items()}
    for seed in range(8):
        stacks, measured = experiment(dearer, seed=seed, seconds=6)
        found = growths(stacks, measured)
        assert found.culprits == ()
        assert found.by_function["rank"].shape == "linear"
        process = fit_process(measured)
        assert process is not None
        assert process.low > 1.15


@pytest.mark.parametrize("drift", [0.0, 0.15])
def test_the_planted_function_is_found_every_time_and_measured(drift: float) -> None:
    for seed in range(8):
        found = growths(*experiment(service(sweep=quadratic), seed=seed, drift=drift))
        planted = found.by_function["sweep"]
        assert found.culprits == ("sweep",)
        assert planted.shape == "superlinear"
        assert planted.fit is not None
        assert planted.fit.low > 1.15
        assert planted.fit.growth == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize(
    ("exponent", "samples", "at_least"),
    [
        pytest.param(2.0, 400, 10, id="growth 2 with 400 samples"),
        pytest.param(1.4, 2_000, 8, id="growth 1.4 with 2,000 samples"),
    ],
)
def test_power(exponent: float, samples: int, at_least: int) -> None:
    found = 0
    for seed in range(10):
        hz = 400.0
        costs = service(sweep=lambda tps: 500 * (tps / 160) ** (exponent - 1))
        stacks, _ = experiment(costs, seed=seed, hz=hz)
        seen = stacks.inclusive()[stacks.functions.index("sweep")].sum()
        judged = growths(*experiment(costs, seed=seed, hz=hz * samples / seen))
        found += judged.culprits == ("sweep",)
    assert found >= at_least


def test_callers_are_folded_under_the_function_that_explains_them() -> None:
    found = growths(*experiment(service(sweep=quadratic), seed=1, seconds=6)).by_function
    assert {name: one.inherits_from for name, one in found.items() if one.inherits_from} == dict.fromkeys(
        ("main", "run_forever", "_run_once", "_run", "handle", "search", "checkout"), "sweep"
    )
    search = found["search"]
    assert search.shape == "linear"
    assert search.fit is not None
    assert search.fit.growth == pytest.approx(1.0, abs=0.15)


def test_a_caller_that_does_nothing_else_is_not_accused_beside_its_callee() -> None:
    costs = service(sweep=constant) | {(*HANDLE, "admin", "wrap", "audit"): quadratic}
    found = growths(*experiment(costs, seed=2))
    assert found.culprits == ("audit",)
    assert found.by_function["admin"].inherits_from == "audit"
    assert found.by_function["admin"].shape == "unclear"


def test_a_helper_that_a_growing_function_calls_ever_more_often_belongs_to_it() -> None:
    costs = service(sweep=lambda tps: 0.7 * quadratic(tps)) | {
        (*HANDLE, "search", "sweep", "tally"): lambda tps: 0.3 * quadratic(tps)
    }
    found = growths(*experiment(costs, seed=3, seconds=6))
    assert found.culprits == ("sweep",)
    assert found.by_function["tally"].part_of == "sweep"


def test_two_causes_are_both_found() -> None:
    costs = service(sweep=quadratic) | {(*HANDLE, "checkout", "lock"): lambda tps: 0.008 * tps**2}
    found = growths(*experiment(costs, seed=4, seconds=6))
    assert set(found.culprits) == {"sweep", "lock"}
    lock = found.by_function["lock"].fit
    assert lock is not None
    assert lock.growth == pytest.approx(3.0, abs=0.5)


def test_a_ramp_convicts_nobody() -> None:
    found = growths(*experiment(service(sweep=quadratic), seed=1, randomised=False))
    assert found.culprits == ("sweep",)  # a candidate, to be named as indicative
    assert {one.shape for one in found.by_function.values()} == {"unclear"}


def test_the_growth_of_the_whole_process_is_that_of_its_cpu_time() -> None:
    _, measured = experiment(service(sweep=constant, fixed_us_per_s=0), seed=1)
    flat = fit_process(measured)
    rising = fit_process(replace(measured, cpu_us=measured.cpu_us * (measured.tps / 40) ** 0.5))
    assert flat is not None
    assert rising is not None
    assert flat.growth == pytest.approx(1.0, abs=0.05)
    assert rising.growth == pytest.approx(1.5, abs=0.05)


# Too little to tell


def _of_rates(rates: tuple[float, ...], visits: int) -> Experiment:
    return experiment(service(sweep=constant), rates=rates, visits=visits)[1]


@pytest.mark.parametrize(
    ("rates", "visits", "lacks"),
    [
        ((100,), 8, "1 usable rate, and growth needs 3"),
        ((50, 200), 4, "2 usable rates, and growth needs 3"),
        ((50, 100, 200), 1, "3 usable visits, and growth needs 6"),
        ((50, 60, 70), 4, "the rates span 1."),
        ((25, 50, 100, 200), 2, None),
    ],
)
def test_an_experiment_says_what_it_lacks(rates: tuple[float, ...], visits: int, lacks: str | None) -> None:
    found = _of_rates(rates, visits).lacks
    assert found is None if lacks is None else (found or "").startswith(lacks)


@pytest.mark.parametrize(("mine", "rest"), [(3.0, 100.0), (100.0, 3.0)])
def test_under_sixty_samples_of_either_side_nothing_is_fitted(mine: float, rest: float) -> None:
    _, measured = experiment(service(sweep=constant))
    assert fit_growth(np.full(16, mine), np.full(16, rest), np.full(16, mine + rest), measured) is None


def test_a_run_without_samples_has_no_growth_and_no_culprits() -> None:
    _, measured = experiment(service(sweep=constant))
    found = growths(StackCounts.of([], np.zeros((0, 16))), measured)
    assert (found.by_function, found.culprits) == ({}, ())


# Stacks


def test_a_function_that_calls_itself_counts_once_a_sample_and_empty_stacks_are_unattributed() -> None:
    stacks = StackCounts.of([("main", "walk", "walk"), ("main",), ()], np.array([[3.0, 4], [1, 0], [5, 6]]))
    assert stacks.inclusive().tolist() == [[4, 4], [3, 4]]
    assert stacks.functions == ("main", "walk")
    assert stacks.unattributed.tolist() == [5, 6]
    assert stacks.total.tolist() == [9, 10]
    assert stacks.without([1]).sum() == 1


def test_functions_that_are_always_together_are_one_hypothesis() -> None:
    """Else a deep call chain would pay for its depth: twenty names of plumbing must not hide a growing function."""
    chain = tuple(f"layer_{level}" for level in range(40))

    def buried(costs: Costs) -> Costs:
        return {(*chain, *stack): cost for stack, cost in costs.items()}

    sweep: Callable[[float], float] = lambda tps: 150 * (tps / 160) ** 0.7  # noqa: E731  a cost beside the others
    plain = growths(*experiment(service(sweep=sweep), seed=6, seconds=5))
    deep = growths(*experiment(buried(service(sweep=sweep)), seed=6, seconds=5))
    assert plain.culprits == deep.culprits == ("sweep",)
    assert deep.by_function["layer_3"].fit is None
    assert LOOP[0] in deep.by_function


Step = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def fitted_alone(step: Step, start: float, columns: np.ndarray) -> tuple[float, float] | None:
    """A slope and its error by the textbook: one series, and only the rows that are known."""
    beta = np.array([start, *np.zeros(columns.shape[1] - 1)])
    for _ in range(60):
        residual, weight = step(columns @ beta)
        information = columns.T @ (columns * weight[:, None])
        change = np.clip(np.linalg.solve(information + 1e-10 * np.eye(len(beta)), columns.T @ residual), -2, 2)
        beta = beta + change
        if np.abs(change).max() < 1e-9:
            dispersion = float((residual**2 / weight).sum() / (len(columns) - len(beta)))
            return float(beta[1]), float((dispersion * np.linalg.inv(information)[1, 1]) ** 0.5)
    return None


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_many_series_are_fitted_at_once_as_each_is_by_itself(seed: int, series: int) -> None:
    random = np.random.default_rng(seed)
    counts, others = (random.poisson(random.choice([0, 3, 90], (series, 1)), (series, 16)) * 1.0 for _ in range(2))
    counts[:, 5] = others[:, 5] = 0.0
    columns = design(np.log(LEVELS), MINUTES)
    of_odds = odds_slopes(counts, others, columns)
    of_rates = rate_slopes(counts, LEVELS, columns, least_dispersion=np.zeros(series))
    for place, (mine, rest) in enumerate(zip(counts, others, strict=True)):
        size = mine + rest
        known = size > 0

        def odds(predicted: np.ndarray, mine: np.ndarray = mine[known], size: np.ndarray = size[known]) -> tuple:
            share = 1 / (1 + np.exp(-np.clip(predicted, -40, 40)))
            return mine - size * share, np.maximum(size * share * (1 - share), 1e-9)

        def rates(predicted: np.ndarray, mine: np.ndarray = mine) -> tuple:
            mean = LEVELS * np.exp(np.clip(predicted, -40, 40))
            return mine - mean, mean

        odds_tell, rates_tell = known.sum() > 3 and 0 < mine.sum() < size.sum(), mine.sum() > 0
        start = float(np.log((mine.sum() + 0.5) / (rest.sum() + 0.5)))
        for found, alone in (
            (of_odds[place], fitted_alone(odds, start, columns[known]) if odds_tell else None),
            (of_rates[place], fitted_alone(rates, np.log(mine.sum() / LEVELS.sum()), columns) if rates_tell else None),
        ):
            assert (found and (found.value, found.standard_error)) == (alone and pytest.approx(alone, rel=1e-5))
