"""Costs by endpoint from joined samples: sums, what nobody's request is known of, and intervals that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.endpoints.served import NOBODY, Served, paid_costs
from analysis.evidence.stacks import StackCounts

MAIN, RANK, SIGN = "main (shop.py)", "rank (shop.py)", "sign (shop.py)"
STACKS = [(MAIN, RANK), (MAIN, SIGN), (MAIN,)]
PERIOD_US = 5_000.0


def served(samples: dict[tuple[int, int], list[float]], ended: list[list[float]]) -> Served:
    """Samples by block of (stack, endpoint), each standing for PERIOD_US; requests by block of each endpoint."""
    counts = np.array(list(samples.values()), np.float64)
    of_stack = np.zeros((len(STACKS), counts.shape[1]))
    for (stack, _), row in zip(samples, counts, strict=True):
        of_stack[stack] += row
    return Served(
        stacks=StackCounts.of(STACKS, of_stack),
        endpoints=("search", "checkout")[: len(ended)],
        stack=np.array([stack for stack, _ in samples], np.intp),
        endpoint=np.array([endpoint for _, endpoint in samples], np.intp),
        cpu_us=counts * PERIOD_US,
        samples=counts,
        ended=np.array(ended, np.float64),
        level_tps=np.full(counts.shape[1], 50.0),
    )


def masks(told: Served) -> dict[str, np.ndarray]:
    return {label: told.stacks.stacks_with(place) for place, label in enumerate(told.stacks.functions)}


def test_each_endpoint_pays_for_what_was_sampled_while_it_was_served_and_nobody_for_the_rest() -> None:
    told = served(
        {(0, 0): [40, 40], (0, NOBODY): [10, 10], (1, 1): [20, 20], (2, 0): [5, 5], (2, NOBODY): [25, 25]},
        [[100, 100], [50, 50]],
    )
    costs = paid_costs(told, masks(told))
    (rank,) = costs[RANK]
    assert (rank.endpoint, rank.us, rank.share, rank.unknown_share) == ("search", 80 * PERIOD_US / 200, 0.8, 0.2)
    (sign,) = costs[SIGN]
    assert (sign.us, sign.share, sign.unknown_share) == (40 * PERIOD_US / 100, 1.0, 0.0)
    assert [(one.endpoint, one.share) for one in costs[MAIN]] == [("search", 0.45), ("checkout", 0.2)]
    assert rank.requests_share == pytest.approx(2 / 3)
    assert told.joined_share == pytest.approx(130 / 200)


@pytest.mark.parametrize("blocks", [1, 2, 12])
def test_however_few_blocks_there_are_the_interval_is_that_of_the_samples_at_least(blocks: int) -> None:
    told = served({(0, 0): [20.0] * blocks, (1, 1): [1.0] * blocks}, [[100.0] * blocks, [50.0] * blocks])
    (rank,) = paid_costs(told, masks(told))[RANK]
    count = 20 * blocks
    assert rank.us_low < rank.us * (1 - 1.7 / count**0.5) < rank.us * (1 + 1.9 / count**0.5) < rank.us_high
    assert rank.share_high == 1.0
    assert rank.share_low == pytest.approx(0.025 ** (1 / count))


def test_an_endpoint_of_which_no_request_ended_and_one_that_pays_next_to_nothing_are_not_listed() -> None:
    told = served({(0, 0): [999.0], (0, 1): [4.0]}, [[100.0], [50.0]])
    assert [one.endpoint for one in paid_costs(told, masks(told))[RANK]] == ["search"]
    gone = served({(0, 0): [10.0], (0, 1): [90.0]}, [[100.0], [0.0]])
    assert [one.endpoint for one in paid_costs(gone, masks(gone))[RANK]] == ["search"]


def test_what_no_stack_shows_costs_nothing() -> None:
    told = served({(0, 0): [0.0], (1, 1): [3.0]}, [[100.0], [50.0]])
    assert paid_costs(told, {RANK: np.array([True, False, False])}) == {RANK: ()}
    assert paid_costs(told, {}) == {}


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=6))
def test_shares_lie_in_their_intervals_and_make_no_more_than_all_there_is(rows: list[tuple[int, int, int]]) -> None:
    search, checkout, nobody = (list(map(float, one)) for one in zip(*rows, strict=True))
    told = served({(0, 0): search, (0, 1): checkout, (0, NOBODY): nobody}, [[50.0] * len(rows), [20.0] * len(rows)])
    costs = paid_costs(told, {RANK: np.array([True, False, False])})[RANK]
    for one in costs:
        assert 0 <= one.share_low <= one.share + 1e-9
        assert one.share <= one.share_high + 1e-9 <= 1 + 2e-9
        assert 0 <= one.us_low <= one.us <= one.us_high
    assert sum(one.share for one in costs) + (costs[0].unknown_share or 0 if costs else 0) <= 1 + 1e-9


@pytest.mark.parametrize("spread", [0.0, 0.3], ids=["nothing but counts", "costs that vary by 30% as well"])
def test_intervals_hold_the_truth(spread: float) -> None:
    random, held, shares = np.random.default_rng(11), [], []
    for _ in range(300):
        ended = random.poisson(200, 12).astype(float)
        other = random.poisson(100, 12).astype(float)
        swing = np.exp(random.normal(0, spread, 12) - spread**2 / 2) if spread else np.ones(12)
        told = served(
            {(0, 0): list(random.poisson(0.1 * ended * swing)), (0, 1): list(random.poisson(0.05 * other * swing))},
            [list(ended), list(other)],
        )
        costs = {one.endpoint: one for one in paid_costs(told, masks(told))[RANK]}
        cost = costs["search"]
        held.append(cost.us_low <= 0.1 * PERIOD_US <= cost.us_high)
        shares.append(cost.share_low <= 0.8 <= cost.share_high)
    assert 0.93 <= np.mean(held) <= 0.995
    assert 0.93 <= np.mean(shares) <= 1.0
