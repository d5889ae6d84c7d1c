"""What may be judged when generator or host were the limit now and then, or from some moment on."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from analysis.evidence.blocks import AFTER, GENERATOR, Segment, asked_tps, overrun_of, select
from analysis.evidence.limits import Windows
from analysis.evidence.overrun import first_overrun, mostly_fit
from tests.support.windows import US, windows_of

LATE_US = 40_000


def late(rates: list[float], where: set[int]) -> Windows:
    lag_us = np.array([LATE_US if number in where else 0 for number in range(len(rates))])
    return replace(windows_of(rates), dispatch_lag_p99_us=lag_us)


@pytest.mark.parametrize(
    ("windows", "limited", "fit"),
    [
        pytest.param(20, 0, True, id="none"),
        pytest.param(20, 2, True, id="10% are borne, as of a run"),
        pytest.param(20, 3, False, id="15% are not"),
        pytest.param(5, 1, True, id="one alone is a hiccup, however short the stage"),
        pytest.param(5, 2, False, id="two of five are not"),
    ],
)
def test_how_many_limited_windows_a_stage_bears(windows: int, limited: int, fit: bool) -> None:
    assert mostly_fit(late([50.0] * windows, set(range(limited)))) is fit


def test_a_window_that_the_host_limited_counts_as_much() -> None:
    waiting = replace(windows_of([50.0] * 5), run_queue_us=np.full(5, 50 * 9_000), own_cpu_us=np.full(5, 700_000))
    assert not mostly_fit(waiting)


@pytest.mark.parametrize(
    ("where", "since_s"),
    [
        pytest.param(set(), None, id="never limited"),
        pytest.param({3, 4}, None, id="two in a row are a hiccup"),
        pytest.param({1, 3, 5, 7}, None, id="now and then is no stretch"),
        pytest.param({2, 4, 5, 6, 8, 9}, 4, id="three in a row are one, from the first of them"),
        pytest.param({7, 8, 9}, 7, id="also at the very end"),
    ],
)
def test_where_the_first_sustained_stretch_begins(where: set[int], since_s: int | None) -> None:
    found = first_overrun(late([50.0] * 10, where), np.arange(10), np.full(10, 50.0))
    assert (None if found is None else found.since_us) == (None if since_s is None else since_s * US)


def test_what_comes_after_at_a_higher_rate_is_left_out_and_a_lower_or_equal_one_is_not() -> None:
    rates = [300.0, 100.0, 180.0, 200.0, 200.0, 205.0, 300.0, 50.0]
    windows = late(rates, {2, 3, 4})
    found = first_overrun(windows, np.arange(8), np.array(rates))
    assert found is not None
    assert found.tps == 200, "the highest of the stretch: none of its own stage comes after it"
    assert np.flatnonzero(found.leaves_out(windows, np.array(rates))).tolist() == [6]
    assert found.rows == (2, 3, 4)


def hold(name: str, starts_s: int, tps: float, role: str = "measure") -> Segment:
    return Segment(name, name, "hold", 0, starts_s * US, (starts_s + 5) * US, tps, tps, role=role)


def test_random_arrivals_at_one_planned_rate_are_no_higher_rate() -> None:
    """In a second of 100 requests/s there are 88 as likely as 112."""
    counts = np.random.default_rng(1).poisson(100, 60).astype(float)
    segment = Segment("hold", "hold", "hold", 0, 0, 60 * US, 100, 100)
    windows = late(list(counts), {10, 11, 12})
    assert asked_tps(windows, [segment]).tolist() == [100.0] * 60
    assert {one.reason for one in select(windows, [segment]).left_out} == {GENERATOR}
    ramp = replace(segment, form="ramp", rate_to_tps=200)
    assert asked_tps(windows, [ramp]).tolist() == counts.tolist(), "only what was scheduled tells the rate of a ramp"


def test_a_warm_up_and_levels_in_random_order_begin_no_overrun() -> None:
    windows = late([50.0] * 10, {0, 1, 2, 6, 7, 8})
    level = Segment("map[1]", "map", "level", 1, 5 * US, 10 * US, 50, 50)
    assert overrun_of(windows, [hold("warm", 0, 50, "warm-up"), level]) is None
    assert overrun_of(windows, [hold("warm", 0, 50), level]) is not None
    assert overrun_of(windows, []) is None


def test_windows_with_a_warm_up_between_them_are_no_neighbours() -> None:
    windows = late([100.0] * 5 + [50.0] * 5 + [200.0] * 5, {4, 10, 11})
    holds = [hold("low", 0, 100), hold("high", 10, 200)]
    assert overrun_of(windows, [holds[0], hold("warm", 5, 50, "warm-up"), holds[1]]) is None
    found = overrun_of(late([100.0] * 5 + [50.0] * 5 + [200.0] * 5, {4, 10, 11, 12}), holds)
    assert found is not None
    assert (found.rows, found.tps) == ((10, 11, 12), 200)


def test_findings_along_a_ramp_end_where_the_generator_first_was_the_limit_for_a_while() -> None:
    rates = [10.0 * (number + 1) for number in range(20)]
    found = select(late(rates, {10, 11, 12}), [Segment("ramp", "ramp", "ramp", 0, 0, 20 * US, 10, 200)])
    reasons: Counter[str] = Counter()
    for one in found.left_out:
        reasons[one.reason] += one.windows
    assert reasons == {GENERATOR: 3, AFTER: 7}
    assert max(row for block in found.blocks for row in block.rows) == 9


def test_levels_of_which_too_many_windows_were_limited_are_named() -> None:
    rates = [50.0] * 5 + [200.0] * 5 + [50.0] * 5
    segments = [
        Segment(f"map[{visit}]", "map", "level", visit, 5 * visit * US, 5 * (visit + 1) * US, rate, rate)
        for visit, rate in enumerate((50, 200, 50))
    ]
    assert select(late(rates, {4, 5, 6}), segments).limited_tps == {200}
    assert select(late(rates, {4, 5}), segments).limited_tps == frozenset()
