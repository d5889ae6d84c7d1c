"""Slow requests against the middle half: what a simulated process did while each waited, found where it was planted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.waiting.contrast import (
    LEAST_RISE,
    LEAST_SLOW,
    MOSTLY_IDLE,
    Contrast,
    Groups,
    Intervals,
    StoodAmong,
    beyond_requests,
    contrast,
)
from analysis.waiting.slow_findings import LEAST_STOOD, slow_findings
from analysis.waiting.ticks import Ticks, WallStack
from analysis.waiting.waited import Ratio
from tests.support.tails import Simulated, bursts, one_thread, pool

SEED = 5
times = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 40)), max_size=30)


def compared(simulated: Simulated) -> list[Contrast]:
    return [contrast(groups, simulated.ticks) for groups in simulated.groups()]


@given(times, st.lists(st.integers(0, 150), max_size=20))
def test_how_many_are_under_way_is_what_counting_gives(spans: list[tuple[int, int]], at: list[int]) -> None:
    starts = np.array([start for start, _ in spans], np.int64)
    ends = np.array([start + took for start, took in spans], np.int64)
    found = Intervals(starts, ends).under_way(np.array(at, np.int64))
    assert found.tolist() == [int(((starts <= one) & (one < ends)).sum()) for one in at]


def test_ticks_know_how_many_threads_stood_where_and_share_a_tick_between_those_that_ran() -> None:
    stacks = [
        WallStack(("main",), waits=True),
        WallStack(("run", "work"), waits=False),
        WallStack(("run",), waits=True),
    ]
    at_us, weight_us = np.array([5, 5, 5, 9]), np.array([10, 20, 30, 10])
    ticks = Ticks.of(np.zeros(4, np.int64), at_us, weight_us, np.array([0, 1, 2, 0]), stacks)
    assert (ticks.at_us.tolist(), ticks.weight_us.tolist()) == ([5, 9], [10, 10])
    assert ticks.threads.tolist() == [1, 2, 3, 1]
    assert ticks.share.tolist() == [0, 1, 0, 0], "two threads in one stack have all of the tick; at 9 nobody ran"
    assert ticks.stacks.functions == ("run", "work")
    later = ticks.at(ticks.at_us > 5)
    assert (later.at_us.tolist(), later.tick.tolist(), later.threads.tolist()) == ([9], [0], [1])


def test_processes_that_are_looked_at_in_one_millisecond_have_ticks_of_their_own() -> None:
    stacks = [WallStack(("main",), waits=True)]
    ticks = Ticks.of(np.array([0, 1]), np.array([5, 5]), np.array([10, 10]), np.array([0, 0]), stacks)
    assert len(ticks) == 2


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        pytest.param(
            (
                "search (shop.py)",
                "get (app/db.py)",
                "acquire (python3.11/threading.py)",
                "wait (python3.11/threading.py)",
            ),
            ("wait (python3.11/threading.py)", "get (app/db.py)"),
            id="a lock of Python's own is under who asked for it",
        ),
        pytest.param(
            ("search (shop.py)", "query (db.py)"), ("query (db.py)", "search (shop.py)"), id="C shows its caller"
        ),
        pytest.param(
            ("run (python3.11/threading.py)", "_worker (futures/thread.py)"),
            ("_worker (futures/thread.py)", ""),
            id="a thread of a pool that rests is under nobody",
        ),
        pytest.param((), ("", ""), id="a torn stack"),
    ],
)
def test_where_a_thread_stands_is_its_last_frame_under_the_nearest_of_the_application(
    labels: tuple[str, ...], place: tuple[str, str]
) -> None:
    assert WallStack(labels, waits=True).place == place


def test_a_branch_that_runs_long_stands_out_of_the_running_time_and_waiting_does_not() -> None:
    simulated = one_thread(np.random.default_rng(SEED), seconds=120, slow_share=0.02, slow_us=40_000)
    search, _ = compared(simulated)
    assert search.idle is not None
    rebuild = next(one for one in search.runs if one.name == "rebuild (shop.py)")
    assert rebuild.slow > 0.6
    assert max(rebuild.middle, rebuild.overall) < 0.2
    assert 0.3 < rebuild.low < rebuild.rise < rebuild.high
    assert rebuild.p < 1e-4
    assert search.idle.rise < 0.05
    (finding,) = slow_findings("shop", [search])
    assert (finding.kind, finding.function) == ("slow", "rebuild (shop.py)")


def test_a_slow_downstream_is_told_by_idle_time_and_by_the_place_where_threads_stood() -> None:
    simulated = pool(np.random.default_rng(SEED), slow_share=0.02)
    (finding,) = slow_findings("shop", [compared(simulated)[0]])
    assert finding.evidence["cause"] == "waiting"
    assert finding.function in {"get_connection (db.py)", "query (db.py)"}


def test_a_line_before_a_lock_is_told_where_the_process_is_idle_all_the_same() -> None:
    """One connection for all, asked for so often that they stand in line: nothing runs longer, and nobody is idler."""
    simulated = pool(np.random.default_rng(SEED), tps=60, seconds=240, work_us=1_000, query_us=10_000, connections=1)
    search, _ = compared(simulated)
    assert search.idle is not None
    assert abs(search.idle.rise) < LEAST_RISE < MOSTLY_IDLE < search.idle.slow
    (finding,) = slow_findings("shop", [search])
    assert (finding.kind, finding.function) == ("slow", "get_connection (db.py)")
    assert finding.evidence["cause"] == "waiting"
    assert "waited for something that is no core" in finding.summary


def test_a_downstream_is_told_by_where_threads_stood_before_the_idle_share_tells_it() -> None:
    """Half of the requests ask it, others keep the process busy, and there are few looks."""
    random = np.random.default_rng(SEED)
    simulated = pool(random, tps=100, seconds=60, work_us=2_500, query_us=1_500, connections=24, slow_share=0.03)
    search = compared(simulated)[0]
    assert search.idle is not None
    unsure = replace(search, idle=replace(search.idle, p=0.2))
    (finding,) = slow_findings("shop", [unsure])
    assert (finding.kind, finding.function, finding.evidence["cause"]) == ("slow", "query (db.py)", "waiting")
    assert finding.evidence["measure"] == "threads that stood there"


def test_what_could_not_be_named_is_not_tested() -> None:
    """Machinery, and functions that are always on the stack together, do not make the others less sure."""
    simulated = one_thread(np.random.default_rng(SEED), seconds=120, slow_share=0.02, slow_us=40_000)
    search, _ = compared(simulated)
    rebuild = next(one for one in search.runs if one.name == "rebuild (shop.py)")
    alike = [replace(rebuild, name=f"caller_{place} (shop.py)", depth=place / 100) for place in range(60)]
    loop = [replace(rebuild, name=f"step_{place} (asyncio/events.py)", p=0.5, slow=0.9) for place in range(60)]
    sure_enough = replace(search, runs=(replace(rebuild, p=0.002), *(replace(one, p=0.002) for one in alike), *loop))
    (finding,) = slow_findings("shop", [sure_enough])
    assert finding.function == "rebuild (shop.py)"


def test_threads_that_lack_their_turn_are_no_line_before_a_lock() -> None:
    """As of a host that others use: the process seems idle, and its threads stand in code that else runs."""
    simulated = pool(np.random.default_rng(SEED), tps=60, seconds=240, work_us=1_000, query_us=10_000, connections=1)
    search = compared(simulated)[0]
    lacking = replace(search, waits=tuple(replace(one, turnless=True) for one in search.waits))
    assert [one.kind for one in slow_findings("shop", [lacking])] == ["none"]


@pytest.mark.parametrize("tps", [60, 120, 160])
def test_a_queue_of_equals_for_a_core_is_no_finding_at_any_load(tps: int) -> None:
    for seed in range(3):
        random = np.random.default_rng([seed, tps])
        for simulated in (one_thread(random, tps=tps), pool(random, tps=1.5 * tps)):
            assert [one.kind for one in slow_findings("shop", compared(simulated))] == ["none"]


@pytest.mark.parametrize("of_search", [1.0, 0.5, 0.0], ids=["its own", "of both endpoints", "another's"])
def test_bursts_of_equals_that_wait_as_long_as_ever_are_no_finding(of_search: float) -> None:
    """More threads stand where all requests wait, for there are more requests; the tail is the line for a thread."""
    told = 0
    for seed in range(3):
        clean = compared(bursts(np.random.default_rng([seed, 7]), of_search=of_search))
        assert [one.kind for one in slow_findings("shop", clean)] == ["none"]
        told += sum(place.low > 0 and place.rise >= LEAST_STOOD for one in clean for place in one.waits)
    assert told, "threads alone would tell of it"


def test_a_slow_downstream_is_told_among_bursts() -> None:
    simulated = bursts(np.random.default_rng(SEED), slow_share=0.03, threads=64)
    (finding,) = slow_findings("shop", compared(simulated))
    assert (finding.kind, finding.function) == ("slow", "pay (bank.py)")
    assert finding.evidence["measure"] == "threads that stood there"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=4, max_size=40), st.integers(0, 2))
def test_threads_that_stand_for_each_request_under_way_are_accounted_for(
    seen: list[tuple[int, int]], for_each: int
) -> None:
    own, others = np.array(seen, np.float64).T
    place = (for_each * own + 0.5 * others)[:, None]
    parts = np.stack([own, others], axis=1)
    slow, middle, level = (
        StoodAmong(Ratio(weight[:, None] * place, weight), Ratio(weight[:, None] * parts, weight))
        for weight in (own**2 + 1, own + 1, np.ones(len(own)))
    )
    figures = np.linalg.svd(np.stack([middle.under_way.value, level.under_way.value]), compute_uv=False)
    assume(figures[1] > 0.05 * figures[0])
    beyond, doubt = beyond_requests(slow, middle, level)
    assert beyond.value[0] == pytest.approx(0, abs=1e-6)
    assert doubt.value[0] == pytest.approx(0, abs=1e-6)


def test_too_few_slow_requests_are_not_spoken_of() -> None:
    simulated = one_thread(np.random.default_rng(SEED), seconds=10, slow_share=0.02)
    search, checkout = compared(simulated)
    for one in (search, checkout):
        assert one.slow_requests < LEAST_SLOW
        assert (one.idle, one.runs, one.waits) == (None, (), ())
    assert f"of {LEAST_SLOW} that it takes" in search.lacks


def test_slow_requests_of_one_bad_moment_are_not_spoken_of_however_many() -> None:
    simulated = pool(np.random.default_rng(SEED), seconds=60)
    starts_us, ends_us = simulated.starts_us.copy(), simulated.ends_us.copy()
    bad = slice(1_000, 1_060)
    ends_us[bad] = ends_us[bad].max() + 500_000
    found = contrast(Groups.of(starts_us, ends_us), simulated.ticks)
    assert found.slow_requests >= LEAST_SLOW
    assert "separate stretches" in found.lacks


def test_the_same_data_gives_the_same_figures() -> None:
    simulated = pool(np.random.default_rng(SEED), slow_share=0.02)
    first, second = (compared(simulated)[0] for _ in range(2))
    assert repr(first) == repr(second), "NaN is not NaN"


def test_a_fair_part_of_the_middle_half_will_do() -> None:
    simulated = pool(np.random.default_rng(SEED), slow_share=0.02, seconds=120)
    groups = simulated.groups()[0]
    some = Intervals(groups.middle.starts_us[::2], groups.middle.ends_us[::2])
    thinned = replace(groups, middle=some)
    whole, part = contrast(groups, simulated.ticks), contrast(thinned, simulated.ticks)
    assert whole.idle is not None
    assert part.idle is not None
    assert part.idle.slow == whole.idle.slow
    assert part.idle.middle == pytest.approx(whole.idle.middle, abs=0.04)
