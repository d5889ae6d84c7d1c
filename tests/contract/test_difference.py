"""`loadflame diff` and `assert_cost` on a store with ten runs of two versions, of which the truth is known."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from rich.console import Console

from benchmarks.planted.comparing import summary
from loadflame.commands.diff import exit_code_of, show
from loadflame.settings import read_settings
from loadflame.testing import CostUnknownError, assert_cost
from schemas.events import CheckOutcome, RunChecked
from sinks.clickhouse import ClickHouseStore, open_for_reading, open_store
from tests.support.batches import WINDOW
from tests.support.commands import loadflame
from tests.support.groups import abba
from tests.support.synthetic import RANK, Stage, Synthetic, shop_costs
from views.difference.build import Difference, build_difference
from views.difference.chosen import GroupError, chosen_runs
from views.difference.terminal import render_difference
from views.runs import UnknownRunError

SECONDS = 7
DEARER = 1.4

# The JSON contract of `loadflame diff --json`: names and nesting stay, fields may be added.
CHANGE = {
    *("base", "new", "verdict", "ratio", "low", "high", "difference", "difference_low", "difference_high", "p"),
    *("minimum_detectable", "samples"),
}
CONTRACT: dict[str, Any] = {
    "service": None,
    "outcome": None,
    "comparable": None,
    "sentences": None,
    "base": {"runs", "left_out"},
    "new": {"runs", "left_out"},
    "levels": {"level", "base_tps", "new_tps", "why", "one_sided"},
    "cpu_us": CHANGE,
    "functions": {
        *("function", "file", "moved_from", "base_share", "new_share", "self_us", "total_us", "is_regression"),
    },
    "latency": {"endpoint", "percentile", "ms"},
    "minimum_detectable": {"service", "function_of_10_percent"},
    "method": {"judged", "interleaved", "drift_removed", "spread_between_runs"},
    "warnings": None,
}


def version(*, rank: float = 1.0, file: str = "shop.py", spread: float = 1.0) -> dict[str, Callable[[float], float]]:
    """The shop, with `rank` so many times as dear, in that file, in a run in which all is `spread` times as dear."""
    found = {}
    for stack, cost in shop_costs(planted=False).items():
        times = spread * (rank if stack.endswith(RANK) else 1.0)
        name = stack.replace(RANK, RANK.replace("shop.py", file)) if stack.endswith(RANK) else stack
        found[name] = lambda tps, cost=cost, times=times: cost(tps) * times
    return found


@dataclass(frozen=True)
class Stored:
    data_dir: Path
    base: list[str]
    new: list[str]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Five runs of either version in turns, two rates each; on the new side `rank` is dearer, in another file."""
    data_dir = tmp_path_factory.mktemp("difference")
    random, sides = np.random.default_rng(8), abba(5)
    with closing(open_store(read_settings(data_dir=data_dir).store_url)) as store:
        for place, is_new in enumerate(sides):
            spread = float(np.exp(random.normal(0, 0.01)))
            costs = version(rank=DEARER, file="search.py", spread=spread) if is_new else version(spread=spread)
            write(store, f"run-{place}", place, costs, seconds=SECONDS)
    names = [f"run-{place}" for place in range(10)]
    return Stored(
        data_dir,
        [name for name, side in zip(names, sides, strict=True) if not side],
        [name for name, side in zip(names, sides, strict=True) if side],
    )


def write(
    store: ClickHouseStore,
    run: str,
    place: int,
    costs: dict[str, Callable[[float], float]],
    *,
    tps: float = 300,
    seconds: int = 4,
) -> None:
    stages = [Stage("low", "low", "hold", seconds, 100), Stage("high", "high", "hold", seconds, tps)]
    Synthetic(run=run, stages=stages, costs=costs, seed=place, first_window=WINDOW + 100 * place).write(store)


@pytest.fixture
def client(stored: Stored) -> Iterator[Client]:
    with closing(open_for_reading(read_settings(data_dir=stored.data_dir).store_url)) as opened:
        yield opened


@pytest.fixture(scope="module")
def compared(stored: Stored) -> Difference:
    """All runs of either version."""
    with closing(open_for_reading(read_settings(data_dir=stored.data_dir).store_url)) as opened:
        return build_difference(opened, stored.base, stored.new)


def diff(stored: Stored, *arguments: str, code: int = 0) -> str:
    done = loadflame("diff", *arguments, data_dir=stored.data_dir)
    assert done.returncode == code, done.stderr
    return done.stdout


def groups(stored: Stored) -> tuple[str, ...]:
    first, *others = stored.base
    return ("--base", first, "--base", ",".join(others), "--new", ",".join(stored.new))


def test_a_comparison_of_the_planted_pool_is_what_is_told_and_who_is_dearer(stored: Stored, client: Client) -> None:
    told = summary(build_difference(client, stored.base, stored.new))
    assert told["outcome"] == "regression"
    assert set(told["worse"]) == {"rank", "search"}, "and who calls it"
    assert ("rank", "self", "dearer") in told["told"]
    assert told["runs"] == (5, 5)
    assert told["spread"] is not None
    assert 0.2 < told["shares"]["rank"] < 0.5
    few = summary(build_difference(client, stored.base[:2], stored.base[2:4]))
    assert (few["told"], few["worse"], few["detectable"]) == ([], [], None)


def test_json_keeps_its_names_and_says_what_got_dearer(stored: Stored) -> None:
    told = json.loads(diff(stored, *groups(stored), "--json", "--fail-on", "regression", code=1))
    assert set(told) >= set(CONTRACT)
    for name, fields in CONTRACT.items():
        if fields:
            for one in told[name] if isinstance(told[name], list) else [told[name]]:
                assert set(one) >= fields, name
    assert (told["service"], told["outcome"], told["comparable"]) == ("shop", "regression", True)
    assert told["base"]["runs"] == stored.base
    assert told["new"]["runs"] == stored.new
    assert [(one["level"], one["base_tps"], one["new_tps"], one["why"]) for one in told["levels"]] == [
        ("low", 100, 100, ""),
        ("high", 300, 300, ""),
    ]
    rank = next(one for one in told["functions"] if one["function"] == "rank")
    assert rank["is_regression"]
    assert (rank["file"], rank["moved_from"]) == ("search.py", "shop.py")
    change = rank["self_us"]
    assert change["verdict"] == "dearer"
    assert change["low"] < DEARER < change["high"]
    assert change["base"] == pytest.approx(350, rel=0.1)
    assert [
        one for one in told["functions"] if one["is_regression"] and one["function"] not in ("rank", "search")
    ] == []
    assert told["method"]["interleaved"] is True
    assert 0 < told["minimum_detectable"]["function_of_10_percent"] < 0.6
    assert {(one["endpoint"], one["percentile"]) for one in told["latency"]} >= {("search", "p50"), ("checkout", "p50")}
    assert {one["ms"]["verdict"] for one in told["latency"]} == {"none"}


def test_the_first_sentence_names_the_function_with_figures_and_interval(compared: Difference) -> None:
    console = Console(width=140)
    with console.capture() as captured:
        console.print(render_difference(compared))
    text = " ".join(captured.get().split())
    assert "▲ REGRESSION" in text
    assert re.search(
        r"▲ rank \(search.py\) got dearer: 3\d\d to \d+ us of CPU per request \(\+\d\d% \[\+\d\d%, \+\d\d%\]\)", text
    )
    assert "`rank` is taken for the same function in search.py as in shop.py before." in text


def test_markdown_is_ready_for_a_pull_request(compared: Difference, capsys: pytest.CaptureFixture[str]) -> None:
    show(compared, as_json=False, as_markdown=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "### loadflame: 🔴 regression in shop"
    assert lines[2].startswith("**`rank` (search.py) got dearer: ")
    table = [line for line in lines if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    rows = [line for line in table if line.startswith("| `rank` (search.py, was in shop.py) |")]
    assert len(rows) == 1
    assert rows[0].endswith("| 🔴 dearer |")
    assert "| p50 of `search` |" in "\n".join(table)


def test_runs_of_one_side_against_each_other_are_no_difference_and_what_would_have_shown_is_said(
    client: Client, stored: Stored
) -> None:
    """Three of one version against two of it and one more, all written with the same costs."""
    store = ClickHouseStore(client)
    for place in range(20, 26):
        write(store, f"same-{place}", place, version())
    found = build_difference(
        client, [f"same-{place}" for place in (20, 23, 24)], [f"same-{place}" for place in (21, 22, 25)]
    )
    assert (found.outcome, found.comparable) == ("none", True)
    assert found.sentences[0].startswith(
        "No difference to the worse: nothing got dearer or slower between 3 base and 3"
    )
    assert "found would have been, in four of five such comparisons, a function that takes 10%" in found.sentences[0]


def test_two_single_runs_give_numbers_and_are_unclear(stored: Stored) -> None:
    told = json.loads(diff(stored, stored.base[0], stored.new[0], "--json", "--fail-on", "regression", code=3))
    assert told["outcome"] == "unclear"
    assert told["sentences"][0].startswith("Unclear: 1 run a side cannot tell a difference from the spread")
    rank = next(one for one in told["functions"] if one["function"] == "rank")
    assert rank["self_us"]["ratio"] == pytest.approx(DEARER, rel=0.15)
    assert (rank["self_us"]["verdict"], rank["self_us"]["low"]) == ("unclear", None)


def test_a_rate_that_one_side_did_not_get_through_is_refused_and_no_green(client: Client) -> None:
    store = ClickHouseStore(client)
    for place in range(40, 46):
        write(store, f"slow-{place}", place, version(), tps=300 if place % 2 else 240)
    sides = [[f"slow-{place}" for place in range(40, 46) if place % 2 == odd] for odd in (1, 0)]
    found = build_difference(client, *sides)
    assert found.sentences[-1] == "high is not compared: base got through 300 TPS and new through 240."
    assert (found.outcome, found.comparable) == ("none", False)
    assert exit_code_of(found, "regression") == 3
    assert exit_code_of(found, "nothing") == 0


def test_a_run_that_may_not_be_relied_upon_is_left_out(client: Client, stored: Stored) -> None:
    store = ClickHouseStore(client)
    write(store, "broken", 60, version())
    write(store, "on", 61, version())
    store.write_events([RunChecked(run_id="broken", checks=[CheckOutcome(name="I3", ok=False, sentence="1 = 2")])], [1])
    found: Difference = build_difference(client, [stored.base[0], "broken"], stored.new)
    assert found.base.runs == (stored.base[0],)
    assert [(one.run, one.why) for one in found.base.left_out] == [
        ("broken", "not every outcome is accounted for: I3: 1 = 2")
    ]


def test_runs_are_chosen_by_id_list_and_range(client: Client, stored: Stored) -> None:
    assert chosen_runs(client, ["run-3", "run-1,run-2"]) == ("run-3", "run-1", "run-2")
    assert chosen_runs(client, ["run-2..run-4"]) == chosen_runs(client, ["run-4..run-2"]) == ("run-2", "run-3", "run-4")
    with pytest.raises(UnknownRunError, match="no run 'run-99' in the store"):
        chosen_runs(client, ["run-1..run-99"])
    for wrong in ("run-1..", "run-1..run-2..run-3"):
        with pytest.raises(GroupError, match="is no range of runs"):
            chosen_runs(client, [wrong])
    with pytest.raises(GroupError, match="run run-1 is on both sides"):
        build_difference(client, ["run-1"], chosen_runs(client, ["run-0..run-2"]))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param((), "name the runs of both sides", id="none"),
        pytest.param(("run-1",), "name two runs, BASE NEW", id="one"),
        pytest.param(("run-1", "run-2", "--new", "run-3"), "as BASE NEW or by --base and --new", id="both ways"),
        pytest.param(("run-1", "run-2", "--json", "--markdown"), "two forms of one thing", id="both forms"),
    ],
)
def test_what_is_wrong_with_a_call_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = loadflame("diff", *arguments, data_dir=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


# A cost in a test of one's own


def test_a_function_within_its_cost_passes_and_its_cost_is_returned(stored: Stored) -> None:
    for name in ("rank", "rank (shop.py)"):
        cost = assert_cost(stored.base[0], name, max_us=450, data_dir=stored.data_dir)
        assert cost == pytest.approx(350, rel=0.15)
    own = assert_cost(stored.base[0], "search", max_us=100, of="self", data_dir=stored.data_dir)
    assert own == pytest.approx(40, rel=0.5)


def test_a_function_beyond_its_cost_fails_with_figure_interval_and_hottest_callee(stored: Stored) -> None:
    with pytest.raises(AssertionError) as failed:
        assert_cost(stored.base[0], "search", max_us=500, data_dir=stored.data_dir)
    text = str(failed.value)
    assert text.startswith("`search` (shop.py) costs 6")
    assert "of CPU per request with what it calls, over the 500 us allowed (95%: " in text
    assert f"; run {stored.base[0]}, 4 stretches at 100 to 300 TPS" in text
    assert "; hottest callee: `rank` (shop.py), 5" in text
    assert "; its own code: " in text


def test_a_cost_that_may_be_chance_says_so(stored: Stored) -> None:
    cost = assert_cost(stored.base[0], "rank", max_us=1e9, data_dir=stored.data_dir)
    with pytest.raises(AssertionError, match=r"the interval holds .* us, so a longer run may say otherwise"):
        assert_cost(stored.base[0], "rank", max_us=0.999 * cost, data_dir=stored.data_dir)


def test_a_misspelt_function_does_not_pass(stored: Stored) -> None:
    with pytest.raises(CostUnknownError, match=r"saw no function 'rnak' .*; did you mean .*rank \(shop.py\)"):
        assert_cost(stored.base[0], "rnak", max_us=1e9, data_dir=stored.data_dir)
