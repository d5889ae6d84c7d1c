"""What `make planted` makes of its runs: what counts as found, the bounds, the page, and going on after a break."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from benchmarks.planted import arrays
from benchmarks.planted.bundles import Design
from benchmarks.planted.drawn import draw
from benchmarks.planted.figures import Share, accused, accusing, clean_runs, foretold, rank, rows, told
from benchmarks.planted.kinds import KINDS, Kind, Plant, is_false, is_found, looked_for
from benchmarks.planted.known import known_kinds
from benchmarks.planted.page import page
from benchmarks.planted.pool import Compared, Groups
from benchmarks.planted.results import FORM, Result, Results, Seen, Task, of_report
from tests.support.experiments import experiment, service
from tests.support.planted import BLANK

Said = tuple[str, str | None, str, str | None, str | None]

GROWS = ("superlinear", "fold_seats (a.py)", "`fold_seats` gets dearer.", None, None)
BESIDE = ("superlinear", "rank_notes (a.py)", "`rank_notes` gets dearer.", None, None)
HOT = ("hot", "rank_notes (a.py)", "Hottest: `rank_notes`.", None, None)
CAPACITY = ("capacity", None, "CPU time runs out.", None, None)
NONE = ("none", None, "No finding.", None, None)
SCAN = Plant("superlinear", 2.0, "fold_seats", ("answer_list", "do_GET"), ("list",))
LINEAR = Plant("linear", 0.5, "rank_notes", ("answer_list",), ("list",))
RUN = replace(
    BLANK,
    took_s=120.0,
    findings=(GROWS, CAPACITY, HOT),
    seen=(Seen(SCAN, 420, (1.9, 1.6, 2.2)), Seen(LINEAR, 500)),
    limit_tps=300.0,
    what_if_tps=(700.0, 600.0, 800.0),
    twin_tps=680.0,
    twin_cores=0.97,
)
CLEAN = replace(
    RUN, task=Task("scan", 1, "clean"), seen=(), findings=(NONE, CAPACITY, HOT), what_if_tps=None, twin_tps=None
)


def _run(seed: int, **changes: Any) -> Result:
    return replace(RUN, task=Task("scan", seed), **changes)


def _of(
    kind: str, named: str | None = "fold_seats (a.py)", cause: str | None = None, endpoint: str | None = None
) -> Said:
    return (kind, named, "", cause, endpoint)


@pytest.mark.parametrize(
    ("what", "kind", "finding", "found", "false"),
    [
        ("the planted function grows", "superlinear", GROWS, True, False),
        ("another one is said to", "superlinear", BESIDE, False, True),
        ("the process grows with it", "superlinear", _of("process-growth", None), False, False),
        ("what is said of every service", "superlinear", HOT, False, False),
        ("a tail of the growing function", "superlinear", _of("slow", cause="running"), False, False),
        ("a tail of who calls it", "superlinear", _of("slow", "answer_list (a.py)", "running"), False, False),
        ("a tail of somebody else", "superlinear", _of("slow", "rank_notes (a.py)", "running"), False, True),
        ("a tail of waiting, which no CPU makes", "superlinear", _of("slow", None, "waiting"), False, True),
        ("a tail of waiting beside a cache", "cache", _of("slow", None, "waiting"), False, True),
        ("the growth of who calls it", "superlinear", _of("superlinear", "answer_list (a.py)"), False, True),
        ("growth where a function is merely hot", "linear", GROWS, False, True),
        ("the hot one is named", "linear", _of("hot"), True, False),
        ("what is defined in it is named", "linear", _of("hot", "fold_seats.<locals>.<listcomp> (a.py)"), True, False),
        ("another one is hotter", "linear", HOT, False, False),
        ("who waits need not be named", "downstream", _of("slow", None, "waiting"), True, False),
        ("running is no waiting", "downstream", _of("slow", None, "running"), False, True),
        ("waiting of its endpoint", "downstream", _of("slow", None, "waiting", "list"), True, False),
        ("of its handler", "downstream", _of("slow", "answer_list (a.py)", "waiting", "list"), True, False),
        ("waiting of another endpoint", "downstream", _of("slow", None, "waiting", "detail"), False, True),
        ("of its handler there", "downstream", _of("slow", "answer_list (a.py)", "waiting", "detail"), False, True),
        ("the branch, on its endpoint", "branch", _of("slow", cause="running", endpoint="list"), True, False),
        ("who stands in line for it", "branch", _of("slow", cause="running", endpoint="detail"), False, False),
        ("its handler", "branch", _of("slow", "answer_list (a.py)", "running", "list"), False, False),
        ("another handler", "branch", _of("slow", "answer_detail (a.py)", "running", "list"), False, True),
        ("its handler, elsewhere", "branch", _of("slow", "answer_list (a.py)", "running", "detail"), False, True),
        ("the dear endpoint pays", "endpoint", _of("endpoint", endpoint="list"), True, False),
        ("another one is said to pay", "endpoint", _of("endpoint", endpoint="detail"), False, True),
        ("a lock limits", "convoy", _of("limit", None, "waiting"), True, False),
        ("the cores are used up", "convoy", _of("limit", None, "cpu"), False, True),
        ("a name that only begins alike", "superlinear", _of("superlinear", "fold_seats_twice (a.py)"), False, True),
        ("any growth in a clean twin", None, GROWS, False, True),
        ("a hot function in a clean twin", None, HOT, False, False),
        ("the generator was the limit", None, _of("limit", None, "generator"), False, False),
        ("our own processes were", None, _of("limit", None, "own"), False, False),
        ("a neighbour was", None, _of("limit", None, "host"), False, False),
        ("a healthy service waits for something", None, _of("limit", None, "waiting"), False, True),
        ("a kind that nobody knew", None, _of("new", None), False, True),
    ],
)
def test_a_finding_counts_as_found_or_false_when(
    what: str, kind: str | None, finding: Said, found: bool, false: bool
) -> None:
    (said,) = replace(RUN, findings=(finding,)).said
    plants = [replace(SCAN, kind=kind)] if kind else []
    assert is_false(plants, said) == false, what
    assert any(is_found(plant, said) for plant in plants) == found, what


def test_what_shows_one_defect_of_a_service_accuses_nobody_for_the_other() -> None:
    cache = Plant("cache", 2.0, "rank_notes")
    fills: Said = ("drift", "rank_notes (a.py)", "`rank_notes` fills up.", None, None)
    both = replace(RUN, seen=(Seen(SCAN), Seen(cache)), findings=(GROWS, fills))
    assert accused(both) == ()
    assert accused(replace(both, seen=(Seen(SCAN),))) == ("`rank_notes` fills up.",)


TAIL = next(one for one in (draw("tail", seed) for seed in range(20)) if one.threads)


@pytest.mark.parametrize(
    ("planted", "other", "cause"), [("branch", "downstream", "running"), ("downstream", "branch", "waiting")]
)
def test_in_a_tail_of_two_reasons_neither_finds_or_excuses_what_is_said_of_the_others_endpoint(
    planted: str, other: str, cause: str
) -> None:
    plants = {plant.kind: plant for plant in TAIL.plants}
    mine, there = (next(iter(plants[kind].endpoints)) for kind in (planted, other))
    run = replace(RUN, seen=tuple(Seen(plant) for plant in TAIL.plants), paid_by_one=TAIL.paid_by_one)
    right = replace(run, findings=(_of("slow", plants[planted].function, cause, mine),))
    assert (rank(right, plants[planted]), accused(right)) == (1, ())
    for named in (None, f"answer_{mine}", f"answer_{there}"):
        wrong = replace(run, findings=(_of("slow", named, cause, there),))
        assert (rank(wrong, plants[planted]), len(accused(wrong))) == (None, 1), named
    swapped = replace(run, findings=(_of("slow", f"answer_{there}", cause, mine),))
    assert (rank(swapped, plants[planted]), len(accused(swapped))) == (None, 1)


@pytest.mark.parametrize("bundle", ["scan", "garbage", "tail", "soak"])
def test_no_plant_excuses_that_somebody_innocent_beside_it_is_accused(bundle: str) -> None:
    """Of the others' planted functions too: each has its own defect and no other."""
    said = sorted(set().union(*(kind.found | kind.follows for kind in KINDS.values())) - {"hot"})
    for seed in range(12):
        drawn = draw(bundle, seed)
        near = {name for plant in drawn.plants for name in (plant.function, *plant.near)}
        innocent = [one.name for one in drawn.functions if one.name not in near]
        for name in said:
            kind, _, cause = name.partition(":")
            for endpoint in (None, *(one.path for one in drawn.endpoints)):
                wrong = tuple(_of(kind, f"{one} (a.py)", cause or None, endpoint) for one in innocent)
                assert len(accused(replace(RUN, seen=tuple(map(Seen, drawn.plants)), findings=wrong))) == len(wrong)
        for plant in drawn.plants:
            others = [one for one in drawn.plants if one != plant]
            for name in KINDS[plant.kind].follows - {"hot"}:
                kind, _, cause = name.partition(":")
                (said_of_it,) = replace(RUN, findings=(_of(kind, plant.function, cause or None),)).said
                assert is_false(others, said_of_it), (plant.kind, name)


def test_the_rank_is_among_the_findings_that_show_no_other_defect() -> None:
    assert rank(RUN, SCAN) == 1
    assert rank(RUN, LINEAR) == 2  # behind the capacity
    assert rank(replace(RUN, findings=(BESIDE, CAPACITY, GROWS)), SCAN) == 3
    assert rank(replace(RUN, findings=(NONE, CAPACITY)), SCAN) is None
    cache = Plant("cache", 2.0, "rank_notes")
    fills: Said = ("drift", "rank_notes (a.py)", "", None, None)
    both = replace(RUN, seen=(Seen(SCAN), Seen(cache)), findings=(fills, BESIDE, GROWS))
    assert rank(both, SCAN) == 2
    assert rank(both, cache) == 1


def test_that_one_endpoint_pays_is_no_accusation_where_it_is_true() -> None:
    said: Said = ("endpoint", "rank_notes (a.py)", "`rank_notes` is paid for by `list`.", None, "list")
    clean = replace(CLEAN, findings=(said,))
    assert accused(clean) == (said[2],)
    assert accused(replace(clean, paid_by_one=(("rank_notes", "list"),))) == ()
    assert accused(replace(clean, paid_by_one=(("rank_notes", "detail"),))) == (said[2],)


def test_every_defect_can_be_shown_by_a_finding_of_this_version() -> None:
    known = known_kinds()
    assert {"none", "capacity", "hot", "superlinear", "process-growth"} <= known
    assert [name for name, kind in KINDS.items() if not looked_for(kind, known)] == []
    assert not looked_for(KINDS["leak"], {"superlinear"})
    assert looked_for(KINDS["convoy"], {"limit"})


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
    third = _run(2, findings=(CAPACITY, HOT, GROWS), seen=(Seen(SCAN, 399, (1.9, 1.6, 2.2)), Seen(LINEAR, 10)))
    missed = _run(3, findings=(NONE, CAPACITY))
    unjudged = replace(missed, task=Task("scan", 4), judged=False)
    weak = _run(5, findings=(BESIDE, GROWS), seen=(Seen(replace(SCAN, effect=1.4), 420, (1.7, 1.5, 1.9)),))
    slight, strong, linear = rows([RUN, third, missed, unjudged, weak, CLEAN])
    assert (slight.effect, strong.effect) == (1.4, 2.0)
    assert (strong.found, strong.leading) == (Share(2, 3), Share(2, 3))
    assert (strong.unjudged, strong.ample, strong.samples) == (1, Share(1, 2), 420)
    assert strong.held == Share(3, 3)
    assert (slight.found, slight.leading, slight.held) == (Share(1, 1), Share(1, 1), Share(0, 1))
    assert (linear.kind, linear.found) == ("linear", Share(2, 3))


def test_a_clean_service_that_accuses_counts_even_if_it_could_not_be_judged() -> None:
    unjudged = replace(CLEAN, task=Task("scan", 2, "clean"), judged=False)
    wrong = replace(unjudged, task=Task("scan", 3, "clean"), findings=(GROWS,))
    (found,) = accusing(clean_runs([RUN, CLEAN, unjudged, wrong]))
    assert (found.bundle, found.share, found.unjudged) == ("scan", Share(1, 2), 1)
    assert found.summaries == ("scan 3, clean: `fold_seats` gets dearer.",)


def test_the_clean_runs_of_the_pool_are_no_services_of_their_own_and_have_no_bounds() -> None:
    pool = [replace(CLEAN, task=Task("pool", 1, "clean", turn=place), findings=(GROWS,)) for place in range(10)]
    assert clean_runs([CLEAN, *pool]) == [CLEAN]
    text = page([CLEAN, *pool], command="", design=Design(), cores=2, known=known_kinds())
    assert "service: 0 of 1: 0% [0%, 98%]" in text
    assert "10 of 10: 100% of them accuse somebody" in text
    assert "| pool | 10 of 10: 100% | 0 |" in text
    assert "- pool 1, clean: `fold_seats` gets dearer." in text


@pytest.mark.parametrize(
    ("predicted", "cores", "near"), [(700, 0.97, [True]), (790, 0.97, [False]), (570, 0.97, [False]), (700, 0.5, [])]
)
def test_a_prediction_is_right_within_15_percent_of_a_twin_that_had_a_core(
    predicted: float, cores: float, near: list[bool]
) -> None:
    run = replace(RUN, what_if_tps=(predicted, None, None), twin_cores=cores)
    assert [one.near for one in foretold([run, CLEAN])] == near


def _compared(question: str, place: int, worse: list[str], told_of: list[tuple[str, str, str]]) -> Compared:
    said = {"worse": worse, "told": told_of, "spread": 0.02, "detectable": 0.08, "shares": {}}
    return Compared(Groups(1, question, place, ("a",), ("b",)), said)


def test_comparisons_are_counted_by_what_was_asked_and_disjoint_ones_apart() -> None:
    (plant,) = draw("pool", 1).plants
    innocent = next(one.name for one in draw("pool", 1).functions if one.name not in (plant.function, *plant.near))
    clean, slower = told(
        [
            _compared("clean", 0, [], []),
            _compared("clean", 1, [], [("list", "p99", "faster")]),
            _compared("slower-10", 0, [plant.function, "answer"], [(plant.function, "self", "dearer")]),
            _compared("slower-10", 1, [innocent], [(innocent, "self", "dearer")]),
        ]
    )
    assert (clean.disjoint, clean.all, clean.innocent) == (Share(0, 1), Share(1, 2), Share(0, 2))
    assert (slower.disjoint, slower.all, slower.innocent) == (Share(1, 1), Share(1, 2), Share(1, 2))


def test_the_page_says_what_was_found_and_what_is_still_to_be_run() -> None:
    wrong = replace(CLEAN, task=Task("scan", 2, "clean"), findings=(GROWS,))
    compared = [_compared("clean", 0, [], [])]
    text = page([RUN, CLEAN, wrong], compared, command="make planted", design=Design(), cores=2, known=known_kinds())
    assert "| scan | superlinear, linear, endpoint | levels, mix | 1 | 2 | 45 + 30 without |" in text
    assert "| superlinear | 2 growth | 0 | 420 | 1 of 1: 100% [2%, 100%] | 1 of 1" in text
    assert "1 of 2: 50%" in text
    assert "- scan 2, clean: `fold_seats` gets dearer." in text
    assert "| 1 | async | 700 [600, 800] | 680 | +3% |" in text
    assert "| the same service | 0 of 1: 0% [0%, 98%] | 0 of 1: 0% |" in text
    assert "Not looked for yet" not in text
    nothing = page([], command="make planted", design=Design(), cores=2, known=known_kinds())
    assert "no run of this campaign is published yet" in nothing
    assert "| scan | superlinear, linear, endpoint | levels, mix | 0 | 0 | 45 + 30 without |" in nothing
    assert "## " not in nothing
    assert "`leak`" in page([RUN], command="", design=Design(), cores=2, known={"superlinear"})


def test_a_campaign_goes_on_behind_what_is_there_also_after_a_torn_line(tmp_path: Path) -> None:
    results = Results(tmp_path / "planted" / "runs.jsonl")
    results.add(RUN)
    results.add(CLEAN)
    assert Results(results.path).all == [RUN, CLEAN]
    with results.path.open("a") as file:
        earlier = RUN.line().replace(f'"form":{FORM}', f'"form":{FORM - 1}')
        file.write(f'{{"task": "of an earlier form"}}\n{earlier}\n{{"form":{FORM},"task":{{"bun')
    again = Results(results.path)
    assert again.all == [RUN, CLEAN]
    again.add(_run(2))
    assert [one.task.seed for one in Results(results.path).all] == [1, 1, 2]


def _report(verdict: str = "passed", design: str = "levels", none: str = "No finding") -> dict[str, Any]:
    (plant,) = (plant for plant in draw("scan", 1).plants if plant.kind == "superlinear")
    name = plant.function
    return {
        "run": {"id": "r1", "verdict": verdict, "why": "all held"},
        "growth": {"blocks": 16, "design": design},
        "functions": [{"function": name, "samples": 321, "growth": 2.1, "growth_low": 1.8, "growth_high": 2.4}],
        "findings": [
            {"kind": "superlinear", "function": f"{name} (a.py)", "summary": "grows", "evidence": {}},
            {"kind": "limit", "function": None, "summary": "late", "evidence": {"cause": "generator"}},
            {"kind": "endpoint", "function": f"{name} (a.py)", "summary": "paid", "evidence": {"endpoint": "nowhere"}},
            {"kind": "none", "function": None, "summary": none, "evidence": {}},
        ],
        "capacity": {
            "predicted_tps": 310.0,
            "what_if": [{"function": f"{name} (a.py)", "tps": 640.0, "tps_low": None, "tps_high": None}],
        },
    }


def test_a_result_is_what_the_report_says_of_the_planted_functions() -> None:
    drawn = draw("scan", 1)
    more = {"at": "", "commit": "", "busy": 0.0, "took_s": 1.0}
    found = of_report(drawn, _report(), Task("scan", 1), **more)
    seen = {one.plant.kind: one for one in found.seen}
    assert (seen["superlinear"].samples, seen["superlinear"].growth) == (321, (2.1, 1.8, 2.4))
    assert (seen["linear"].samples, seen["linear"].growth) == (0, None)
    assert (found.limit_tps, found.what_if_tps, found.run) == (310.0, (640.0, None, None), "r1")
    assert rank(found, seen["superlinear"].plant) == 1
    assert accused(found) == ("paid",)
    clean = of_report(drawn, _report(), Task("scan", 1, "clean"), **more)
    assert clean.seen == ()
    assert accused(clean) == ("grows", "paid")
    assert [one[3:] for one in found.findings[1:3]] == [("generator", None), (None, "nowhere")]
    assert Result.of_line(found.line()) == found


@pytest.mark.parametrize(
    ("verdict", "design", "none", "judged"),
    [
        ("passed", "levels", "No finding: no function got dearer", True),
        ("generator-limited", "levels", "No finding: no function got dearer", False),
        ("host-limited", "steady", "", False),
        ("passed", "levels", "No finding about growth: 4 usable visits", False),
        ("passed", "steady", "No finding about growth: the rate hardly changed", True),
    ],
)
def test_a_run_is_judged_unless_it_says_that_it_may_not_be(verdict: str, design: str, none: str, judged: bool) -> None:
    more = {"at": "", "commit": "", "busy": 0.0, "took_s": 1.0}
    assert of_report(draw("scan", 1), _report(verdict, design, none), Task("scan", 1), **more).judged == judged


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
