"""The services that `make planted` draws: each is a program, and its twin lacks the defect and nothing else."""

import ast
import difflib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.planted.defects import DEFECTS
from benchmarks.planted.drawn import draw
from benchmarks.planted.kinds import KINDS
from benchmarks.planted.serving import Design, downstream, plan_of, stage_of
from benchmarks.planted.source import source_of
from producers.load.modulation import SWING
from producers.load.stages import Levels, Soak

kinds = pytest.mark.parametrize("kind", KINDS)
SEEDS = range(25)


def _functions(source: str) -> dict[str, str]:
    return {one.name: ast.unparse(one) for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)}


@kinds
def test_every_drawn_service_and_its_twin_are_programs_that_know_nothing_of_us(kind: str) -> None:
    for seed in SEEDS:
        for clean in (False, True):
            source = source_of(draw(kind, seed), clean=clean)
            compile(source, "service.py", "exec", flags=0, dont_inherit=True)
            assert "loadflame" not in source


@kinds
def test_the_twin_differs_in_the_planted_function_alone_and_there_in_two_lines_at_most(kind: str) -> None:
    for seed in SEEDS:
        drawn = draw(kind, seed)
        planted, clean = source_of(drawn, clean=False), source_of(drawn, clean=True)
        ours, twins = _functions(planted), _functions(clean)
        assert {name for name in ours if ours[name] != twins[name]} == {drawn.planted.name}
        changed = [line for line in difflib.ndiff(clean.split("\n"), planted.split("\n")) if line[0] in "+-"]
        assert 1 <= sum(line[0] == "+" for line in changed) <= 2
        assert sum(line[0] == "-" for line in changed) <= 1


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(sorted(KINDS)))
def test_the_same_seed_gives_the_same_service(seed: int, kind: str) -> None:
    assert draw(kind, seed) == draw(kind, seed)
    assert source_of(draw(kind, seed), clean=False) == source_of(draw(kind, seed), clean=False)


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(sorted(KINDS)))
def test_every_request_reaches_the_planted_function_once_and_every_other_is_reached(seed: int, kind: str) -> None:
    drawn = draw(kind, seed)
    assert 4 <= len(drawn.functions) <= 8
    assert 2 <= len(drawn.endpoints) <= 3
    reached = [drawn.reached(one) for one in drawn.endpoints]
    assert set().union(*reached) == {one.name for one in drawn.functions}
    assert all(drawn.planted.name in one for one in reached)
    called = [name for one in drawn.functions for name in one.calls]
    assert len(called) == len(set(called))  # a tree: nobody is called from two functions


@kinds
def test_every_endpoint_of_a_service_and_of_its_twin_answers(kind: str) -> None:
    drawn = draw(kind, 5)
    for clean in (False, True):
        module: dict[str, Any] = {"__name__": "service"}
        exec(source_of(drawn, clean=clean), module)
        with downstream() as port:
            module["downstream"] = ("127.0.0.1", port)
            for endpoint in drawn.endpoints:
                answer = json.loads(module["HANDLERS"][f"/{endpoint.path}"]("tea"))
                assert list(answer) == list(endpoint.calls)


def test_a_function_is_paid_by_one_endpoint_when_the_others_do_not_call_it() -> None:
    drawn = draw("endpoint", 1)
    first, *others = drawn.endpoints
    alone = set(drawn.reached(first)).difference(*(drawn.reached(one) for one in others))
    assert alone | {first.handler} <= set(drawn.paid_by_one)
    assert drawn.planted.name not in drawn.paid_by_one


def test_seeds_draw_names_places_sizes_and_servers() -> None:
    many = [draw("superlinear", seed) for seed in range(60)]
    assert len({one.planted.name for one in many}) > 20
    assert {one.threads for one in many} == {False, True}
    assert {one.effect for one in many} == set(KINDS["superlinear"].effects)
    tops = [any(one.planted.name in endpoint.calls for endpoint in one.endpoints) for one in many]
    assert {True, False} == set(tops)  # at the top of the tree, and below


def test_the_growing_function_costs_its_twins_at_the_lowest_rate() -> None:
    """What is run of both is the line that says how many steps are to be taken."""
    for seed in SEEDS:
        drawn = draw("superlinear", seed)
        steps = {}
        for clean in (False, True):
            (line,) = (one for one in source_of(drawn, clean=clean).split("\n") if "    steps = " in one)
            steps[clean] = [
                eval(line.partition("=")[2], {"entries": [0.0] * count, "int": int, "len": len})
                for count in (25, 50, 200)
            ]
        assert steps[False][0] == pytest.approx(steps[True][0], abs=2)
        assert len(set(steps[True])) == 1
        assert steps[False][2] / steps[False][1] == pytest.approx(4 ** (drawn.effect - 1), rel=0.01)


@kinds
def test_every_kind_can_be_planted_and_asked(kind: str) -> None:
    drawn = draw(kind, 3)
    assert kind in DEFECTS
    plan = plan_of(drawn, "http://127.0.0.1:1", 1, stage_of(drawn, Design()))
    assert [one.path for one in plan.requests] == [f"/{one.path}?key=tea" for one in drawn.endpoints]
    (stage,) = plan.stages
    if KINDS[kind].load == "soak":
        assert isinstance(stage, Soak)
    else:
        assert isinstance(stage, Levels)
        assert stage.modulate == (SWING if KINDS[kind].load == "modulated" else 0)
