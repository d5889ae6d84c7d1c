from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from analysis.comparison.cells import ABSENT, TOO_SHORT, UNANSWERED, Cell, cells_of, shared_cells
from analysis.evidence.blocks import BACKLOG, ERRORS, GENERATOR, NO_PROFILE, Segment
from tests.support.windows import windows_of

S = 1_000_000
HOLD = Segment("hold", "hold", "hold", 0, 0, 10 * S, 100, 100)
FIVE_AND_FIVE = np.array([False, True, True, False, False, True, True, False, False, True])


def test_a_cell_is_a_stage_or_all_visits_of_a_rate_after_settling() -> None:
    stages = [
        Segment("warm", "warm", "hold", 0, 0, 5 * S, 50, 50, role="warm-up"),
        Segment("map[1]", "map", "level", 1, 5 * S, 10 * S, 50, 50, settle_us=S),
        Segment("map[2]", "map", "level", 2, 10 * S, 15 * S, 200, 200, settle_us=S),
        Segment("map[3]", "map", "level", 3, 15 * S, 20 * S, 50, 50, settle_us=S),
        Segment("end", "end", "hold", 0, 20 * S, 25 * S, 80, 80),
    ]
    found = cells_of(windows_of([50] * 10 + [200] * 5 + [50] * 5 + [80] * 5), stages)
    assert [(cell.name, cell.labels, cell.rows.tolist()) for cell in found] == [
        ("map@50", ("map[1]", "map[3]"), [6, 7, 8, 9, 16, 17, 18, 19]),
        ("map@200", ("map[2]",), [11, 12, 13, 14]),
        ("end", ("end",), [22, 23, 24]),
    ]
    assert [(cell.tps, cell.completed, cell.cpu_us) for cell in found] == [
        (50, 400, 400_000),
        (200, 800, 800_000),
        (80, 240, 240_000),
    ]
    assert {cell.why for cell in found} == {""}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"failed": [0] * 8 + [9] * 2}, ERRORS, id="over 1% errors"),
        pytest.param({"in_flight": [10 * place for place in range(10)]}, BACKLOG, id="ever more requests under way"),
        pytest.param({"instances": [0] * 7 + [1] * 3}, NO_PROFILE, id="more than half without a profile"),
        pytest.param({"dispatch_lag_p99_us": [50_000] * 10}, GENERATOR, id="a generator that was late"),
        pytest.param({"completed": [0] * 10}, UNANSWERED, id="a service that answered nothing"),
        pytest.param({"busiest_thread_us": [990_000] * 10}, "", id="a busy thread is no reason"),
        pytest.param({"instances": [0] * 3 + [1] * 7}, "", id="a few without a profile are only left out"),
    ],
)
def test_what_cannot_be_used_of_a_run_says_why(changes: dict[str, list[int]], why: str) -> None:
    windows = replace(windows_of([100] * 10), **{name: np.array(values) for name, values in changes.items()})
    assert cells_of(windows, [HOLD])[0].why == why


def test_a_stage_that_never_came_is_too_short() -> None:
    assert cells_of(windows_of([100]), [HOLD])[0].why == TOO_SHORT


def run(**tps: float | str) -> Sequence[Cell]:
    """Cells with their rate, or with why they cannot be used."""
    return [
        Cell(name, (name,), np.arange(3), 0.0, 0, 0.0, value)
        if isinstance(value, str)
        else Cell(name, (name,), np.arange(3), value, round(3 * value), 3e3 * value)
        for name, value in tps.items()
    ]


def test_the_same_rates_on_both_sides_are_compared() -> None:
    found = shared_cells([run(low=50, high=200 + place) for place in range(10)], FIVE_AND_FIVE)
    assert (found.compared, found.runs, found.left_out) == (("low", "high"), tuple(range(10)), {})


@pytest.mark.parametrize(
    ("base", "new", "why", "one_sided"),
    [
        pytest.param(
            200, 180, "base got through 200 TPS and new through 180", True, id="one side gets through less than offered"
        ),
        pytest.param(200, ERRORS, "over 1% errors in 5 new runs", True, id="one side fails"),
        pytest.param(
            GENERATOR,
            GENERATOR,
            "generator-limited in 5 base runs; generator-limited in 5 new runs",
            False,
            id="neither could be measured",
        ),
        pytest.param(200, 192, "", False, id="4% less are equal"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_said(
    base: float | str, new: float | str, why: str, one_sided: bool
) -> None:
    runs = [run(low=50, high=new if side else base) for side in FIVE_AND_FIVE]
    found = shared_cells(runs, FIVE_AND_FIVE)
    low, high = found.levels
    assert (low.why, high.why, high.one_sided) == ("", why, one_sided)
    assert found.compared == (("low",) if why else ("low", "high"))
    assert found.runs == tuple(range(10))


def test_a_stage_of_one_side_only_is_refused() -> None:
    found = shared_cells([run(low=50, **({"more": 80} if side else {})) for side in FIVE_AND_FIVE], FIVE_AND_FIVE)
    assert found.compared == ("low",)
    assert found.levels[1].why == f"{ABSENT} in 5 base runs"
    assert (found.levels[1].base_tps, found.levels[1].new_tps) == (None, 80)


def test_a_run_that_lacks_what_the_others_have_is_left_out_and_not_the_stage() -> None:
    runs = [run(low=50, high=200) for _ in range(10)]
    runs[2] = run(low=50)
    runs[7] = run(low=50, high=140)
    found = shared_cells(runs, FIVE_AND_FIVE)
    assert found.compared == ("low", "high")
    assert found.runs == (0, 1, 3, 4, 5, 6, 8, 9)
    assert found.left_out == {2: f"high: {ABSENT}", 7: "high: 140 TPS, and 200 in others of its side"}


def test_a_run_that_was_broken_off_early_is_left_out() -> None:
    runs = [run(low=50) for _ in range(10)]
    runs[9] = [replace(cell, rows=cell.rows[:1]) for cell in run(low=50)]
    found = shared_cells(runs, FIVE_AND_FIVE)
    assert found.compared == ("low",)
    assert found.left_out == {9: "low: cut short after 1 window"}


def test_single_runs_are_compared_where_they_can_be() -> None:
    found = shared_cells([run(low=50, high=200), run(low=50, high=100)], np.array([False, True]))
    assert found.compared == ("low",)
    assert found.runs == (0, 1)
    assert found.levels[1].one_sided


def test_runs_without_a_stage_in_common_share_nothing() -> None:
    found = shared_cells([run(one=50), run(other=50)], np.array([False, True]))
    assert found.compared == ()
