"""`benchmarks.coverage` in small: what is thinned grows as told, and the intervals hold what they should."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.coverage import lines
from benchmarks.coverage_figures import GENERATORS, Held, drawn_fit, recorded, thinned
from benchmarks.planted import arrays
from benchmarks.planted.drawn import draw
from benchmarks.planted.figures import Share
from tests.support.experiments import HANDLE, experiment


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda one: one.name)
def test_a_generator_makes_runs_whose_growth_is_about_what_it_was_told(generator) -> None:
    random = np.random.default_rng(1)
    fits = [drawn_fit(generator, 2.0, 2_000, random) for _ in range(30)]
    found = Held.of(generator.name, 2.0, [one for one in fits if one is not None])
    assert found.held.n == 30
    assert abs(found.bias) < 0.15
    assert 1_500 < found.samples < 2_400
    assert found.held.hits >= 22


def test_what_is_left_of_a_function_of_fixed_cost_grows_as_told() -> None:
    costs = {(*HANDLE, "rank"): lambda _: 500.0, (*HANDLE, "sign"): lambda _: 500.0}
    stacks, measured = experiment(costs, seconds=20)
    random = np.random.default_rng(2)
    for more in (0.0, 0.5, 1.0):
        fit = thinned(stacks, measured, stacks.functions.index("rank"), more, random)
        assert fit is not None
        assert fit.growth == pytest.approx(1 + more, abs=0.12)


def test_recorded_runs_are_thinned_in_their_own_functions_only(tmp_path: Path) -> None:
    own = draw("scan", 4).functions[0].name
    costs = {(*HANDLE, f"{own} (a.py)"): lambda _: 500.0, (*HANDLE, "json (json/decoder.py)"): lambda _: 500.0}
    arrays.write(tmp_path / "scan-4.json", *experiment(costs, seconds=6))
    found = list(recorded(tmp_path, draws=4, seed=1))
    assert [one.source for one in found] == ["1 functions of 1 recorded runs"] * 3
    assert {one.held.n for one in found} == {1}  # draws of one function are one piece of news


@pytest.mark.parametrize(
    ("held", "aim"), [(Share(95, 100), "within"), (Share(70, 100), "OUTSIDE"), (Share(91, 100), "cannot tell")]
)
def test_the_aim_is_missed_only_when_chance_cannot_have_done_it(held: Share, aim: str) -> None:
    row = Held("recorded", 2.0, 400, held, 0.01, Share(100, 100))
    assert row.aim == aim
    assert f"| recorded | 2 | 400 | {held} | +0.01 | {Share(100, 100)} | {aim} |" in lines([row])
