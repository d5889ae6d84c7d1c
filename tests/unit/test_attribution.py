"""Which endpoint pays for a function: exact without noise, honest with it, silent where the mix does not tell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.endpoints.attribution import Cost, Mix, attribute
from benchmarks.endpoint_costs import WORLDS, tally
from producers.load.modulation import modulated

RATES = (40.0, 80.0, 160.0)
WEIGHTS = (3.0, 2.0, 1.0)
NAMES = ("search", "product", "checkout")


def a_mix(*, swing: float = 0.9, visits: int = 8, seconds: float = 5.0) -> Mix:
    weights = modulated(WEIGHTS, levels=len(RATES), visits=visits, swing=swing, seed=1) / sum(WEIGHTS)
    rates = np.repeat(RATES, visits)
    return Mix(NAMES, (weights.reshape(-1, 3) * rates[:, None] * seconds).T, rates)


def cost(share: float, low: float, high: float, of_requests: float) -> Cost:
    return Cost("e", 1.0, 1.0, 1.0, share, low, high, of_requests)


# Without noise


@settings(max_examples=30, deadline=None)
@given(
    us=st.lists(st.one_of(st.just(0.0), st.floats(20, 2_000)), min_size=3, max_size=3).filter(any),
    factors=st.lists(st.floats(0.2, 5), min_size=3, max_size=3),
)
def test_without_noise_the_costs_are_found_whatever_the_rate_does_to_them(
    us: list[float], factors: list[float]
) -> None:
    mix = a_mix()
    paid = np.array(us)[:, None] * mix.requests * np.repeat(factors, 8)
    (found,) = attribute(paid.sum(axis=0)[None], 1e9, 1e6, mix)
    truth = np.array(us) * mix.asked
    assert [one.share for one in found] == pytest.approx((truth / truth.sum()).tolist(), abs=0.01)
    assert [one.endpoint for one in found] == list(NAMES)
    each = paid.sum() / mix.asked
    assert [one.us for one in found] == pytest.approx([one.share * of for one, of in zip(found, each, strict=True)])


@settings(max_examples=30, deadline=None)
@given(cpu_us=st.lists(st.one_of(st.just(0.0), st.floats(1, 1e6)), min_size=24, max_size=24))
def test_whatever_was_measured_shares_lie_in_their_intervals_and_sum_to_one(cpu_us: list[float]) -> None:
    (found,) = attribute(np.array([cpu_us]), 1e8, 40_000, a_mix())
    if not any(cpu_us):
        assert found == ()
        return
    assert sum(one.share for one in found) == pytest.approx(1)
    for one in found:
        assert -1e-9 <= one.share_low <= one.share + 1e-9
        assert one.share - 1e-9 <= one.share_high <= 1 + 1e-9


def test_what_all_requests_pay_alike_or_none_is_shared_as_the_requests_are() -> None:
    mix = a_mix()
    alike, fixed = 300 * mix.requests.sum(axis=0), np.full(24, 50_000.0)
    for found in attribute(np.array([alike, fixed]), 1e7, 4_000, mix):
        assert [one.share for one in found] == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=0.01)
        assert [one.requests_share for one in found] == pytest.approx([1 / 2, 1 / 3, 1 / 6])
        assert not any(one.pays for one in found)


def test_fewer_samples_and_noisier_ones_make_wider_intervals() -> None:
    mix = a_mix()
    checkout = 600 * mix.requests[2] + 50 * mix.requests[0]
    noisy = checkout * np.exp(np.random.default_rng(1).normal(0, 0.6, 24))

    def width(cpu_us: np.ndarray, samples: float) -> float:
        (found,) = attribute(cpu_us[None], 1e7, samples, mix)
        return found[2].share_high - found[2].share_low

    assert width(checkout, 10_000) < 0.6 * width(checkout, 1_000)
    assert width(checkout, 10_000) < 0.6 * width(noisy, 10_000)


@pytest.mark.parametrize(
    ("found", "pays"),
    [
        pytest.param(cost(0.95, 0.8, 1.0, 1 / 6), True, id="nearly all of it, by a sixth of the requests"),
        pytest.param(cost(0.95, 0.5, 1.0, 1 / 6), False, id="perhaps half of it"),
        pytest.param(cost(0.9, 0.88, 0.92, 0.9), False, id="as much as its part of the requests"),
        pytest.param(cost(1.0, 0.96, 1.0, 0.9), True, id="all of it, by most of the requests"),
    ],
)
def test_a_function_belongs_to_an_endpoint_when(found: Cost, *, pays: bool) -> None:
    assert found.pays is pays


# What the mix does not tell


def test_a_fixed_mix_tells_nothing_even_where_it_was_meant_to_swing() -> None:
    assert not a_mix(swing=0.0).tells().any()
    assert not a_mix(swing=0.03).tells().any()
    assert attribute(np.ones((2, 24)), 48.0, 10, a_mix(swing=0.0)) == [(), ()]


def test_a_mix_that_changes_with_the_rate_only_tells_nothing() -> None:
    """What a rate does to a cost and what its mix does are one."""
    weights = np.repeat([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]], 8, axis=0)
    rates = np.repeat(RATES, 8)
    mix = Mix(("a", "b"), (weights * rates[:, None]).T, rates)
    assert not mix.tells().any()


def test_a_mix_that_swings_tells_whether_it_was_meant_to_or_not() -> None:
    random = np.random.default_rng(3)
    mix = Mix(NAMES, random.uniform(30, 170, (3, 12)), np.full(12, 100.0))
    assert mix.tells().all()


def test_endpoints_that_swing_together_are_not_told_and_the_others_are() -> None:
    mix = a_mix()
    twins = Mix((*NAMES, "twin"), np.vstack([mix.requests, 0.5 * mix.requests[2]]), mix.level_tps)
    assert twins.tells().tolist() == [True, True, False, False]
    (found,) = attribute((350 * mix.requests[0])[None], 1e7, 100_000, twins)
    assert [one.endpoint for one in found] == ["search", "product"]
    assert found[0].share == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("visits", "rates"), [(2, [50.0] * 2), (4, [50.0] * 4), (0, [])], ids=["two", "no more than costs", "none"]
)
def test_too_few_visits_tell_nothing(visits: int, rates: list[float]) -> None:
    requests = np.random.default_rng(1).uniform(1, 100, (3, visits))
    assert not Mix(NAMES, requests, np.array(rates)).tells().any()


def test_an_endpoint_that_nobody_asked_is_left_out() -> None:
    mix = a_mix()
    more = Mix((*NAMES, "never"), np.vstack([mix.requests, np.zeros(24)]), mix.level_tps)
    assert more.degrees == mix.degrees
    (found,) = attribute((350 * mix.requests[0])[None], 1e7, 100_000, more)
    assert [one.endpoint for one in found] == list(NAMES)


def test_a_mix_swung_to_the_full_needs_only_a_few_times_the_samples_of_a_trace() -> None:
    assert (a_mix().inflation() < 7).all()
    assert a_mix(swing=0.3).inflation() == pytest.approx(9 * a_mix().inflation(), rel=0.05)


def test_requests_that_come_by_chance_swing_as_well_as_counted_ones() -> None:
    """The mix of a level is then never quite that of the next."""
    mix = a_mix()
    drawn = Mix(NAMES, np.random.default_rng(1).poisson(mix.requests).astype(float), mix.level_tps)
    assert drawn.inflation() == pytest.approx(mix.inflation(), rel=0.1)


# With noise that is not the model's


@pytest.mark.parametrize("world", ["costs vary by 10%", "the same, of some functions", "all levels swung"])
def test_intervals_hold_the_truth_and_no_innocent_endpoint_pays(world: str) -> None:
    told = tally(WORLDS[world], 20)
    assert np.mean(told.held) >= 0.9
    assert np.mean(told.held_at_end) >= 0.92
    assert np.mean(told.held_us) >= (0.6 if "of some functions" in world else 0.9)  # who is not seen seems cheap
    assert not any(told.wrong)
