"""The search for the highest rate that holds."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.judging.limit_search import LOWEST_TPS, MOST_STEPS, LimitSearch


def tried(limit_tps: float, search: LimitSearch) -> list[float]:
    """The rates that a search tries on a service with this limit."""
    return told(search, lambda tps: tps <= limit_tps)


def told(search: LimitSearch, holds) -> list[float]:
    rates: list[float] = []
    while (tps := search.next_tps()) is not None:
        rates.append(tps)
        search.told(tps, held=holds(tps))
    return rates


def test_it_steps_up_by_half_until_something_breaks_halves_what_is_left_and_tries_both_ends_again() -> None:
    search = LimitSearch(100, resolution=0.1)
    assert tried(400, search) == [100, 150, 225, 337.5, 506.25, 421.875, 379.6875, 379.6875, 421.875]
    assert (search.held_tps, search.violated_tps) == (379.6875, 421.875)


def test_a_first_rate_that_breaks_is_halved_until_one_holds() -> None:
    search = LimitSearch(100, resolution=0.1)
    assert tried(30, search)[:3] == [100, 50, 25]
    assert search.held_tps is not None
    assert search.held_tps <= 30 < (search.violated_tps or 0)


def test_a_service_that_holds_nothing_is_given_up_at_one_request_a_second() -> None:
    search = LimitSearch(16)
    assert tried(0, search) == [16, 8, 4, 2, LOWEST_TPS]
    assert (search.held_tps, search.violated_tps) == (None, LOWEST_TPS)


def test_no_rate_is_tried_above_the_highest_that_is_allowed() -> None:
    search = LimitSearch(100, highest_tps=300)
    assert tried(10_000, search) == [100, 150, 225, 300, 300]
    assert (search.held_tps, search.violated_tps) == (300, None)


VISITS = [
    # (what was told, the highest that held, the lowest that broke, rates that did both, what is tried next)
    ("what held is tried again first", [(100, 1), (110, 0)], 100, 110, (), 100),
    ("then what broke", [(100, 1), (110, 0), (100, 1)], 100, 110, (), 110),
    ("then it is over", [(100, 1), (110, 0), (100, 1), (110, 0)], 100, 110, (), None),
    ("an end that breaks is no end", [(90, 1), (100, 1), (110, 0), (100, 0)], 90, 110, (100,), 90),
    ("nor one that holds", [(100, 1), (120, 0), (110, 0), (100, 1), (110, 1)], 100, 120, (110,), 120),
    ("beyond which is tried where nothing is known", [(100, 1), (110, 0), (100, 1), (110, 1)], 100, None, (110,), 165),
    ("or below", [(100, 1), (110, 0), (100, 0)], None, 110, (100,), 50),
    ("both may be", [(100, 1), (110, 0), (100, 0), (50, 1), (110, 1), (165, 0)], 50, 165, (100, 110), 50),
]


@pytest.mark.parametrize(
    ("steps", "held", "violated", "unsure", "then"), [row[1:] for row in VISITS], ids=[row[0] for row in VISITS]
)
def test_an_interval_rests_on_two_visits_of_each_end(steps, held, violated, unsure, then) -> None:
    search = LimitSearch(100, resolution=0.1)
    for tps, did_hold in steps:
        search.told(tps, held=bool(did_hold))
    assert (search.held_tps, search.violated_tps, search.unsure_tps) == (held, violated, unsure)
    assert search.next_tps() == then


@given(limit=st.floats(1, 1e5), start=st.floats(1, 1e4), resolution=st.floats(0.01, 0.5))
def test_the_limit_lies_in_an_interval_of_the_wanted_width_after_few_steps(
    limit: float, start: float, resolution: float
) -> None:
    search = LimitSearch(start, resolution=resolution)
    rates = tried(limit, search)
    assert len(rates) < MOST_STEPS
    assert search.unsure_tps == ()
    if search.held_tps is None:
        assert limit < 2 * LOWEST_TPS
        return
    assert search.violated_tps is not None
    assert search.held_tps <= limit < search.violated_tps
    assert search.violated_tps - search.held_tps <= resolution * search.violated_tps
    visits = Counter(rates)
    assert visits[search.held_tps] == visits[search.violated_tps] == 2


@given(seed=st.integers(0, 2**32), limit=st.floats(1, 1e5), width=st.floats(0, 3), highest=st.floats(10, 1e6))
def test_a_service_that_answers_now_so_and_now_so_ends_it_too_with_an_interval_that_no_step_contradicts(
    seed: int, limit: float, width: float, highest: float
) -> None:
    rng = random.Random(seed)
    search = LimitSearch(10, highest_tps=highest)
    rates = told(search, lambda tps: tps <= limit * 2 ** rng.uniform(-width, width))
    assert len(rates) <= MOST_STEPS
    assert max(rates) <= highest
    for tps, held in search.steps.items():
        if search.held_tps is not None and tps <= search.held_tps:
            assert all(held)
        if search.violated_tps is not None and tps >= search.violated_tps:
            assert not any(held)
    if search.held_tps is not None and search.violated_tps is not None:
        assert search.held_tps < search.violated_tps
