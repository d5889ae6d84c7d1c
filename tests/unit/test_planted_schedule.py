"""Which run a campaign makes next, what of a pool is compared with what, and how long all of it takes."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.over_time.drift import LEAST_UNITS, WARM_UP_SHARE
from benchmarks.planted.bundles import BUNDLES, Design
from benchmarks.planted.drawn import draw
from benchmarks.planted.figures import clean_runs
from benchmarks.planted.kinds import KINDS
from benchmarks.planted.pool import A_SIDE, COMPARISONS, DRAWN, RUNS, data_of, groups_of, turn_of, usable
from benchmarks.planted.results import Result, Seen, Task, append
from benchmarks.planted.schedule import GOALS, done, minutes_left, next_tasks, progress, to_predict
from tests.support.planted import BLANK

DESIGN = Design()


def _played(tasks: list[Task], judged: bool = True) -> list[Result]:
    seen = {
        task: () if task.side == "clean" else tuple(Seen(plant) for plant in draw(task.bundle, task.seed).plants)
        for task in tasks
    }
    return [
        replace(BLANK, task=task, judged=judged, seen=seen[task], run=f"{task.side}-{place}")
        for place, task in enumerate(tasks)
    ]


def _campaign(left_s: float = 1e9) -> list[Result]:
    results: list[Result] = []
    while tasks := next_tasks(results, DESIGN, left_s):
        results += _played(tasks)
    return results


def test_a_whole_campaign_has_30_runs_of_every_defect_and_100_without_one() -> None:
    results = _campaign()
    kinds = Counter(seen.plant.kind for one in results for seen in one.seen if one.task.bundle != "pool")
    assert {name for name, kind in KINDS.items() if kind.shown_by == "run"} == set(kinds)
    assert min(kinds.values()) >= 30
    twos = sum(seen.plant.effect == 2.0 for one in results for seen in one.seen if seen.plant.kind == "superlinear")
    assert twos >= 30
    clean = clean_runs(results)
    assert len({(one.task.bundle, one.task.seed) for one in clean}) == len(clean) >= 100
    assert "clean in all 100/100" in progress(results)
    assert all(done(goal, results) >= goal.runs for goal in GOALS)
    assert len({one.task for one in results}) == len(results)
    questions = Counter(one.question for one in groups_of(results))
    assert questions["clean"] >= 40
    assert set(questions) == set(DRAWN)


def test_the_next_run_is_of_what_least_is_there_of_what_it_takes() -> None:
    assert [one.words for one in next_tasks([], DESIGN, 1e9)] == ["scan 1"]
    results = _played([Task("scan", 1), Task("garbage", 1), Task("tail", 1)])
    assert next_tasks(results, DESIGN, 1e9) == [Task("convoy", 1)]
    assert next_tasks(results, DESIGN, 1e9, only=["tail", "scan"]) == [Task("scan", 1, "clean")]


def test_a_run_that_does_not_fit_into_the_time_is_left_for_another_hour() -> None:
    only = ["soak", "tail"]
    soaked = next_tasks(_played([Task("tail", 1), Task("tail", 1, "clean")]), DESIGN, 3600, only=only)
    assert [one.words for one in soaked] == ["soak 1", "soak 2", "soak 3", "soak 4"]
    assert [one.bundle for one in next_tasks([], DESIGN, 1200, only=only)] == ["tail"]
    assert next_tasks([], DESIGN, 30) == []


def test_a_run_that_could_not_be_judged_is_made_up_for_with_another_seed() -> None:
    results = _played([Task("convoy", 1)], judged=False)
    assert done(GOALS[3], results) == 0
    assert next_tasks(results, DESIGN, 1e9, only=["convoy"]) == [Task("convoy", 1, "clean")], "others are not held up"
    every = [Task("convoy", seed) for seed in range(1, 31)] + [Task("convoy", seed, "clean") for seed in range(1, 17)]
    assert next_tasks(_played(every, judged=False), DESIGN, 1e9, only=["convoy"]) == [Task("convoy", 31)]


def test_one_in_sixteen_services_that_are_soaked_is_clean() -> None:
    soaked = [one.task for one in _campaign() if one.task.bundle == "soak"]
    assert [task.seed for task in soaked if task.side == "clean"] == [16, 32]


def test_the_limit_of_a_twin_is_measured_for_a_dozen_growing_services() -> None:
    predicted = replace(BLANK, twin_tps=100.0)
    assert to_predict(Task("scan", 1), [predicted] * 11)
    assert not to_predict(Task("scan", 1), [predicted] * 12)
    assert not to_predict(Task("scan", 1, "clean"), [])


def test_a_pool_has_ten_runs_as_they_are_and_five_of_each_slowdown_in_turns() -> None:
    turns = [turn_of(place) for place in range(2 * RUNS)]
    assert {seed for seed, _ in turns[:RUNS]} == {1}
    assert Counter(side for _, side in turns[:RUNS]) == {"clean": 10, "slower-10": 5, "slower-30": 5}
    places = {side: [place for place, (_, one) in enumerate(turns[:RUNS]) if one == side] for side in DRAWN}
    middle = {side: sum(at) / len(at) for side, at in places.items()}
    assert max(middle.values()) - min(middle.values()) < 1.5  # a drift of the machine is everybody's


def test_comparisons_are_of_five_and_five_different_runs_and_the_first_shares_none() -> None:
    pool = [replace(BLANK, task=Task("pool", *turn_of(place), turn=place), run=f"r{place}") for place in range(RUNS)]
    groups = groups_of(pool)
    assert Counter(one.question for one in groups) == dict(DRAWN)
    for one in groups:
        assert len({*one.base, *one.new}) == 2 * A_SIDE
    pairs = [frozenset({frozenset(one.base), frozenset(one.new)}) for one in groups]
    assert len(set(pairs)) == len(pairs)  # and none is another one's mirror image
    sides = {one.run: one.task.side for one in pool}
    assert all(sides[run] == "clean" for one in groups for run in one.base)
    assert all(sides[run] == one.question for one in groups for run in one.new)
    assert groups_of(pool[:15]) == []


def test_what_is_left_is_told_in_minutes_by_what_runs_took() -> None:
    tail = next(goal for goal in GOALS if (goal.bundle, goal.side) == ("tail", "planted"))
    assert minutes_left([], DESIGN)[tail] == pytest.approx(40 * (64 + 28) / 60)
    assert minutes_left(_played([Task("tail", 1)]), DESIGN)[tail] == pytest.approx(39)
    assert "tail 1/40" in progress(_played([Task("tail", 1)]))


def test_a_soak_leaves_minutes_enough_for_a_drift_to_be_told() -> None:
    whole = DESIGN.seconds(BUNDLES["soak"].stages) // 60 - 1  # where it begins is chance
    assert whole - round(whole * WARM_UP_SHARE) >= LEAST_UNITS


def test_runs_of_a_pool_count_where_they_were_made_and_when_they_were_compared(tmp_path: Path) -> None:
    out, keep = tmp_path / "out", tmp_path / "keep"
    out.mkdir()
    pool = [replace(BLANK, task=Task("pool", *turn_of(place), turn=place), run=f"r{place}") for place in range(RUNS)]
    others = _played([Task("tail", 1)])
    assert usable([*pool, *others], out, keep) == others
    compared = groups_of(pool)[0]
    line = {"name": compared.name, "base": compared.base, "new": compared.new}
    append(out / COMPARISONS, json.dumps(line))
    assert [one.run for one in usable(pool, out, keep)] == sorted({*compared.base, *compared.new}, key=_number)
    begun_again = replace(pool[0], run="here")
    (data_of(keep, 1) / "runs" / "here").mkdir(parents=True)
    elsewhere = replace(pool[0], run="elsewhere")
    assert usable([elsewhere, begun_again, *others], out, keep) == [begun_again, *others]


def _number(run: str) -> int:
    return int(run.removeprefix("r"))
