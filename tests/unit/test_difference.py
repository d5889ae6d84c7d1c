"""Groups of runs whose truth is known: how often a difference is told where there is none, and found where there is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.comparison.difference import Comparison, FunctionChange, compare
from tests.support.groups import US_PER_REQUEST, abba, groups

HOT = 25
"""A function without callees, of those that `groups` draws."""


def function(comparison: Comparison, place: int = HOT) -> FunctionChange:
    return next(one for one in comparison.functions if one.label == f"f{place} (shop.py)")


def of_ten_percent() -> np.ndarray:
    shares = 1 / np.arange(2, 62) ** 0.9
    shares[HOT] = 0
    shares *= 0.9 / shares.sum()
    shares[HOT] = 0.1
    return shares


SPREADS = [
    pytest.param({"common": 0.014, "own": 0.014}, id="half of it common to all functions"),
    pytest.param({"common": 0.02, "own": 0.0}, id="all of it common"),
    pytest.param({"common": 0.0, "own": 0.02}, id="each function's own"),
    pytest.param({"common": 0.014, "own": 0.014, "drift": 0.01}, id="and a drift of 1% a run"),
]


@pytest.mark.parametrize("spread", SPREADS)
def test_identical_services_that_vary_by_2_percent_between_runs_seldom_differ(spread: dict[str, float]) -> None:
    """At most 5% of reports may tell any difference; 150 draws of 5% are 14 or fewer in 99% of cases."""
    told = sum(any(one.is_told for one in compare(groups(seed=seed, **spread)).changes) for seed in range(150))
    assert told <= 14


@pytest.mark.parametrize("spread", SPREADS)
def test_a_function_of_10_percent_that_became_10_percent_dearer_is_found_by_5_and_5_runs(
    spread: dict[str, float],
) -> None:
    """Wanted are 80%; of 60 draws of 80%, 40 or more in 99% of cases. Two minutes at 400 Hz are 40,000 samples."""
    shares, found, others = of_ten_percent(), 0, 0
    for seed in range(60):
        comparison = compare(groups(seed=seed, slower={HOT: 1.1}, shares=shares, **spread))
        found += function(comparison).alone.verdict == "dearer"
        others += any(one.alone.is_told for one in comparison.functions if one.label != f"f{HOT} (shop.py)")
    assert found >= 40
    assert others <= 8


def test_a_change_comes_with_figures_and_intervals_that_hold_it() -> None:
    comparison = compare(groups(seed=3, slower={HOT: 1.3}, shares=of_ten_percent()))
    hot = function(comparison)
    assert hot.alone.verdict == hot.whole.verdict == "dearer"
    assert hot.alone.ratio == pytest.approx(1.3, rel=0.05)
    assert hot.alone.ratio_low < 1.3 < hot.alone.ratio_high
    assert hot.alone.base == pytest.approx(0.1 * US_PER_REQUEST, rel=0.05)
    assert hot.alone.difference_low < 0.03 * US_PER_REQUEST < hot.alone.difference_high
    assert hot.base_share == pytest.approx(0.10, rel=0.05)
    assert comparison.functions[0] == hot
    assert (comparison.base_runs, comparison.new_runs, comparison.enough, comparison.is_worse) == (5, 5, True, True)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = [
        low < 1 < high
        for seed in range(60)
        for one in compare(groups(seed=seed)).functions
        if (low := one.alone.ratio_low) is not None and (high := one.alone.ratio_high) is not None
    ]
    assert 0.93 < np.mean(held) < 0.985


def test_a_function_that_got_cheaper_is_no_regression() -> None:
    comparison = compare(groups(seed=3, slower={HOT: 0.5}, shares=of_ten_percent()))
    assert function(comparison).alone.verdict == "cheaper"
    assert not comparison.is_worse


@pytest.mark.parametrize("pairs", [1, 2])
def test_fewer_than_three_runs_a_side_give_numbers_and_nothing_is_told(pairs: int) -> None:
    comparison = compare(groups(seed=3, pairs=pairs, slower={HOT: 2.0}))
    assert not comparison.enough
    assert {one.verdict for one in comparison.changes} == {"unclear"}
    assert function(comparison).alone.ratio == pytest.approx(2.0, rel=0.15)
    assert function(comparison).alone.ratio_low is None
    assert (comparison.typical, comparison.service.detectable) == (None, None)


def test_a_function_that_only_one_side_has_is_new_or_gone() -> None:
    comparison = compare(groups(seed=3, slower={HOT: 0.0}))
    assert function(comparison).alone.verdict == "gone"
    assert function(comparison).alone.ratio is None
    measured = groups(seed=3, slower={HOT: 0.0})
    turned = compare(replace(measured, is_new=~measured.is_new))
    assert function(turned).alone.verdict == "new"
    assert not function(turned).is_worse, "it may do what another function did before"
    assert function(turned).alone.difference == pytest.approx(-function(comparison).alone.difference)


def test_a_function_with_few_samples_is_not_judged() -> None:
    comparison = compare(groups(seed=3, samples=400, slower={50: 3.0}))
    assert function(comparison, 50).alone.verdict == "unclear"
    assert function(comparison, 50).alone.p is None


def test_work_that_a_function_only_took_over_from_its_callee_is_no_regression() -> None:
    measured = groups(seed=5, common=0.002, own=0.002)
    caller, callee = 0, HOT
    moved = np.where(measured.is_new, measured.self_us[callee] / 2, 0.0)
    more = np.where(measured.is_new, measured.self_samples[callee] / 2, 0.0)
    self_us, samples = measured.self_us.copy(), measured.self_samples.copy()
    self_us[callee] -= moved
    self_us[caller] += moved
    samples[callee] -= more
    samples[caller] += more
    comparison = compare(replace(measured, self_us=self_us, self_samples=samples))
    assert function(comparison, caller).alone.verdict == "dearer"
    assert not function(comparison, caller).is_worse
    assert function(comparison, callee).alone.verdict == "cheaper"
    assert not comparison.is_worse


def test_a_service_that_became_dearer_by_a_little_everywhere_is_told_as_a_whole() -> None:
    comparison = compare(groups(seed=3, common=0.004, own=0.004, slower=dict.fromkeys(range(60), 1.05)))
    assert comparison.service.verdict == "dearer"
    assert comparison.service.ratio == pytest.approx(1.05, abs=0.01)


def test_latencies_are_judged_but_for_those_that_are_only_known_from_below() -> None:
    measured = groups(seed=4)
    slow, bound, *others = measured.latencies
    slow = replace(slow, ms=slow.ms * np.where(measured.is_new, 2.0, 1.0))
    bound = replace(bound, ms=np.where(np.arange(10) == 3, np.nan, bound.ms))
    told = compare(replace(measured, latencies=(slow, bound, *others))).latencies
    assert [one.verdict for one in told] == ["slower", "unclear", *["none"] * len(others)]
    assert told[0].ratio_low < 2 < told[0].ratio_high


def test_the_report_says_what_it_would_have_found() -> None:
    """And it holds: a change as large as that is found in about four of five."""
    shares = of_ten_percent()
    least = np.median([compare(groups(seed=seed, shares=shares)).typical for seed in range(20)])
    assert 0.03 < least < 0.12
    found = [
        function(compare(groups(seed=seed, shares=shares, slower={HOT: 1 + least}))).alone.verdict == "dearer"
        for seed in range(100, 160)
    ]
    assert 0.65 < np.mean(found) < 0.95


@given(seed=st.integers(0, 10_000), times=st.floats(0.01, 100), pairs=st.integers(1, 6))
@settings(max_examples=15)
def test_neither_the_unit_nor_which_side_is_called_base_nor_the_order_of_functions_matters(
    seed: int, times: float, pairs: int
) -> None:
    measured = groups(seed=seed, pairs=pairs, functions=24, slower={HOT - 5: 1.2})
    there = {one.label: one for one in compare(measured).functions}
    backwards = slice(None, None, -1)
    other = replace(
        measured,
        is_new=~measured.is_new,
        service_us=measured.service_us * times,
        functions=measured.functions[backwards],
        self_us=measured.self_us[backwards] * times,
        total_us=measured.total_us[backwards] * times,
        self_samples=measured.self_samples[backwards],
        total_samples=measured.total_samples[backwards],
    )
    turned = {"dearer": "cheaper", "cheaper": "dearer", "new": "gone", "gone": "new"}
    for one in compare(other).functions:
        for mine, theirs in ((one.alone, there[one.label].alone), (one.whole, there[one.label].whole)):
            assert mine.verdict == turned.get(theirs.verdict, theirs.verdict)
            assert mine.difference == pytest.approx(-theirs.difference * times, abs=1e-9)
            if mine.ratio_low and theirs.ratio_high:
                assert mine.ratio_low == pytest.approx(1 / theirs.ratio_high)


def test_more_runs_find_less() -> None:
    few, many = (compare(groups(seed=1, is_new=abba(pairs))) for pairs in (3, 12))
    assert many.typical < few.typical
    assert many.service.detectable < few.service.detectable


def test_sides_that_were_not_run_in_turns_are_told() -> None:
    assert compare(groups(seed=1)).interleaved
    assert not compare(groups(seed=1, is_new=np.arange(10) >= 5)).interleaved
