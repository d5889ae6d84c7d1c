"""Sentences about slow requests, from figures made by hand."""

from dataclasses import replace

import pytest

from analysis.finding import Finding
from analysis.waiting.contrast import Contrast, Difference
from analysis.waiting.slow_findings import placed, slow_findings

IDLE = Difference("idle", "", "", 0.71, 0.22, 0.40, 0.58, 1e-9)
NOT_IDLE = replace(IDLE, slow=0.02, middle=0.40, low=-0.45, high=-0.30, p=1.0)
STOOD = Difference("waits", "acquire (python3.11/threading.py)", "get_connection (db.py)", 1.8, 0.2, 1.2, 2.0, 1e-9)
RUNS = Difference(
    "runs", "rebuild (shop.py)", "", 0.85, 0.05, 0.6, 0.9, 1e-9, 4.0, overall=0.2, slow_share=0.8, middle_share=0.02
)
CALLER = replace(RUNS, name="search (shop.py)", slow=0.9, depth=2.0)
LOOP = replace(RUNS, name="_run_once (asyncio/base_events.py)", slow=1.0, depth=9.0)
CONTRAST = Contrast("search", "hold", 180_000, 9_000, 6_000, 60, 400, 30, NOT_IDLE)


def only(one: Contrast) -> Finding:
    (finding,) = slow_findings("shop", [one])
    return finding


def test_waiting_is_named_first_with_the_place_where_threads_stood() -> None:
    finding = only(replace(CONTRAST, idle=IDLE, waits=(STOOD,), runs=(RUNS,)))
    assert finding.summary == (
        "Requests to `search` above 180 ms waited for something: while they did, shop was idle 71% of the time against "
        "22% for ordinary ones; the threads stood in `acquire` (python3.11/threading.py) under `get_connection` "
        "(db.py), 1.8 at a time against 0.2."
    )
    assert (finding.kind, finding.function) == ("slow", "get_connection (db.py)")
    assert finding.evidence["cause"] == "waiting"
    assert finding.evidence["difference_low"] == 0.40


def test_a_coroutine_that_waits_stands_on_no_stack_and_that_is_said() -> None:
    select = replace(STOOD, name="select (python3.11/selectors.py)", under="")
    finding = only(replace(CONTRAST, idle=IDLE, waits=(select,)))
    assert finding.summary.endswith("as with coroutines: what was waited for is on no stack.")
    assert finding.function is None


def test_what_ran_is_the_deepest_function_that_says_it_and_never_the_machinery() -> None:
    finding = only(replace(CONTRAST, runs=(CALLER, LOOP, RUNS)))
    assert finding.summary == (
        "Requests to `search` above 180 ms: while they waited, shop was running `rebuild` (shop.py) 80% of the time "
        "against 2% for ordinary ones."
    )
    assert finding.function == "rebuild (shop.py)"
    assert "inside" not in finding.summary


def test_threads_that_have_no_turn_are_told_as_what_the_interpreter_lock_looks_like() -> None:
    finding = only(replace(CONTRAST, runs=(RUNS,), ready_slow=3.1, ready_middle=0.4))
    assert "3.1 threads at a time stood in code without running it (against 0.4)" in finding.summary
    assert "interpreter lock" not in only(replace(CONTRAST, runs=(RUNS,), ready_slow=0.6, ready_middle=0.5)).summary


def test_a_queue_for_the_interpreter_lock_is_no_finding_but_is_called_by_its_name() -> None:
    finding = only(replace(CONTRAST, ready_slow=3.1, ready_middle=0.4))
    assert finding.kind == "none"
    assert "stood in line" in finding.summary
    assert finding.summary.endswith(
        "at the same work, and 3.1 threads at a time stood in code without running it (against 0.4), as they do for "
        "the interpreter lock."
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        pytest.param(replace(CONTRAST, runs=(replace(RUNS, p=0.2),)), "stood in line", id="by chance, and the queue"),
        pytest.param(
            replace(CONTRAST, idle=replace(IDLE, p=0.2)), "nothing that the process did", id="idle by chance alone"
        ),
        pytest.param(
            replace(CONTRAST, idle=replace(IDLE, slow=0.30, middle=0.22)), "nothing that", id="idle, hardly longer"
        ),
        pytest.param(
            replace(CONTRAST, runs=(replace(RUNS, overall=0.7),)), "stood in line", id="what it runs all the time"
        ),
        pytest.param(
            replace(CONTRAST, idle=IDLE, slow_us=18_000, median_us=2_000), "no endpoint has a tail", id="too short"
        ),
        pytest.param(replace(CONTRAST, idle=IDLE, median_us=90_000), "no endpoint has a tail", id="all are slow"),
        pytest.param(
            replace(CONTRAST, idle=None, lacks="3 slow requests, of 12 that it takes"), "too little to tell: 3 slow"
        ),
    ],
)
def test_what_is_no_finding_says_why(changed: Contrast, says: str) -> None:
    finding = only(changed)
    assert finding.kind == "none"
    assert says in finding.summary


def test_without_a_stage_to_judge_and_without_times_of_samples_it_says_so() -> None:
    assert "no stage of constant rate" in slow_findings("shop", [])[0].summary
    (finding,) = slow_findings("shop", [], lacks="py-spy does not tell")
    assert (finding.kind, finding.summary) == ("none", "Why the tail is slow was not looked at: py-spy does not tell.")


def test_an_endpoint_has_one_finding_and_the_one_that_costs_most_waiting_leads() -> None:
    small = replace(CONTRAST, idle=IDLE, slow_requests=20)
    large = replace(small, level="map@80", slow_requests=90)
    other = replace(small, endpoint="checkout", slow_us=400_000, slow_requests=80)
    found = slow_findings("shop", [small, large, other])
    assert [(one.evidence["endpoint"], one.evidence["level"]) for one in found] == [
        ("checkout", "hold"),
        ("search", "map@80"),
    ]


def test_many_tests_share_one_chance_of_a_mistake() -> None:
    alone = replace(CONTRAST, idle=replace(IDLE, p=0.03))
    beside = replace(alone, runs=tuple(replace(RUNS, name=f"f{place} (shop.py)", p=0.5) for place in range(3)))
    assert [only(one).kind for one in (alone, beside)] == ["slow", "none"]


def test_places_that_hardly_rose_were_tested_all_the_same() -> None:
    """The one that rose most of 40 is one of 40, and not the only one."""
    alone = replace(CONTRAST, idle=replace(NOT_IDLE, slow=0.6, middle=0.6), waits=(replace(STOOD, p=0.01),))
    flat = [replace(STOOD, under=f"ask_{place} (db.py)", slow=0.2, p=0.5) for place in range(40)]
    among = replace(alone, waits=(*alone.waits, *flat))
    turnless = replace(alone, waits=(*alone.waits, *(replace(one, turnless=True) for one in flat)))
    resting = replace(alone, waits=(*alone.waits, *(replace(one, under="") for one in flat)))
    assert [only(one).kind for one in (alone, among, turnless, resting)] == ["slow", "none", "slow", "slow"]


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        pytest.param({"overall": 1.2}, "slow", id="beyond what the requests account for"),
        pytest.param({"overall": 1.4}, "none", id="hardly beyond what the requests account for"),
        pytest.param({"middle": 1.25, "slow": 1.8, "low": 0.1}, "none", id="not half as many again"),
        pytest.param({"middle": 0.2, "slow": 0.6, "low": 0.1}, "none", id="less than half a thread more"),
    ],
)
def test_threads_in_one_place_tell_only_what_is_beyond_requests(changed: dict[str, float], kind: str) -> None:
    one = replace(CONTRAST, idle=replace(NOT_IDLE, slow=0.6, middle=0.6), waits=(replace(STOOD, **changed),))
    assert only(one).kind == kind


def test_why_the_tail_is_slow_stands_behind_what_grows_and_that_there_is_nothing_comes_last() -> None:
    grows, hot, none, slow = (Finding(kind, "") for kind in ("superlinear", "hot", "none", "slow"))
    assert placed((grows, hot), (slow,)) == (grows, slow, hot)
    assert placed((none, hot), (slow,)) == (slow, none, hot)
    assert placed((grows, hot), (none,)) == (grows, hot, none)
