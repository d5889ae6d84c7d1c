"""What a soak says: planted growth comes back, noise is none, and nothing is said of too little."""

import math

import numpy as np
import pytest

from benchmarks.freshness_figures import Waited, waited_s
from benchmarks.soak_figures import MIB, Moment, at_most, growth, memory_verdicts, minute_medians

EVERY_S = 5.0


def read_for(minutes: float) -> np.ndarray:
    return np.arange(0, minutes * 60, EVERY_S)


def test_a_minute_is_the_median_of_what_was_read_in_it_and_a_part_of_one_is_none() -> None:
    times = [0, 20, 40, 60, 80, 100, 130]
    assert minute_medians(times, [1, 2, 90, 4, 5, 6, 700]) == [(0, 2.0), (1, 5.0)]
    assert minute_medians([], []) == []


@pytest.mark.parametrize("planted", [-0.05, 0.0, 0.01, 0.3])
def test_planted_growth_comes_back_whatever_the_start_and_a_few_wild_minutes(planted: float) -> None:
    times = read_for(30)
    random = np.random.default_rng(3)
    # From minute 5 to minute 28, the last whole one; before that everything still fills.
    level = 100 * (1 + planted * (times / 60 - 5.5) / 23) + random.normal(0, 0.2, len(times))
    level[times < 300] = 40
    level[(times >= 600) & (times < 720)] *= 1.5
    assert growth(times, level) == pytest.approx(planted, abs=0.005)


def test_of_a_short_soak_no_growth_is_told() -> None:
    assert growth(read_for(8.9), np.ones(len(read_for(8.9)))) is not None
    assert growth(read_for(7.9), np.ones(len(read_for(7.9)))) is None
    assert growth([], []) is None


def test_every_process_has_a_verdict_and_the_worker_a_limit() -> None:
    times = read_for(30)
    moments = [
        Moment(at_s, {"load": 50 * MIB, "worker": round((400 + at_s / 10) * MIB)}, 0, 0, 0) for at_s in times.tolist()
    ]
    moments[-1] = Moment(moments[-1].at_s, {"load": 50 * MIB})  # the worker has just ended
    load, worker, most = memory_verdicts(moments, 0.02, 600)
    assert (load.ok, worker.ok, most.ok) == (True, False, True)
    assert most.found == "579 MiB"
    assert [one.ok for one in memory_verdicts(moments[:12], 0.02, 400)] == [None, None, False]
    assert [one.ok for one in memory_verdicts([], 0.02, 400)] == [True]


@pytest.mark.parametrize(("value", "ok"), [(1.9, True), (2.0, True), (2.1, False), (math.nan, None)])
def test_a_figure_is_held_to_its_limit_and_an_unknown_one_to_none(value: float, ok: bool | None) -> None:
    assert at_most("raw rows readable", value, 2.0, "s").ok is ok


def test_a_request_waits_until_its_window_is_seen() -> None:
    windows = np.array([7, 8, 7], np.uint64)
    completed = np.array([7_000_000, 8_500_000, 7_900_000], np.int64)
    assert waited_s(windows, completed, {7: 9_000_000, 8: 9_000_000}).tolist() == [2.0, 0.5, 1.1]
    with pytest.raises(KeyError):
        waited_s(windows, completed, {7: 9_000_000})


def test_waiting_is_told_for_all_and_by_the_minute_of_completion() -> None:
    completed = np.array([130_000_000, 1_000_000, 2_000_000, 59_000_000], np.int64)
    waited = Waited.of(completed, np.array([9.0, 1.0, 2.0, 3.0]))
    assert (waited.p50_s, waited.minutes[0], waited.minutes[2]) == (2.5, (2.0, pytest.approx(2.98)), (9.0, 9.0))
    assert all(map(math.isnan, waited.minutes[1]))
    assert math.isnan(Waited.of(np.array([], np.int64), np.array([])).p99_s)
