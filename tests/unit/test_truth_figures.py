"""The truth benchmark's own arithmetic: planted figures come back, and nothing is said that cannot be told."""

import math

import numpy as np
import pytest

from benchmarks.truth_figures import Figure, Slice, pooled, quotient, ratio, slow_down

JUDGED = [
    ("all of the interval within", Figure(1.0, 0.05), "within"),
    ("just within", Figure(1.05, 0.05), "within"),
    ("one end beyond", Figure(1.06, 0.05), "cannot tell"),
    ("the middle beyond, but not surely", Figure(1.2, 0.05), "cannot tell"),
    ("all of it beyond", Figure(1.26, 0.05), "OUTSIDE"),
    ("all of it below", Figure(0.7, 0.05), "OUTSIDE"),
    ("too wide for any aim", Figure(1.0, 0.1), "cannot tell"),
    ("nothing known", Figure(1.0, math.inf), "cannot tell"),
    ("no figure at all", Figure(math.nan, math.inf), "cannot tell"),
    ("few degrees of freedom make it wider", Figure(1.05, 0.05, freedom=2), "cannot tell"),
]


@pytest.mark.parametrize(("what", "figure", "said"), JUDGED, ids=[case[0] for case in JUDGED])
def test_a_figure_is_judged_by_its_whole_interval(what: str, figure: Figure, said: str) -> None:
    assert figure.says(0.85, 1.15) == said


def watched_slices(found: float, *, count: int = 20, samples: int = 300, seed: int = 1) -> list[Slice]:
    """A function of a fifth of the CPU, of which `found` is found, by drawing."""
    random = np.random.default_rng(seed)
    slices = []
    for hits in random.binomial(samples, 0.2 * found, count):
        one = Slice(320, watched=True, requests=960, process_us=1e6, true_us={"f": 2e5}, samples=samples)
        one.found_us, one.found_samples = {"f": 1e6 * hits / samples}, {"f": int(hits)}
        slices.append(one)
    return slices


def test_what_is_found_comes_with_the_noise_of_drawing_it() -> None:
    drawn = [ratio(watched_slices(0.9, seed=seed), ["f"]) for seed in range(200)]
    assert np.mean([one.value for one in drawn]) == pytest.approx(0.9, rel=0.01)
    spread = float(np.std([one.value for one in drawn]))
    assert np.mean([one.noise for one in drawn]) == pytest.approx(spread, rel=0.2)
    held = [one.low <= 0.9 <= one.high for one in drawn]
    assert np.mean(held) > 0.93


def test_slices_that_differ_by_more_than_drawing_make_more_noise() -> None:
    even = watched_slices(1.0)
    uneven = watched_slices(0.6, count=10) + watched_slices(1.4, count=10, seed=2)
    assert ratio(uneven, ["f"]).noise > 2 * ratio(even, ["f"]).noise


def test_a_function_that_is_never_seen_has_no_known_noise() -> None:
    assert ratio([Slice(320, watched=True, true_us={"f": 1.0})], ["f"]) == Figure(0.0, math.inf)


def test_a_quotient_has_the_noise_of_both() -> None:
    assert quotient(Figure(1.1, 0.033), Figure(1.0, 0.04)).noise == pytest.approx(1.1 * 0.05)


def abba(slow_down_share: float, *, pairs: int, trend: float, noise: float, seed: int, wild: int = 0) -> list[Slice]:
    """CPU per request drifts by `trend` from the first slice to the last; `wild` slices cost twice as much."""
    random = np.random.default_rng(seed)
    order = [watched for pair in range(pairs) for watched in ((True, False) if pair % 2 == 0 else (False, True))]
    cost = 2_000 * np.exp(np.linspace(0, trend, 2 * pairs) + random.normal(0, noise, 2 * pairs))
    cost[random.choice(2 * pairs, wild, replace=False)] *= 2
    return [
        Slice(320, watched=watched, requests=960, process_us=960 * us * (1 + slow_down_share * watched))
        for watched, us in zip(order, cost, strict=True)
    ]


@pytest.mark.parametrize("planted", [0.0, 0.01, 0.05])
def test_a_slow_down_comes_back_whatever_the_trend_and_the_wild_slices(planted: float) -> None:
    found = [slow_down(abba(planted, pairs=16, trend=0.3, noise=0.02, seed=seed, wild=2)) for seed in range(200)]
    assert np.mean([one.value for one in found]) == pytest.approx(planted, abs=0.002)
    assert np.mean([one.low <= planted <= one.high for one in found]) > 0.92
    assert np.mean([one.noise for one in found]) < 0.012


def test_pairs_of_which_the_service_noted_nothing_are_left_out() -> None:
    slices = abba(0.01, pairs=8, trend=0.0, noise=0.0, seed=1)
    slices[3].requests = 0
    assert slow_down(slices).value == pytest.approx(0.01)
    assert slow_down(slices[:4]).says(-1, 0.02) == "cannot tell"
    assert math.isnan(slow_down([]).value)


def test_what_is_pooled_is_more_certain_than_each_and_nearest_to_the_most_certain() -> None:
    together = pooled([Figure(0.00, 0.01, 9), Figure(0.03, 0.02, 9), Figure(math.nan, math.inf)])
    assert together == Figure(pytest.approx(0.006), pytest.approx(0.00894, rel=1e-3), 18)
    assert pooled([]).says(0, 1) == "cannot tell"
