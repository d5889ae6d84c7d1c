"""The latency sketch: within one per cent, and the same however windows are grouped."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sketch import GAMMA, RELATIVE_ERROR, Sketch

latencies = st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=200)
quantiles = st.floats(0, 1)


def exact(values: list[int], q: float) -> int:
    return sorted(values)[max(ceil(q * len(values)), 1) - 1]


def test_the_promised_error_is_at_most_one_per_cent() -> None:
    assert 0 < RELATIVE_ERROR <= 0.01


@given(latencies, quantiles)
def test_a_quantile_is_within_the_promised_error_of_the_latency_of_that_rank(values: list[int], q: float) -> None:
    assert Sketch.of(np.array(values)).quantile_us(q) == pytest.approx(exact(values, q), rel=RELATIVE_ERROR + 1e-6)


@given(latencies, st.lists(quantiles, max_size=6))
def test_several_quantiles_are_as_one_by_one(values: list[int], several: list[float]) -> None:
    sketch = Sketch.of(np.array(values))
    assert sketch.quantiles_us(*several) == [sketch.quantile_us(q) for q in several]
    assert Sketch().quantiles_us(*several) == [None] * len(several)


@given(latencies)
def test_the_mean_is_within_the_promised_error(values: list[int]) -> None:
    assert Sketch.of(np.array(values)).mean_us == pytest.approx(sum(values) / len(values), rel=RELATIVE_ERROR + 1e-6)


@pytest.mark.parametrize("power", [0, 1, 2, 100, 700, 1100])
def test_the_error_holds_at_the_edges_of_buckets(power: int) -> None:
    for latency in {max(round(GAMMA**power) + step, 1) for step in (-1, 0, 1)}:
        assert Sketch.of(np.array([latency])).quantile_us(0.5) == pytest.approx(latency, rel=RELATIVE_ERROR + 1e-6)


def test_realistic_latencies_have_their_percentiles_within_one_per_cent() -> None:
    values = np.random.default_rng(3).lognormal(9, 1.2, 50_000).astype(np.uint32)
    sketch = Sketch.of(values)
    for q in (0.5, 0.9, 0.95, 0.99, 0.999):
        assert sketch.quantile_us(q) == pytest.approx(exact(values.tolist(), q), rel=0.01)
    assert len(sketch.buckets) < 1000


@given(st.lists(latencies, max_size=5))
def test_the_sketches_of_parts_merge_into_the_sketch_of_the_whole_in_any_order(parts: list[list[int]]) -> None:
    sketches = [Sketch.of(np.array(part)) for part in parts]
    whole = Sketch.of(np.array([value for part in parts for value in part], np.int64))
    assert Sketch.merged(sketches) == Sketch.merged(reversed(sketches)) == whole
    assert whole.count == sum(len(part) for part in parts)


@given(latencies)
def test_buckets_ascend_and_none_is_empty(values: list[int]) -> None:
    sketch = Sketch.of(np.array(values))
    assert list(sketch.buckets) == sorted(set(sketch.buckets))
    assert min(sketch.counts) > 0


def test_less_than_a_microsecond_counts_as_one() -> None:
    assert Sketch.of(np.array([0])) == Sketch.of(np.array([1]))


def test_an_empty_sketch_has_no_quantile() -> None:
    assert Sketch().quantile_us(0.5) is None
    assert Sketch.of(np.array([], np.int64)) == Sketch.merged([]) == Sketch()
