"""When arrivals are due and where they go: as many as the integral of the rate says, in order, evenly mixed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from producers.load.mix import LONGEST, cycle_of
from producers.load.pacer import Pacer
from producers.load.segments import Piece, Segment


def run(*parts: tuple[float, float, float]) -> tuple[Segment, ...]:
    """Segments of (seconds, rate at the beginning, rate at the end)."""
    made, offset = [], 0.0
    for seconds, begin, end in parts:
        made.append(Segment(f"s{len(made)}", "s", "ramp", 0, offset, (Piece(seconds, begin, end),)))
        offset = made[-1].end_s
    return tuple(made)


parts = st.tuples(
    st.one_of(st.sampled_from([0.1, 0.3, 1.0, 2.5]), st.floats(0.001, 4.0)),
    st.one_of(st.sampled_from([0.0, 1.0, 100.0]), st.floats(0, 300)),
    st.one_of(st.sampled_from([0.0, 1.0, 100.0]), st.floats(0, 300)),
)
runs = st.lists(parts, min_size=1, max_size=6).map(lambda many: run(*many))


def due_us(segments, seed=None):
    pacer = Pacer(segments, seed)
    return pacer, pacer.due_us(np.arange(0, pacer.total))


@given(segments=runs, seed=st.none() | st.integers(0, 9))
def test_no_arrival_is_due_before_the_one_in_front_of_it(segments, seed):
    pacer, due = due_us(segments, seed)
    assert (np.diff(due) >= 0).all()
    assert (np.diff(pacer.segment_of(np.arange(pacer.total))) >= 0).all()
    assert ((due >= 0) & (due < segments[-1].end_s * 1e6)).all()


@given(segments=runs)
def test_as_many_arrivals_are_due_as_the_integral_of_the_rate_says_within_one(segments):
    pacer, _ = due_us(segments)
    assert abs(pacer.total - sum(segment.arrivals for segment in segments)) <= 1
    for index, segment in enumerate(segments):
        count = pacer.first_arrival[index + 1] - pacer.first_arrival[index]
        assert abs(count - segment.arrivals) <= 1


@given(segments=runs, share=st.floats(0, 1))
def test_at_any_moment_as_many_were_due_as_the_integral_up_to_it_says_within_one(segments, share):
    _, due = due_us(segments)
    moment = share * segments[-1].end_s
    integral = 0.0
    for s in segments:
        t = min(max(moment - s.offset_s, 0.0), s.duration_s)
        integral += s.rate_from_tps * t + (s.rate_to_tps - s.rate_from_tps) * t * t / (2 * s.duration_s)
    fastest = max(max(s.rate_from_tps, s.rate_to_tps) for s in segments)
    assert abs(int((due < moment * 1e6).sum()) - integral) <= 1 + 2e-6 * fastest  # times are whole microseconds


@given(segments=runs)
def test_every_arrival_lies_in_its_own_segment(segments):
    pacer, due = due_us(segments)
    at = pacer.segment_of(np.arange(pacer.total))
    starts = np.array([round(s.offset_s * 1e6) for s in segments])
    ends = np.array([round(s.end_s * 1e6) for s in segments])
    assert ((starts[at] <= due) & (due < ends[at])).all()


@given(segments=runs, cut=st.floats(0, 1))
def test_a_stretch_of_arrivals_is_the_same_however_it_is_asked_for(segments, cut):
    pacer, due = due_us(segments)
    middle = int(cut * pacer.total)
    assert (
        np.concatenate([pacer.due_us(np.arange(0, middle)), pacer.due_us(np.arange(middle, pacer.total))]) == due
    ).all()


@pytest.mark.parametrize(
    ("sentence", "segments", "expected_us"),
    [
        ("a hold is even, each arrival in the middle of its slot", run((1, 4, 4)), [125e3, 375e3, 625e3, 875e3]),
        ("a ramp from nothing is a square root", run((2, 0, 4)), [707106, 1224744, 1581138, 1870828]),
        ("a ramp to nothing is its mirror image", run((2, 4, 0)), [129171, 418861, 775255, 1292893]),
        ("the phase goes on over a border", run((0.375, 4, 4), (0.625, 4, 4)), [125e3, 375e3, 625e3, 875e3]),
        ("a rest holds none", run((1, 1, 1), (5, 0, 0), (1, 1, 1)), [500e3, 6.5e6]),
        ("nothing at all", run((1, 0, 0)), []),
    ],
)
def test_due_times(sentence, segments, expected_us):
    _, due = due_us(segments)
    assert due.tolist() == pytest.approx(expected_us, abs=1), sentence


def test_a_hold_of_whole_arrivals_holds_exactly_that_many_wherever_it_begins():
    pacer = Pacer(run(*[(0.1, 100, 100)] * 30))
    assert np.diff(pacer.first_arrival).tolist() == [10] * 30


def test_a_ramp_as_good_as_flat_loses_no_digits():
    flat, almost = Pacer(run((10, 1000, 1000))), Pacer(run((10, 1000, 1000 + 1e-9)))
    assert np.abs(flat.due_us(np.arange(0, 10_000)) - almost.due_us(np.arange(0, 10_000))).max() <= 1


weights = st.lists(st.one_of(st.integers(1, 9).map(float), st.floats(0.01, 100)), min_size=1, max_size=8)


@given(weights=weights)
def test_any_stretch_of_arrivals_has_nearly_the_mix_of_the_whole(weights):
    cycle = np.tile(cycle_of(weights), 2)
    for endpoint in range(len(weights)):
        share = (cycle == endpoint).mean()
        seen = np.concatenate(([0], np.cumsum(cycle == endpoint)))
        excess = seen - share * np.arange(len(seen))
        assert excess.max() - excess.min() <= 3, "no stretch is more than three requests off"


@given(weights=weights)
def test_a_cycle_keeps_the_weights_and_forgets_nobody(weights):
    counts = np.bincount(cycle_of(weights), minlength=len(weights))
    assert (counts >= 1).all()
    share = np.array(weights) / sum(weights)
    assert np.abs(counts / counts.sum() - share).max() <= len(weights) / LONGEST


@pytest.mark.parametrize(
    ("weights", "cycle"),
    [([1], [0]), ([1, 1], [0, 1]), ([3, 1], [0, 0, 1, 0]), ([0.5, 0.25, 0.25], [0, 1, 2, 0]), ([0.1] * 3, [0, 1, 2])],
)
def test_simple_weights_make_short_cycles(weights, cycle):
    assert cycle_of(weights).tolist() == cycle


@given(segments=runs, seed=st.integers(0, 9))
def test_random_arrivals_are_as_many_as_even_ones_and_each_lies_in_its_own_segment(segments, seed):
    pacer, due = due_us(segments, seed)
    assert pacer.total == Pacer(segments).total
    at = pacer.segment_of(np.arange(pacer.total))
    starts, ends = (np.array([getattr(segment, name) for segment in segments]) for name in ("offset_s", "end_s"))
    assert (due >= np.round(starts[at] * 1e6) - 1).all()
    assert (due <= np.round(ends[at] * 1e6)).all()


@given(seed=st.integers(0, 2**32), cut=st.integers(0, 20_000), shards=st.integers(1, 5))
def test_where_a_random_arrival_lies_depends_on_the_seed_and_its_number_alone(seed, cut, shards):
    segments = run((20, 1000, 1000))
    pacer, due = due_us(segments, seed)
    parts = [pacer.due_us(np.arange(0, cut)), pacer.due_us(np.arange(cut, pacer.total))]
    assert (np.concatenate(parts) == due).all()
    for shard in range(shards):
        assert (Pacer(segments, seed).due_us(np.arange(shard, pacer.total, shards)) == due[shard::shards]).all()


@pytest.mark.parametrize("tps", [1e-38, 5e-324])
def test_a_random_arrival_beyond_the_integral_is_due_at_the_end_however_slow_the_last_stage_is(tps):
    segments = run((0.0625, 100, 100), (0.3, 101, 101), (0.1, tps, tps))
    for seed in range(20):
        _, due = due_us(segments, seed)
        assert (np.diff(due) >= 0).all()
        assert due[-1] < 462_500


def test_random_arrivals_are_a_poisson_process():
    _, due = due_us(run((200, 1000, 1000)), seed=7)
    gaps = np.diff(due) / 1e6
    assert kstest(gaps, "expon", args=(0, 1e-3)).pvalue > 0.01
    counts = np.bincount(due // 100_000)  # a hundred arrivals each
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.01
