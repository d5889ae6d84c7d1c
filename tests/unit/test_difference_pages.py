"""A comparison in sentences, as a page in a terminal, and as Markdown."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from analysis.comparison.cells import Level
from analysis.comparison.difference import Change, Comparison, FunctionChange
from analysis.comparison.difference_sentences import Compared, change, incomparable, sentences
from views.difference import model
from views.difference.build import difference_of
from views.difference.groups import Groups
from views.difference.markdown import markdown_of
from views.difference.model import Difference
from views.difference.terminal import render_difference


def figure(what: str, name: str, verdict: str = "none", base: float = 100.0, times: float = 1.02) -> Change:
    new = base * times
    return Change(
        what=what,
        name=name,
        base=base if verdict != "new" else 0.0,
        new=new if verdict != "gone" else 0.0,
        verdict=verdict,
        ratio=None if verdict in ("new", "gone") else times,
        ratio_low=times - 0.03,
        ratio_high=times + 0.03,
        difference=new - base,
        difference_low=new - base - 3,
        difference_high=new - base + 3,
        p=0.5,
        detectable=0.061,
        samples=900,
    )


def function(name: str, alone: str, whole: str = "none", base: float = 350.0, times: float = 1.1) -> FunctionChange:
    return FunctionChange(
        f"{name} (shop.py)",
        figure("self", f"{name} (shop.py)", alone, base, times),
        figure("total", f"{name} (shop.py)", whole, 1.2 * base, times),
        0.1,
        0.11,
    )


def comparison(*functions: FunctionChange, service: str = "none", latency: str = "none", **more: object) -> Comparison:
    values = {
        "base_runs": 5,
        "new_runs": 5,
        "service": figure("service", "", service, 1450.0, 1.01),
        "functions": functions,
        "latencies": (figure("p50", "search", base=8.8), figure("p99", "search", latency, 14.1, 1.13)),
        "judged": 40,
        "interleaved": True,
        "drift_removed": True,
        "spread": 0.021,
        "typical": 0.064,
    }
    return Comparison(**(values | more))


SAME = Level("map@40", 40.0, 40.0)
REFUSED = Level("map@320", 320.0, 280.0, "base got through 320 TPS and new through 280", one_sided=True)
WHOLE = "1,450 to 1,460 us of CPU per request (+1.0% [-2.0%, +4.0%])"
NOTHING = "No difference to the worse: nothing got dearer or slower between 5 base and 5 new runs at the same rates"
CASES = [
    pytest.param(
        comparison(function("rank", "dearer", "dearer"), function("search", "none", "dearer")),
        [
            "`rank` (shop.py) got dearer: 350 to 385 us of CPU per request (+10% [+7.0%, +13%]), 35.0 [32.0, 38.0] us",
            f"shop as a whole: {WHOLE}, which alone would be no difference.",
        ],
        id="a function got dearer",
    ),
    pytest.param(
        comparison(function("start", "none", "dearer", times=1.04), function("search", "none", "dearer", times=1.2)),
        [
            "`search` (shop.py) with what it calls got dearer: 420 to 504 us of CPU per request (+20% [+17%, +23%]).",
            f"shop as a whole: {WHOLE}, which alone would be no difference.",
        ],
        id="something that a function calls did, and no single one stands out: the nearest caller is named",
    ),
    pytest.param(
        comparison(service="dearer"),
        [
            f"shop as a whole got dearer: {WHOLE}; no function stands out.",
        ],
        id="everything a little",
    ),
    pytest.param(
        comparison(latency="slower"), ["p99 of search got slower: 14.1 to 15.9 ms (+13% [+10%, +16%])."], id="a latency"
    ),
    pytest.param(
        comparison(function("rank", "none")),
        [
            (
                f"{NOTHING}; found would have been, in four of five such comparisons, a function that takes 10% of the "
                "CPU had it become 6.4% dearer, the service as a whole 6.1%, p50 of search 6.1%."
            )
        ],
        id="nothing, and what would have been found",
    ),
    pytest.param(
        comparison(function("rank", "new"), function("old", "gone"), function("sum", "cheaper", times=0.5)),
        [
            "No difference to the worse: ",
            "`rank` (shop.py) is new: 385 us of CPU per request.",
            "`old` (shop.py) is gone: it took 350 us of CPU per request.",
            "`sum` (shop.py) got cheaper: 350 to 175 us of CPU per request (-50% [-53%, -47%]).",
        ],
        id="new and gone functions are told, and are no regression",
    ),
    pytest.param(
        comparison(*(function(f"f{place}", "dearer", "dearer") for place in range(7)), service="dearer"),
        [
            *[f"`f{place}` (shop.py) got dearer: " for place in range(5)],
            "2 more functions got dearer.",
            "shop as a whole",
        ],
        id="many",
    ),
    pytest.param(
        comparison(function("rank", "unclear", "unclear", times=1.1), base_runs=1, new_runs=1),
        [
            (
                "Unclear: 1 run a side cannot tell a difference from the spread between runs (3 are needed, 5 are "
                f"usual); shop took {WHOLE}, and `rank` (shop.py) changed most: 350 to 385 us."
            )
        ],
        id="two single runs",
    ),
]


@pytest.mark.parametrize(("compared", "expected"), CASES)
def test_what_matters_most_is_the_first_sentence(compared: Comparison, expected: list[str]) -> None:
    told = sentences(Compared("shop", compared, [SAME]))
    assert len(told) == len(expected)
    for one, beginning in zip(told, expected, strict=True):
        assert one.startswith(beginning)


def test_a_function_that_took_over_what_it_called_is_told_as_such() -> None:
    one = function("rank", "dearer", base=100)
    moved = replace(one, whole=replace(one.whole, difference=0.0))
    told = sentences(Compared("shop", comparison(moved)))
    assert told[0].startswith("No difference to the worse")
    assert told[1].startswith("`rank` (shop.py) does more itself and calls others for less: 100 to 110 us of CPU")


@pytest.mark.parametrize(
    ("levels", "first"),
    [
        ([], "Not compared: the runs have no measured stage in common."),
        ([REFUSED], "Not compared: there is no stage in which both sides were measured at the same rate."),
        ([SAME], "Not compared: a side has no run that may be used."),
    ],
)
def test_what_cannot_be_compared_at_all_is_said(levels: list[Level], first: str) -> None:
    assert incomparable(levels)[0] == first


def test_a_rate_that_was_refused_is_told() -> None:
    told = sentences(Compared("shop", comparison(), [SAME, REFUSED]))
    assert told[-1] == "map@320 is not compared: base got through 320 TPS and new through 280."


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(1.094, "+9.4%"), (0.69, "-31%"), (4.21, "4.2 times"), (250.0, "250 times"), (None, "–"), (1.0, "+0.0%")],
)
def test_changes_in_words(ratio: float | None, words: str) -> None:
    assert change(ratio) == words


# Pages


def a_difference(compared: Comparison | None = None, **changes: object) -> Difference:
    compared = compared or comparison(
        function("rank", "dearer", "dearer"),
        function("a_name|with [all] *kinds* of <signs>", "new"),
        function("steady", "none"),
        function("rare", "unclear"),
        service="dearer",
        latency="slower",
    )
    run = SimpleNamespace(id="r", service="shop", plan={"requests": []})
    groups = Groups((run,), tuple("abcdefgh"), {"i": "it has not ended"}, (SAME, REFUSED), None, ())
    made = difference_of(groups, compared, list("abcd"), [*"efghi", "r"])
    return made.model_copy(update=changes)


def page(difference: Difference, width: int, *, colour: bool = False) -> str:
    console = Console(width=width, force_terminal=colour, color_system="truecolor" if colour else None)
    with console.capture() as captured:
        console.print(render_difference(difference))
    return captured.get()


@pytest.mark.parametrize("width", [80, 99, 100, 119, 120, 140, 300])
def test_the_page_fits_itself_to_the_terminal(width: int) -> None:
    assert max(map(len, page(a_difference(), width).splitlines())) <= min(width, 140)


@pytest.mark.parametrize("width", [80, 140])
def test_without_colour_the_page_says_everything_in_words_and_signs(width: int) -> None:
    text = " ".join(page(a_difference(), width).split())
    for expected in (
        "▲ REGRESSION",
        "base 4 runs a to d",
        "new 4 runs e to h, 1 left out",
        "rank (shop.py) got dearer: 350 to 385 us",
        "▲ dearer",
        "▲ slower",
        "+ new",
        "= no difference",
        "? unclear",
        "map@40 40 / 40 TPS compared",
        "not compared: base got through 320 TPS and new through 280",
        "! Run i is left out: it has not ended.",
        "at most 5% of such pages tell a difference",
        "Spread between runs of one side: 2.1% for a function",
    ):
        assert expected in text


def test_colour_carries_the_meaning_of_the_outcome() -> None:
    worse = page(a_difference(), 100, colour=True)
    assert worse != page(a_difference(outcome="improvement"), 100, colour=True)
    assert "\x1b[1;31m" in worse


def test_what_changed_for_certain_stands_before_what_changed_most() -> None:
    large = function("large", "none", base=9_000)
    text = page(a_difference(comparison(large, function("rank", "dearer", "dearer"))), 120)
    table = text[text.index("us per answered request") :]
    assert table.index("rank") < table.index("large")


def test_markdown_escapes_what_would_break_its_tables() -> None:
    text = markdown_of(a_difference())
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {7}
    assert "| `a_name\\|with [all] *kinds* of <signs>` (shop.py) | 0 us | 385 us | – |" in text
    assert "- `map@320`: 320 / 280 TPS, not compared: base got through" in text
    assert text.startswith("### loadflame: 🔴 regression in shop\n")


@pytest.mark.parametrize(
    ("compared", "outcome"),
    [
        (comparison(function("rank", "dearer", "dearer")), "regression"),
        (comparison(latency="slower"), "regression"),
        (comparison(service="dearer"), "regression"),
        (comparison(function("rank", "new")), "none"),
        (comparison(function("rank", "cheaper")), "improvement"),
        (comparison(function("rank", "cheaper"), function("sum", "dearer", "dearer")), "regression"),
        (comparison(latency="faster"), "improvement"),
        (comparison(base_runs=2), "unclear"),
    ],
)
def test_the_outcome_is_the_worst_of_what_is_told(compared: Comparison, outcome: model.Outcome) -> None:
    assert a_difference(compared).outcome == outcome


def test_two_sides_without_anything_in_common_make_a_page_too() -> None:
    run = SimpleNamespace(id="r", service="shop", plan={})
    groups = Groups((run,), (), {}, (REFUSED,), None, ())
    made = difference_of(groups, None, ["b"], ["r"])
    assert (made.outcome, made.comparable) == ("unclear", False)
    assert "Not compared: there is no stage" in " ".join(page(made, 100).split())
    assert "🟡 unclear" in markdown_of(made)
