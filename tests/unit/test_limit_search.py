"""The search for the highest rate that holds."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.limit_search import LOWEST_TPS, LimitSearch


def tried(limit_tps: float, search: LimitSearch, most: int = 100) -> list[float]:
    """The rates that a search tries on a service with this limit."""
    rates: list[float] = []
    while (tps := search.next_tps()) is not None and len(rates) < most:
        rates.append(tps)
        search.told(tps, held=tps <= limit_tps)
    return rates


def test_it_steps_up_by_half_until_something_breaks_and_then_halves_what_is_left() -> None:
    search = LimitSearch(100, resolution=0.1)
    assert tried(400, search) == [100, 150, 225, 337.5, 506.25, 421.875, 379.6875]
    assert (search.held_tps, search.violated_tps) == (379.6875, 421.875)


def test_a_first_rate_that_breaks_is_halved_until_one_holds() -> None:
    search = LimitSearch(100, resolution=0.1)
    assert tried(30, search)[:3] == [100, 50, 25]
    assert search.held_tps is not None
    assert search.held_tps <= 30 < (search.violated_tps or 0)


def test_a_service_that_holds_nothing_is_given_up_at_one_request_a_second() -> None:
    search = LimitSearch(16)
    assert tried(0, search) == [16, 8, 4, 2, LOWEST_TPS]
    assert search.held_tps is None


@given(limit=st.floats(1, 1e5), start=st.floats(1, 1e4), resolution=st.floats(0.01, 0.5))
def test_the_limit_lies_in_an_interval_of_the_wanted_width_after_few_steps(
    limit: float, start: float, resolution: float
) -> None:
    search = LimitSearch(start, resolution=resolution)
    rates = tried(limit, search)
    assert len(rates) < 60
    if search.held_tps is None:
        assert limit < 2 * LOWEST_TPS
        return
    assert search.violated_tps is not None
    assert search.held_tps <= limit < search.violated_tps
    assert search.violated_tps - search.held_tps <= resolution * search.violated_tps
