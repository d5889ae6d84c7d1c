"""The rate that a sampler can afford."""

from hypothesis import given
from hypothesis import strategies as st

from producers.profiler.pace import BUDGET_SHARE, LEAST_SHARE, MIN_HZ, Pace


def windows(pace: Pace, cost_of_a_hertz: float, count: int = 60, own_share: float = 0.0) -> list[int]:
    """Rates over windows in which a hertz has this cost."""
    return [pace.after(pace.rate_hz * cost_of_a_hertz, own_share) for _ in range(count)]


def test_so_many_instances_share_what_one_could_have() -> None:
    assert Pace(200).begin([1]) == 200
    assert Pace(200).begin([1] * 4) == 50
    assert Pace(200).begin([1] * 100) == MIN_HZ
    assert Pace(200).begin([]) == 200


def test_threads_cost_what_the_sampler_says_they_cost() -> None:
    assert Pace(200, thread_cost=0.05).begin([21]) == 100
    assert Pace(200, thread_cost=0.05).begin([21, 21]) == 50
    assert Pace(200, thread_cost=0.05, fixed=True).begin([21, 21]) == 200


def test_a_rate_within_the_budget_stays() -> None:
    pace = Pace(200)
    pace.begin([1])
    assert set(windows(pace, 0.9 * BUDGET_SHARE / 200)) == {200}


def test_a_rate_beyond_the_budget_falls_to_what_fits() -> None:
    pace = Pace(200)
    pace.begin([1])
    rates = windows(pace, 1.2 * BUDGET_SHARE / 200)
    assert rates[:2] == [200, 200]  # one dear second proves nothing
    assert 0.7 * 200 / 1.2 < rates[2] < 200 / 1.2
    assert set(rates[2:]) == {rates[2]}


def test_a_rate_far_beyond_the_budget_falls_at_once() -> None:
    pace = Pace(200)
    pace.begin([1])
    rate_hz = pace.after(4 * BUDGET_SHARE)
    assert 0.7 * 200 / 4 < rate_hz < 200 / 4
    # A rate takes effect a window later: what the old one still costs says nothing of the new one.
    assert [pace.after(4 * BUDGET_SHARE), pace.after(4 * BUDGET_SHARE)] == [rate_hz, rate_hz]


def test_what_the_agent_itself_takes_is_of_the_same_budget() -> None:
    pace = Pace(200)
    pace.begin([1])
    cost = 0.9 * BUDGET_SHARE / 200
    assert set(windows(pace, cost, own_share=0.1 * BUDGET_SHARE)) == {200}
    dear = windows(pace, cost, own_share=0.5 * BUDGET_SHARE)[-1]
    assert 0.7 * 0.5 * BUDGET_SHARE < dear * cost < 0.5 * BUDGET_SHARE
    least = windows(pace, cost, own_share=2 * BUDGET_SHARE)[-1]
    assert 0.7 * LEAST_SHARE < least * cost < LEAST_SHARE, "however dear it is, something is left for looking"


def test_a_rate_with_much_room_rises_to_what_was_wanted() -> None:
    pace = Pace(200)
    pace.begin([1] * 4)
    assert windows(pace, 0.3 * BUDGET_SHARE / 200)[-1] == 200
    assert windows(pace, 0.3 * BUDGET_SHARE / 200) == [200] * 60


def test_a_rate_that_the_user_named_stays() -> None:
    pace = Pace(500, fixed=True)
    assert pace.begin([1] * 8) == 500
    assert set(windows(pace, 1.0)) == {500}


@given(st.floats(0, 1), st.integers(1, 50), st.integers(MIN_HZ, 1000))
def test_whatever_looking_costs_the_rate_settles_and_keeps_to_the_budget_or_to_its_floor(
    cost: float, instances: int, wanted_hz: int
) -> None:
    pace = Pace(wanted_hz)
    pace.begin([1] * instances)
    settled = windows(pace, cost)[-10:]
    assert len(set(settled)) == 1
    assert MIN_HZ <= settled[0] <= wanted_hz
    assert settled[0] == MIN_HZ or settled[0] * cost <= BUDGET_SHARE * 1.001
