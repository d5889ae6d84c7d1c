"""Which endpoint pays, in a sentence: the function that does the work is named, not all that call it."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.endpoints.attribution import Cost, Mix
from analysis.endpoints.endpoint_findings import endpoint_findings, samples_alone, why_not_told
from analysis.evidence.stacks import StackCounts
from analysis.finding import Figures

LOOP = "run (asyncio/base_events.py)"
HANDLER, SIGN, SWEEP, RANK = "checkout (shop.py)", "sign (shop.py)", "sweep (shop.py)", "rank (shop.py)"
STACKS = StackCounts.of(
    [(LOOP, HANDLER), (LOOP, HANDLER, SIGN), (LOOP, HANDLER, SWEEP), (LOOP, "search (shop.py)", RANK)],
    np.array([[2.0], [30.0], [40.0], [28.0]]),
)


def figures(label: str, share: float) -> Figures:
    name, _, file = label.rstrip(")").partition(" (")
    return Figures(name, file, self_share=share, total_share=share, self_us=1, us=1)


FUNCTIONS = {
    label: figures(label, share)
    for label, share in ((LOOP, 1.0), (HANDLER, 0.72), (SIGN, 0.3), (SWEEP, 0.4), (RANK, 0.28))
}
PAID = Cost("checkout", 1_214.0, 1_049.0, 1_379.0, 0.93, 0.81, 1.0, 0.2)
SHARED = replace(PAID, share=0.3, share_low=0.2, share_high=0.4)


def test_the_function_that_does_the_work_is_named_with_what_each_request_costs() -> None:
    costs = {LOOP: (PAID,), HANDLER: (PAID,), SIGN: (PAID,), SWEEP: (SHARED,)}
    (found,) = endpoint_findings(FUNCTIONS, costs, {SIGN: (PAID,), SWEEP: (SHARED,)})
    assert found.summary == (
        "`sign` (shop.py) is paid for by `checkout`: 1.2 ms [1.0, 1.4] for each, 93% of its CPU [81%, 100%]."
    )
    assert (found.kind, found.function) == ("endpoint", SIGN)
    assert found.evidence["endpoint"] == "checkout"
    assert found.evidence["us_low"] == 1_049.0


@pytest.mark.parametrize(
    ("unknown", "words"),
    [
        pytest.param(0.0, "", id="all of it is joined"),
        pytest.param(0.07, " (of 7% no request is known)", id="of some no request is known"),
    ],
)
def test_what_was_seen_says_so_and_what_is_not_known(unknown: float, words: str) -> None:
    seen = replace(PAID, unknown_share=unknown)
    (found,) = endpoint_findings(FUNCTIONS, {SIGN: (seen,)}, {SIGN: (seen,)})
    assert found.summary.endswith(f"93% of its CPU [81%, 100%], seen on the threads that served it{words}.")
    assert found.evidence["unknown_share"] == unknown
    assert "served" in str(found.evidence["relation"])


def test_by_themselves_weigh_those_that_do_the_work_and_never_the_machinery() -> None:
    alone = samples_alone(FUNCTIONS, STACKS)
    assert {label: counts.tolist() for label, counts in alone.items()} == {SWEEP: [40.0], SIGN: [30.0], RANK: [28.0]}


def test_a_handler_that_does_most_by_itself_weighs() -> None:
    handler = StackCounts.of([(LOOP, HANDLER), (LOOP, HANDLER, SIGN)], np.array([[70.0, 20.0], [3.0, 1.0]]))
    small = {**FUNCTIONS, SIGN: figures(SIGN, 0.03)}
    assert {label: counts.tolist() for label, counts in samples_alone(small, handler).items()} == {
        HANDLER: [73.0, 21.0]
    }


def test_who_only_calls_what_an_endpoint_pays_for_is_not_named() -> None:
    costs = {HANDLER: (PAID,), SIGN: (PAID,)}
    (found,) = endpoint_findings(FUNCTIONS, costs, {HANDLER: (SHARED,), SIGN: (PAID,)})
    assert found.function == SIGN
    unsure = replace(PAID, share_low=0.1)
    found, _ = endpoint_findings(FUNCTIONS, costs, {HANDLER: (unsure,), SIGN: (PAID,)})
    assert found.function == HANDLER
    elsewhere = replace(PAID, endpoint="search")
    assert endpoint_findings(FUNCTIONS, {HANDLER: (PAID,)}, {HANDLER: (elsewhere,)}) == ()


def test_the_dearest_comes_first() -> None:
    search = replace(PAID, endpoint="search", us=84.0, us_low=70.0, us_high=98.0)
    found = endpoint_findings(FUNCTIONS, {RANK: (search,), SIGN: (PAID,)}, {RANK: (search,), SIGN: (PAID,)})
    assert [one.function for one in found] == [SIGN, RANK]
    assert "84 us [70, 98] for each" in found[1].summary


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((8.4, 7.26, 9.5), "8.4 us [7.3, 9.5]"),
        ((126.0, 119.6, 131.0), "126 us [120, 131]"),
        ((45_300.0, 40_100.0, 50_900.0), "45 ms [40, 51]"),
    ],
)
def test_microseconds_have_two_digits_at_least(given: tuple[float, float, float], text: str) -> None:
    us, low, high = given
    cost = replace(PAID, us=us, us_low=low, us_high=high)
    (found,) = endpoint_findings(FUNCTIONS, {SIGN: (cost,)}, {SIGN: (cost,)})
    assert f": {text} for each" in found.summary


# Why not


def mix(requests: list[list[float]], rate: float = 200.0) -> Mix:
    columns = np.array(requests, np.float64)
    return Mix(tuple(f"e{at}" for at in range(len(columns))), columns, np.full(columns.shape[1], rate))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param(mix([[100.0] * 8]), None, id="one endpoint pays for everything"),
        pytest.param(mix([[90, 10] * 4, [10, 90] * 4]), None, id="all are told"),
        pytest.param(mix([[90, 10] * 4, [10, 90] * 4, [0, 0] * 4]), None, id="and one was never asked"),
        pytest.param(
            mix([[75.0] * 8, [25.0] * 8]),
            "Which endpoint pays for a function is not identifiable: the mix of requests was nearly the same whenever "
            "the rate was; add a stage like `{name: mix, levels: [100], visits: 8, each: 4s, modulate: 0.9}`.",
            id="the same mix all along",
        ),
        pytest.param(
            mix([[90, 10], [10, 90]], rate=0.0),
            "Which endpoint pays for a function is not identifiable: 2 usable visits are too few; "
            "add a stage like `{name: mix, levels: [RATE], visits: 8, each: 4s, modulate: 0.9}`.",
            id="too few visits",
        ),
        pytest.param(
            mix([[90, 10] * 4, [10, 90] * 2 + [20, 70] * 2, [5, 45] * 2 + [10, 35] * 2]),
            "Not told apart by the mix of requests: e1, e2; give the swung stage more visits.",
            id="two swing together",
        ),
    ],
)
def test_why_endpoints_are_not_told(given: Mix, said: str | None) -> None:
    assert why_not_told(given) == said


def test_the_remedy_has_visits_enough_for_the_endpoints() -> None:
    said = why_not_told(mix([[10.0] * 20] * 12))
    assert said is not None
    assert "visits: 18" in said
