import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.percentiles import Latencies, Percentile

Pairs = list[tuple[float, int]]
pairs = st.lists(st.tuples(st.floats(1, 1e7), st.integers(1, 50)), max_size=12)
quantiles = st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


@pytest.mark.parametrize(
    ("answered", "censored", "q", "us", "is_bound"),
    [
        pytest.param([(10.0, 50), (20.0, 50)], [], 0.5, 10, False, id="the fiftieth of a hundred"),
        pytest.param([(10.0, 50), (20.0, 50)], [], 0.51, 20, False, id="the fifty-first"),
        pytest.param(
            [(10.0, 99)], [(5_000.0, 1)], 0.99, 10, False, id="a timeout beyond the percentile changes nothing"
        ),
        pytest.param([(10.0, 98)], [(5_000.0, 2)], 0.99, 5_000, True, id="among timeouts: over the time waited"),
        pytest.param([(10.0, 90)], [(0.0, 10)], 0.95, 10, True, id="among drops: over what was answered slowest"),
        pytest.param([], [(0.0, 7)], 0.5, 0, True, id="nothing but drops: over nothing"),
    ],
)
def test_percentile(answered: Pairs, censored: Pairs, q: float, us: float, is_bound: bool) -> None:
    assert Latencies.of(answered, censored).quantile(q) == Percentile(us, is_bound)


def test_a_cap_in_flight_does_not_turn_a_stalling_target_into_a_fast_one() -> None:
    """A target that stalls: with a cap of 100 most arrivals are dropped, and the few answers are quick."""
    honest = Latencies.of([(1_000.0, 900)], [(0.0, 4_100)]).quantile(0.95)
    assert honest is not None
    assert honest.censored


def test_without_requests_there_is_no_percentile_and_no_mean() -> None:
    nothing = Latencies.of([])
    assert nothing.quantile(0.99) is None
    assert nothing.mean is None


@given(answered=pairs, q=quantiles)
def test_without_censoring_it_is_the_value_of_that_rank(answered: Pairs, q: float) -> None:
    found = Latencies.of(answered).quantile(q)
    values = np.sort(np.repeat([value for value, _ in answered], [count for _, count in answered]))
    if len(values):
        expected = values[min(max(int(np.ceil(q * len(values) - 1e-9)), 1), len(values)) - 1]
        assert found == Percentile(expected)
    else:
        assert found is None


@given(answered=pairs, truth=pairs, part=st.floats(0, 1), q=quantiles)
def test_a_bound_is_never_above_the_truth(answered: Pairs, truth: Pairs, part: float, q: float) -> None:
    """`truth` took its time, of which only `part` was watched."""
    watched = Latencies.of(answered, [(value * part, count) for value, count in truth]).quantile(q)
    known = Latencies.of(answered + truth).quantile(q)
    if watched is not None and known is not None and watched.censored:
        assert watched.us <= known.us


@given(answered=pairs, censored=pairs, more=st.integers(1, 20), q=quantiles)
def test_dropping_more_never_makes_a_percentile_look_better(
    answered: Pairs, censored: Pairs, more: int, q: float
) -> None:
    """Exact values never fall; and once a percentile is only a bound it stays one."""
    before = Latencies.of(answered, censored).quantile(q)
    after = Latencies.of(answered, [*censored, (0.0, more)]).quantile(q)
    assert after is not None
    if before is not None:
        assert after.censored or (not before.censored and after.us >= before.us)


@given(parts=st.lists(st.tuples(pairs, pairs), max_size=4), q=quantiles)
def test_merging_is_the_same_as_counting_together(parts: list[tuple[Pairs, Pairs]], q: float) -> None:
    merged = Latencies.merged(Latencies.of(answered, censored) for answered, censored in parts)
    together = Latencies.of(
        [pair for answered, _ in parts for pair in answered], [pair for _, censored in parts for pair in censored]
    )
    assert merged.count == together.count
    assert merged.quantile(q) == together.quantile(q)


@pytest.mark.parametrize(("censored", "mean"), [([], Percentile(15.0)), ([(30.0, 2)], Percentile(22.5, censored=True))])
def test_the_mean_is_a_bound_as_soon_as_one_request_is(censored: Pairs, mean: Percentile) -> None:
    assert Latencies.of([(10.0, 1), (20.0, 1)], censored).mean == mean
