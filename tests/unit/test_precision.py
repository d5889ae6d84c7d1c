"""How exactly times travel: within a stated error, the same when rounded again, and with no quantile changed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.precision import (
    LONGEST_US,
    UNKNOWN_US,
    WEIGHT_STEP_US,
    lags_us,
    latencies_us,
    sample_weights_us,
    sampled_at_us,
)
from schemas.sketch import GAMMA, Sketch, buckets_of

times = st.lists(st.one_of(st.integers(0, 1 << 17), st.integers(0, LONGEST_US)), min_size=1, max_size=200)
_ENDS_US = np.unique(np.floor(GAMMA ** (np.arange(2, 2240) / 2))).astype(np.int64)
EVERY_CORNER_US = np.unique(
    np.concatenate([np.arange(1 << 17), *(_ENDS_US + step for step in (-1, 0, 1)), [LONGEST_US - 1, LONGEST_US]])
)
"""What might fall on the wrong side of something: all short times, and those around the ends of all cells."""
EVERY_CORNER_US = EVERY_CORNER_US[EVERY_CORNER_US <= LONGEST_US]


def test_a_latency_stays_within_half_a_percent_and_half_a_microsecond():
    assert (np.abs(latencies_us(EVERY_CORNER_US) - EVERY_CORNER_US) <= 0.005 * EVERY_CORNER_US + 0.5).all()


def test_a_lag_stays_within_eight_percent_and_half_a_microsecond():
    lags = lags_us(EVERY_CORNER_US, np.uint32(LONGEST_US))
    assert (np.abs(lags - EVERY_CORNER_US) <= 0.08 * EVERY_CORNER_US + 0.5).all()


def test_a_latency_stays_in_its_bucket_of_the_sketch():
    assert (buckets_of(latencies_us(EVERY_CORNER_US)) == buckets_of(EVERY_CORNER_US)).all()


def test_nothing_stays_nothing_and_a_time_that_no_row_can_say_is_told_as_the_longest():
    assert latencies_us(np.array([0, 1, LONGEST_US, 2**40])).tolist()[:2] == [0, 1]
    assert latencies_us(np.array([2**40])) == latencies_us(np.array([LONGEST_US]))
    assert latencies_us(np.zeros(0, np.int64)).dtype == np.uint32


def test_no_time_however_long_is_taken_for_one_that_nobody_took():
    assert latencies_us(np.array([LONGEST_US, UNKNOWN_US, 2**40])).max() < UNKNOWN_US


def test_few_numbers_are_left_of_all_times():
    assert len(np.unique(latencies_us(EVERY_CORNER_US))) < 2000
    assert len(np.unique(lags_us(EVERY_CORNER_US, np.uint32(LONGEST_US)))) < 150


@given(times)
def test_the_sketch_of_latencies_as_they_travel_is_that_of_the_exact_ones(values: list[int]):
    assert Sketch.of(latencies_us(np.array(values))) == Sketch.of(np.array(values))


@given(st.lists(st.tuples(*[st.integers(0, 1 << 20)] * 3).map(sorted), min_size=1))
def test_what_is_rounded_stays_as_it_is_and_no_part_is_longer_than_its_whole(rows: list[list[int]]):
    """As a row's dispatch lag, write lag and latency, which begin together."""
    dispatch, write, latency = np.array(rows).T

    def travels(dispatch: np.ndarray, write: np.ndarray, latency: np.ndarray) -> tuple[np.ndarray, ...]:
        whole = latencies_us(latency)
        written = lags_us(write, whole)
        return lags_us(dispatch, written), written, whole

    once = travels(dispatch, write, latency)
    assert (once[0] <= once[1]).all()
    assert (once[1] <= once[2]).all()
    for now, before in zip(travels(*once), once, strict=True):
        assert now.tolist() == before.tolist()


@given(st.lists(st.integers(0, LONGEST_US), min_size=2))
def test_order_is_kept(values: list[int]):
    assert (np.diff(latencies_us(np.array(sorted(values))).astype(np.int64)) >= 0).all()


@given(st.integers(0, 2**50), st.integers(100, 60_000))
def test_a_sample_keeps_its_window(at_us: int, window_ms: int):
    kept_us = sampled_at_us(at_us)
    assert 0 <= at_us - kept_us < 1000
    assert kept_us // (window_ms * 1000) == at_us // (window_ms * 1000)
    assert sampled_at_us(kept_us) == kept_us


@given(st.lists(st.integers(1, 1_000_000)))
def test_weights_of_samples_keep_their_sum_and_each_is_within_a_step(exact_us: list[int]):
    kept_us = sample_weights_us(exact_us)
    assert abs(sum(kept_us) - sum(exact_us)) <= WEIGHT_STEP_US / 2
    assert all(abs(kept - exact) <= WEIGHT_STEP_US for kept, exact in zip(kept_us, exact_us, strict=True))
    assert min(kept_us, default=1) > 0
    assert sample_weights_us(kept_us) == kept_us


def test_a_period_that_jitters_is_two_numbers():
    jittered_us = [8_600 + jitter for jitter in (7, -10, 2, 19, -1, -21, 3, 0, 12, -8)]
    assert set(sample_weights_us(jittered_us)) <= {8_550, 8_600, 8_650}
