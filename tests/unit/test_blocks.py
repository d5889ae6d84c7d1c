from dataclasses import replace

import numpy as np
import pytest

from analysis.evidence.blocks import BACKLOG, BUSY, ERRORS, GENERATOR, HOST, NO_PROFILE, TOO_FEW, Segment, select
from analysis.evidence.limits import Windows, generator_limited, host_limited
from tests.support.windows import windows_of

S = 1_000_000


def level(visit: int, tps: float, starts_s: int, seconds: int = 5) -> Segment:
    return Segment(f"map[{visit}]", "map", "level", visit, starts_s * S, (starts_s + seconds) * S, tps, tps)


def three_levels() -> tuple[Windows, list[Segment]]:
    rates = [50.0] * 5 + [200.0] * 5 + [100.0] * 5
    return windows_of(rates), [level(0, 50, 0), level(1, 200, 5), level(2, 100, 10)]


def test_a_visit_is_one_block_of_the_windows_after_settling() -> None:
    found = select(*three_levels())
    assert found.design == "levels"
    assert [block.rows.tolist() for block in found.blocks] == [[2, 3, 4], [7, 8, 9], [12, 13, 14]]
    assert [block.tps for block in found.blocks] == [50, 200, 100]
    assert found.level_tps == (50, 100, 200)
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("starts_us", "kept"),
    [
        pytest.param(0, [2, 3, 4], id="stages that begin with a window"),
        pytest.param(300_000, [3, 4], id="stages that begin in the middle of one: only whole windows count"),
    ],
)
def test_only_whole_windows_count(starts_us: int, kept: list[int]) -> None:
    windows, (first, *_) = three_levels()
    shifted = replace(first, starts_us=starts_us, ends_us=starts_us + 5 * S)
    assert select(windows, [shifted]).blocks[0].rows.tolist() == kept


def test_short_visits_settle_for_at_most_two_fifths_of_them() -> None:
    found = select(windows_of([50.0] * 3), [replace(level(0, 50, 0), ends_us=int(2.5 * S))])
    assert found.blocks[0].rows.tolist() == [1]
    assert select(windows_of([50.0] * 3), [replace(level(0, 50, 0, 3), settle_us=0)]).blocks[0].rows.tolist() == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"failed": [0, 0, 1, 2, 4]}, ERRORS, id="over 1% errors in the visit"),
        pytest.param({"in_flight": [3, 3, 3, 12, 21]}, BACKLOG, id="ever more requests under way"),
        pytest.param({"busiest_thread_us": [0, 0, 860_000, 870_000, 850_000]}, BUSY, id="a thread over 85% busy"),
    ],
)
def test_a_visit_is_left_out_as_a_whole(changes: dict[str, list[int]], reason: str) -> None:
    windows = windows_of([50.0] * 5 + [100.0] * 5)
    rising = {name: np.array(values + [0] * 5) for name, values in changes.items()}
    found = select(replace(windows, **rising), [level(0, 50, 0), level(1, 100, 5)])
    assert [block.level_tps for block in found.blocks] == [100]
    assert [(one.label, one.reason, one.windows) for one in found.left_out] == [("map[0]", reason, 3)]


def test_one_busy_second_does_not_leave_a_visit_out_nor_is_it_left_out_alone() -> None:
    """Leaving out the dear seconds of a level near the bound would fake a lower cost there."""
    windows = windows_of([50.0] * 5)
    busy = replace(windows, busiest_thread_us=np.array([0, 0, 800_000, 900_000, 800_000]))
    assert select(busy, [level(0, 50, 0)]).blocks[0].rows.tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"instances": 0}, NO_PROFILE, id="no profile"),
        pytest.param({"dispatch_lag_p99_us": 40_000}, GENERATOR, id="the generator was late"),
        pytest.param({"run_queue_us": 50 * 9_000, "own_cpu_us": 700_000}, HOST, id="the service had no core"),
    ],
)
def test_windows_that_say_nothing_of_the_service_are_left_out_one_by_one(changes: dict[str, int], reason: str) -> None:
    windows = windows_of([50.0] * 5)
    columns = {name: getattr(windows, name).copy() for name in changes}
    for name, value in changes.items():
        columns[name][3] = value
    found = select(replace(windows, **columns), [level(0, 50, 0)])
    assert found.blocks[0].rows.tolist() == [2, 4]
    assert [(one.reason, one.windows) for one in found.left_out] == [(reason, 1)]


def test_a_visit_of_which_less_than_half_is_left_is_left_out() -> None:
    windows = windows_of([50.0] * 5)
    lag = np.array([0, 0, 40_000, 40_000, 0])
    found = select(replace(windows, dispatch_lag_p99_us=lag), [level(0, 50, 0)])
    assert found.design == "unfit"
    assert {one.reason: one.windows for one in found.left_out} == {GENERATOR: 2, TOO_FEW: 1}


def test_with_levels_in_the_plan_only_they_count() -> None:
    windows = windows_of([50.0] * 20)
    hold = Segment("hold", "hold", "hold", 0, 0, 10 * S, 50, 50)
    found = select(windows, [hold, level(0, 50, 10), level(1, 50, 15)])
    assert {block.label for block in found.blocks} == {"map[0]", "map[1]"}


def test_a_ramp_is_cut_into_stretches_by_its_own_rate() -> None:
    rates = np.linspace(20, 200, 30).tolist()
    found = select(windows_of(rates), [Segment("ramp", "ramp", "ramp", 0, 0, 30 * S, 20, 200)])
    assert found.design == "ramp"
    assert len(found.blocks) == 12
    assert found.blocks[0].level_tps == pytest.approx(36, abs=6)  # two seconds settle
    assert found.blocks[-1].level_tps == pytest.approx(195, abs=6)


def test_a_hold_is_steady_however_many_stretches_it_gives() -> None:
    found = select(windows_of([100.0] * 60), [Segment("hold", "hold", "hold", 0, 0, 60 * S, 100, 100)])
    assert found.design == "steady"
    assert len(found.blocks) == 12


def test_when_nothing_may_be_used_costs_are_still_shown_and_nothing_is_claimed() -> None:
    windows = windows_of([50.0] * 5)
    found = select(replace(windows, failed=np.full(5, 30)), [level(0, 50, 0)])
    assert found.design == "unfit"
    assert sum(len(block.rows) for block in found.blocks) == 5


def test_a_run_without_windows_has_no_blocks() -> None:
    assert select(windows_of([]), [level(0, 50, 0)]).blocks == ()


# Whose fault a window is


@pytest.mark.parametrize(
    ("lag_us", "p99_us", "busiest_us", "limited"),
    [
        pytest.param(9_000, 20_000, 0, False, id="9 ms late is not seen in a result"),
        pytest.param(11_000, 20_000, 0, True, id="11 ms late beside a p99 of 20 ms is"),
        pytest.param(11_000, 200_000, 0, False, id="11 ms late beside a p99 of 200 ms is not"),
        pytest.param(0, 20_000, 890_000, False, id="89% of a core is busy, in each of four processes"),
        pytest.param(0, 20_000, 910_000, True, id="91% of a core is too much"),
        pytest.param(11_000, float("nan"), 0, True, id="late, and nothing ended at all"),
    ],
)
def test_when_a_window_is_limited_by_the_generator(lag_us: int, p99_us: float, busiest_us: int, limited: bool) -> None:
    windows = replace(
        windows_of([50.0]),
        dispatch_lag_p99_us=np.array([lag_us]),
        p99_us=np.array([p99_us]),
        generator_cpu_us=np.array([4 * busiest_us]),
        busiest_generator_us=np.array([busiest_us]),
    )
    assert generator_limited(windows).tolist() == [limited]


@pytest.mark.parametrize(
    ("queue_us", "own_us", "host_us", "cores", "limited"),
    [
        pytest.param(50 * 3_000, 400_000, 1_100_000, 2, True, id="waits over a quarter, and we take over a quarter"),
        pytest.param(50 * 3_000, 400_000, 0, 2, True, id="the same, and what else ran there is not known"),
        pytest.param(50 * 3_000, 400_000, 900_000, 0, True, id="the same, and how many cores there are is not known"),
        pytest.param(50 * 3_000, 400_000, 900_000, 2, False, id="the cores were free for more than half of the time"),
        pytest.param(50 * 3_000, 20_000, 1_100_000, 2, False, id="waits, but not for us"),
        pytest.param(50 * 3_000, 400_000, 1_900_000, 2, False, id="waits for neighbours, beside whom we are little"),
        pytest.param(50 * 2_000, 400_000, 1_100_000, 2, False, id="waits little"),
    ],
)
def test_when_a_window_is_limited_by_the_host(
    queue_us: int, own_us: int, host_us: int, cores: int, limited: bool
) -> None:
    windows = replace(
        windows_of([50.0]),
        run_queue_us=np.array([queue_us]),
        p50_us=np.array([10_000.0]),
        cpu_us=np.array([100_000]),
        generator_cpu_us=np.array([900_000]),  # of a load that may run elsewhere
        own_cpu_us=np.array([own_us]),
        host_cpu_us=np.array([host_us]),
        host_cores=np.array([cores]),
    )
    assert host_limited(windows).tolist() == [limited]
