"""What `make planted` makes of its runs: what counts as found, the bounds, the page, and going on after a break."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from analysis.findings import Finding
from benchmarks.planted import arrays
from benchmarks.planted.__main__ import tasks
from benchmarks.planted.drawn import draw
from benchmarks.planted.figures import Share, accused, foretold, rank, rows, twins
from benchmarks.planted.kinds import KINDS, Kind, is_false, is_found, looked_for
from benchmarks.planted.known import known_kinds
from benchmarks.planted.page import page
from benchmarks.planted.results import Result, Results, Task, of_report
from tests.support.experiments import experiment, service

GROWS = ("superlinear", "fold_seats (a.py)", "`fold_seats` gets dearer.")
BESIDE = ("superlinear", "rank_notes (a.py)", "`rank_notes` gets dearer.")
HOT = ("hot", "rank_notes (a.py)", "Hottest: `rank_notes`.")
CAPACITY = ("capacity", None, "CPU time runs out.")
NONE = ("none", None, "No finding.")
RUN = Result(
    kind="superlinear",
    seed=1,
    clean=False,
    effect=2.0,
    function="fold_seats",
    threads=False,
    at="2026-11-27T10:00:00+00:00",
    commit="abc",
    verdict="passed",
    why="",
    judged=True,
    blocks=16,
    busy=1.0,
    took_s=80.0,
    findings=(GROWS, CAPACITY, HOT),
    samples=420,
    growth=(1.9, 1.6, 2.2),
    limit_tps=300.0,
    what_if_tps=(700.0, 600.0, 800.0),
    twin_tps=680.0,
    twin_cores=0.97,
)
CLEAN = replace(RUN, clean=True, findings=(NONE, CAPACITY, HOT), growth=None, what_if_tps=None, twin_tps=None)


@pytest.mark.parametrize(
    ("what", "kind", "finding", "found", "false"),
    [
        ("the planted function grows", "superlinear", GROWS, True, False),
        ("another one is said to", "superlinear", BESIDE, False, True),
        ("the process grows with it", "superlinear", ("process-growth", None, ""), False, False),
        ("what is said of every service", "superlinear", HOT, False, False),
        ("growth where a function is merely hot", "linear", GROWS, False, True),
        ("the hot one is named", "linear", ("hot", "fold_seats (a.py)", ""), True, False),
        ("another one is hotter", "linear", HOT, False, False),
        ("who waits need not be named", "downstream", ("slow", None, ""), True, False),
        ("a name that only begins alike", "superlinear", ("superlinear", "fold_seats_twice (a.py)", ""), False, True),
        ("any growth in a clean twin", None, GROWS, False, True),
        ("a hot function in a clean twin", None, HOT, False, False),
        ("a kind that nobody knew", None, ("new", None, ""), False, True),
    ],
)
def test_a_finding_counts_as_found_or_false_when(
    what: str, kind: str | None, finding: tuple[str, str | None, str], found: bool, false: bool
) -> None:
    said = Finding(finding[0], finding[2], finding[1])
    assert is_false(KINDS[kind] if kind else None, "fold_seats", said) == false, what
    assert (kind is not None and is_found(KINDS[kind], "fold_seats", said)) == found, what


def test_that_one_endpoint_pays_is_no_accusation_where_it_is_true() -> None:
    said = ("endpoint", "rank_notes (a.py)", "`rank_notes` is paid for by `list`.")
    clean = replace(CLEAN, findings=(said,))
    assert accused(clean) == (said[2],)
    assert accused(replace(clean, paid_by_one=("rank_notes",))) == ()


def test_a_defect_is_looked_for_once_a_finding_of_its_kind_exists() -> None:
    known = known_kinds()
    assert {"none", "capacity", "hot", "superlinear", "process-growth"} <= known
    assert looked_for(KINDS["superlinear"], known)
    assert not looked_for(KINDS["leak"], {"superlinear"})
    assert looked_for(KINDS["leak"], {"superlinear", "drift"})
    assert not looked_for(KINDS["slower-10"], {"regression"})  # no single run can show it


def test_kinds_are_read_off_the_code_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "KIND = 'named'\n"
        "Finding('plain', text)\n"
        "findings.Finding(kind='keyword', summary='')\n"
        "Finding(KIND, '')\n"
        "Finding('one' if x else 'other', '')\n"
        "Other('no')\n"
    )
    assert known_kinds(tmp_path) == {"plain", "keyword", "named", "one", "other"}


@given(n=st.integers(1, 200), data=st.data())
def test_bounds_are_clopper_and_pearsons(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    expected = binomtest(hits, n).proportion_ci(0.95, method="exact")
    share = Share(hits, n)
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_share_of_nothing_is_a_dash() -> None:
    assert str(Share(0, 0)) == "–"
    assert str(Share(8, 10)) == "8 of 10: 80% [44%, 97%]"


def test_rows_are_by_kind_and_size_and_unjudged_runs_count_neither_way() -> None:
    third = replace(RUN, seed=2, findings=(CAPACITY, HOT, GROWS), samples=399)
    missed = replace(RUN, seed=3, findings=(NONE, CAPACITY))
    unjudged = replace(missed, seed=4, judged=False)
    weak = replace(RUN, seed=5, effect=1.4, findings=(BESIDE, GROWS), growth=(1.7, 1.5, 1.9))
    leak = replace(RUN, kind="leak")
    slight, strong = rows([RUN, third, missed, unjudged, weak, leak, CLEAN], ["superlinear"])
    assert (slight.effect, strong.effect) == (1.4, 2.0)
    assert (strong.found, strong.leading, strong.false) == (Share(2, 3), Share(1, 3), Share(0, 3))
    assert (strong.unjudged, strong.ample, strong.samples) == (1, Share(1, 2), 420)
    assert strong.held == Share(3, 3)
    assert (slight.found, slight.leading, slight.false, slight.held) == (*[Share(1, 1)] * 3, Share(0, 1))


def test_a_twin_that_accuses_counts_even_if_it_could_not_be_judged() -> None:
    unjudged = replace(CLEAN, seed=2, judged=False)
    found = twins([RUN, CLEAN, unjudged, replace(unjudged, seed=3, findings=(GROWS,))])
    assert (found.accusing, found.unjudged) == (Share(1, 2), 1)
    assert found.summaries == ("superlinear 3, clean twin: `fold_seats` gets dearer.",)


def test_the_rank_is_among_all_findings() -> None:
    assert rank(RUN, KINDS["superlinear"]) == 1
    assert rank(replace(RUN, findings=(BESIDE, CAPACITY, GROWS)), KINDS["superlinear"]) == 3
    assert rank(CLEAN, KINDS["superlinear"]) is None
    assert accused(replace(RUN, findings=(GROWS, BESIDE))) == (BESIDE[2],)


@pytest.mark.parametrize(
    ("predicted", "cores", "near"), [(700, 0.97, [True]), (790, 0.97, [False]), (570, 0.97, [False]), (700, 0.5, [])]
)
def test_a_prediction_is_right_within_15_percent_of_a_twin_that_had_a_core(
    predicted: float, cores: float, near: list[bool]
) -> None:
    run = replace(RUN, what_if_tps=(predicted, None, None), twin_cores=cores)
    assert [one.near for one in foretold([run, CLEAN])] == near


def test_the_page_says_what_was_found_and_what_is_not_looked_for() -> None:
    accusing = replace(CLEAN, seed=2, findings=(GROWS,))
    text = page([RUN, CLEAN, accusing], command="make planted", design="all", cores=2, known={"superlinear", "hot"})
    assert "| superlinear | 2 growth | 0 | 420 | 1 of 1: 100% [2%, 100%] | 1 of 1" in text
    assert "1 of 2: 50%" in text
    assert "- superlinear 2, clean twin: `fold_seats` gets dearer." in text
    assert "| 1 | async | 700 [600, 800] | 680 | +3% |" in text
    assert "## Looked for, and not run yet\n\n`garbage`, `linear`\n" in text
    assert "No finding of this version can show: `convoy`, `cache`" in text
    assert "seeds 1 to 2\n- of loadflame at abc" in text


def test_a_campaign_goes_on_behind_what_is_there_also_after_a_torn_line(tmp_path: Path) -> None:
    results = Results(tmp_path / "planted" / "runs.jsonl")
    results.add(RUN)
    results.add(CLEAN)
    assert Results(results.path).all == [RUN, CLEAN]
    with results.path.open("a") as file:
        file.write('{"kind": "superl')
    again = Results(results.path)
    assert again.done == {Task("superlinear", 1, clean=False), Task("superlinear", 1, clean=True)}
    again.add(replace(RUN, seed=2))
    assert [one.seed for one in Results(results.path).all] == [1, 1, 2]


def test_tasks_go_seed_by_seed_each_with_its_twin() -> None:
    first = tasks(["superlinear", "leak"], 7)
    assert [next(first).words for _ in range(5)] == [
        "superlinear 7",
        "superlinear 7, clean twin",
        "leak 7",
        "leak 7, clean twin",
        "superlinear 8",
    ]


def test_a_result_is_what_the_report_says_of_the_planted_function() -> None:
    drawn = draw("superlinear", 1)
    name = drawn.planted.name
    report = {
        "run": {"verdict": "passed", "why": "all held"},
        "growth": {"blocks": 16},
        "functions": [{"function": name, "samples": 321, "growth": 2.1, "growth_low": 1.8, "growth_high": 2.4}],
        "findings": [{"kind": "superlinear", "function": f"{name} (a.py)", "summary": "grows"}],
        "capacity": {
            "predicted_tps": 310.0,
            "what_if": [{"function": f"{name} (a.py)", "tps": 640.0, "tps_low": None, "tps_high": None}],
        },
    }
    more = {"clean": False, "at": "", "commit": "", "busy": 0.0, "took_s": 1.0, "judged": True}
    found = of_report(drawn, report, **more)
    assert (found.samples, found.growth, found.limit_tps) == (321, (2.1, 1.8, 2.4), 310.0)
    assert found.what_if_tps == (640.0, None, None)
    assert rank(found, KINDS["superlinear"]) == 1
    unseen = of_report(drawn, report | {"functions": [], "capacity": {"predicted_tps": None, "what_if": []}}, **more)
    assert (unseen.samples, unseen.growth, unseen.what_if_tps) == (0, None, None)


def test_the_arrays_of_a_run_come_back_as_they_were(tmp_path: Path) -> None:
    stacks, measured = experiment(service(sweep=lambda tps: 4 * tps))
    arrays.write(tmp_path / "a.json", stacks, measured)
    again, same = arrays.read(tmp_path / "a.json")
    assert same.tps.tolist() == measured.tps.tolist()
    assert same.randomised
    assert again.total.tolist() == stacks.total.tolist()
    for place, name in enumerate(stacks.functions):
        there = again.functions.index(name)
        assert np.array_equal(again.inclusive()[there], stacks.inclusive()[place])


def test_every_kind_says_what_counts() -> None:
    assert all(isinstance(one, Kind) and one.found and one.effects for one in KINDS.values())
