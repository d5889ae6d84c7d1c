"""The services that `make planted` draws: each is a program, and its twin lacks the defects and nothing else."""

import ast
import difflib
import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.waiting.slow_findings import TAIL_US
from benchmarks.planted.bundles import BUNDLES, Design
from benchmarks.planted.defects import DEFECTS
from benchmarks.planted.drawn import Drawn, draw
from benchmarks.planted.kinds import KINDS
from benchmarks.planted.playing import drawn_of
from benchmarks.planted.results import Task
from benchmarks.planted.serving import downstream, plan_of
from benchmarks.planted.source import source_of
from benchmarks.planted.work import SCAN_US
from producers.load.modulation import SWING
from producers.load.stages import Hold, Levels, Soak

bundles = pytest.mark.parametrize("bundle", BUNDLES)
SEEDS = range(25)


def _functions(source: str) -> dict[str, str]:
    return {one.name: ast.unparse(one) for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)}


def _planted(drawn: Drawn) -> set[str]:
    return {plant.function for plant in drawn.plants}


def _run(source: str) -> dict[str, Any]:
    module: dict[str, Any] = {"__name__": "service"}
    exec(source, module)
    return module


@bundles
def test_every_drawn_service_and_its_twin_are_programs_that_know_nothing_of_us(bundle: str) -> None:
    for seed in SEEDS:
        drawn = draw(bundle, seed)
        for without in (set[str](), _planted(drawn)):
            source = source_of(drawn, without=without)
            compile(source, "service.py", "exec", flags=0, dont_inherit=True)
            assert "loadflame" not in source


@bundles
def test_a_twin_differs_in_the_planted_functions_alone_and_in_two_lines_of_each_at_most(bundle: str) -> None:
    for seed in SEEDS:
        drawn = draw(bundle, seed)
        planted, clean = source_of(drawn, without=()), source_of(drawn, without=_planted(drawn))
        ours, twins = _functions(planted), _functions(clean)
        assert {name for name in ours if ours[name] != twins[name]} == _planted(drawn)
        for name in _planted(drawn):
            alone = _functions(source_of(drawn, without={name}))
            assert {one for one in ours if ours[one] != alone[one]} == {name}
            changed = list(difflib.ndiff(twins[name].split("\n"), ours[name].split("\n")))
            assert 1 <= sum(line[0] == "+" for line in changed) <= 2
            assert sum(line[0] == "-" for line in changed) <= 1


@given(seed=st.integers(0, 10**6), bundle=st.sampled_from(sorted(BUNDLES)))
def test_the_same_seed_gives_the_same_service(seed: int, bundle: str) -> None:
    assert draw(bundle, seed) == draw(bundle, seed)
    assert source_of(draw(bundle, seed), without=()) == source_of(draw(bundle, seed), without=())


@given(seed=st.integers(0, 10**6), bundle=st.sampled_from(sorted(BUNDLES)))
def test_requests_reach_the_planted_functions_and_some_endpoint_every_other(seed: int, bundle: str) -> None:
    drawn = draw(bundle, seed)
    assert 2 <= len(drawn.endpoints) <= 3
    reached = [drawn.reached(one) for one in drawn.endpoints]
    assert set().union(*reached) == {one.name for one in drawn.functions}
    for plant in drawn.plants:
        assert sum(plant.function in one for one in reached) == (1 if BUNDLES[bundle].apart else len(reached))
    called = [name for one in drawn.functions for name in one.calls]
    assert len(called) == len(set(called))  # a tree: nobody is called from two functions


def test_two_reasons_of_a_tail_have_an_endpoint_each_and_a_downstream_needs_threads() -> None:
    many = [draw("tail", seed) for seed in range(40)]
    for drawn in many:
        kinds = {plant.kind for plant in drawn.plants}
        assert kinds == ({"branch", "downstream"} if drawn.threads else {"branch"})
        homes = [[plant.function in drawn.reached(one) for one in drawn.endpoints] for plant in drawn.plants]
        assert len({tuple(home) for home in homes}) == len(homes)
    assert {one.threads for one in many} == {False, True}


@bundles
def test_every_endpoint_of_a_service_and_of_its_twin_answers(bundle: str) -> None:
    drawn = draw(bundle, 5)
    for without in (set[str](), _planted(drawn)):
        module = _run(source_of(drawn, without=without))
        with downstream() as port:
            module["downstream"] = ("127.0.0.1", port)
            for endpoint in drawn.endpoints:
                answer = json.loads(module["HANDLERS"][f"/{endpoint.path}"]("tea"))
                assert list(answer) == list(endpoint.calls)


def test_a_function_is_paid_by_one_endpoint_when_the_others_do_not_call_it() -> None:
    drawn = draw("scan", 1)
    for first in drawn.endpoints:
        others = [drawn.reached(one) for one in drawn.endpoints if one != first]
        alone = set(drawn.reached(first)).difference(*others)
        assert {name for name, path in drawn.paid_by_one if path == first.path} == alone | {first.handler}
    assert _planted(drawn).isdisjoint(name for name, _ in drawn.paid_by_one)


@bundles
def test_near_a_planted_function_are_those_that_call_it_for_an_endpoint_that_pays(bundle: str) -> None:
    for seed in SEEDS:
        drawn = draw(bundle, seed)
        for plant in drawn.plants:
            callers = {one.name for one in drawn.functions if plant.function in one.calls}
            paying = [one for one in drawn.endpoints if one.path in plant.endpoints]
            assert callers <= set(plant.near)
            assert {one.handler for one in drawn.endpoints} & set(plant.near) == {one.handler for one in paying}
            assert all(plant.function in drawn.reached(one) for one in paying)
            if plant.kind == "endpoint":
                assert paying == [drawn.dear]
            else:
                assert len(paying) == (1 if BUNDLES[bundle].apart else len(drawn.endpoints))
            assert ("ask_downstream" in plant.near) == (plant.kind == "downstream")
            assert _planted(drawn).isdisjoint(plant.near)


def test_the_hot_function_has_its_share_of_all_that_does_not_grow_and_is_the_hottest_of_it() -> None:
    """What the dear endpoint pays is a part of that, and who is called for some requests only is so much less."""
    for seed in SEEDS:
        drawn = draw("scan", seed)
        kinds = {plant.function: plant for plant in drawn.plants}
        whole = sum(one.weight for one in drawn.endpoints)
        cost_us = dict.fromkeys((one.name for one in drawn.functions), 0.0)
        for endpoint in drawn.endpoints:
            for one in drawn.functions:
                plant = kinds.get(one.name)
                times = plant.effect if plant and plant.kind == "endpoint" and endpoint == drawn.dear else 1.0
                cost_us[one.name] += endpoint.weight / whole * times * one.us * (one.name in drawn.reached(endpoint))
        assert {one.name: drawn.mean_us(one) for one in drawn.functions} == pytest.approx(cost_us)
        steady = {name: us for name, us in cost_us.items() if name not in kinds or kinds[name].kind != "superlinear"}
        hot = next(plant for plant in drawn.plants if plant.kind == "linear")
        assert steady[hot.function] / sum(steady.values()) == pytest.approx(hot.effect)
        assert steady[hot.function] == max(steady.values())
        (line,) = _steps(drawn, "linear", ())
        assert int(line) * SCAN_US == pytest.approx(steady[hot.function], rel=0.01)


def test_seeds_draw_names_places_sizes_and_servers() -> None:
    many = [draw("scan", seed) for seed in range(60)]
    plants = [next(plant for plant in one.plants if plant.kind == "superlinear") for one in many]
    assert len({plant.function for plant in plants}) > 20
    assert {one.threads for one in many} == {False, True}
    assert {plant.effect for plant in plants} == set(KINDS["superlinear"].effects)
    tops = {
        any(plant.function in endpoint.calls for endpoint in one.endpoints)
        for one, plant in zip(many, plants, strict=True)
    }
    assert tops == {True, False}  # at the top of the tree, and below


def _steps(drawn: Drawn, kind: str, without: Collection[str]) -> list[str]:
    plant = next(plant for plant in drawn.plants if plant.kind == kind)
    text = _functions(source_of(drawn, without=without))[plant.function]
    return [line.partition("=")[2] for line in text.split("\n") if "    steps = " in line]


def test_the_growing_function_costs_its_twins_at_the_lowest_rate() -> None:
    """What is run of both is the line that says how many steps are to be taken."""
    for seed in SEEDS:
        drawn = draw("scan", seed)
        effect = next(plant.effect for plant in drawn.plants if plant.kind == "superlinear")
        steps = {}
        for clean in (False, True):
            (line,) = _steps(drawn, "superlinear", _planted(drawn) if clean else ())
            steps[clean] = [eval(line, {"entries": [0.0] * count, "int": int, "len": len}) for count in (25, 50, 200)]
        assert steps[False][0] == pytest.approx(steps[True][0], abs=2)
        assert len(set(steps[True])) == 1
        assert steps[False][2] / steps[False][1] == pytest.approx(4 ** (effect - 1), rel=0.01)


@pytest.mark.parametrize("bundle", ["garbage", "soak"])
def test_a_cache_has_its_effect_when_the_run_is_over_however_long_that_is(bundle: str) -> None:
    drawn = draw(bundle, 2)
    effect = next(plant.effect for plant in drawn.plants if plant.kind == "cache")
    (line,) = _steps(drawn, "cache", ())
    first, last = (
        eval(line, {"cached": range(count), "int": int, "len": len})
        for count in (0, Design().requests(BUNDLES[bundle].stages))
    )
    assert last / first == pytest.approx(effect, rel=0.02)


def test_a_slow_branch_takes_long_enough_for_a_tail_to_be_spoken_of() -> None:
    for kind in ("branch", "downstream"):
        assert all(effect * 1e3 >= 2 * TAIL_US for effect in KINDS[kind].effects)


@bundles
def test_every_service_can_be_asked(bundle: str) -> None:
    drawn, design = draw(bundle, 3), Design()
    assert {plant.kind for plant in drawn.plants} <= set(DEFECTS)
    stages = [design.stage(name, 3) for name in drawn.stages]
    plan = plan_of(drawn, stages)("http://127.0.0.1:1", 1)
    assert [one.path for one in plan.requests] == [f"/{one.path}?key=tea" for one in drawn.endpoints]
    forms = {"levels": Levels, "mix": Levels, "hold": Hold, "long-hold": Hold, "pool": Hold, "soak": Soak}
    for name, stage in zip(drawn.stages, plan.stages, strict=True):
        assert isinstance(stage, forms[name])
        assert not isinstance(stage, Levels) or stage.modulate == (SWING if name == "mix" else 0)
    assert sum(stage.duration_s for stage in plan.stages) == design.seconds(drawn.stages)


def test_which_function_of_the_pool_is_slower_and_by_how_much_is_the_runs_affair() -> None:
    drawn = draw("pool", 1)
    (slight,), (strong,) = (drawn_of(Task("pool", 1, side)).plants for side in ("slower-10", "slower-30"))
    assert (slight.function, slight.effect, strong.effect) == (strong.function, 1.1, 1.3)
    clean, tenth, three = (
        int(_steps(replace(drawn, plants=(plant,)), plant.kind, without)[0])
        for plant, without in ((slight, {slight.function}), (slight, ()), (strong, ()))
    )
    assert (tenth / clean, three / clean) == (pytest.approx(1.1, rel=0.001), pytest.approx(1.3, rel=0.001))
