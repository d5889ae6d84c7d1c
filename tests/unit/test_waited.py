"""What makes slow requests quick to compare, held against the straightforward form of the same."""

from random import Random

import numpy as np
import pyarrow as pa
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.waiting.contrast import Groups, Intervals, blocks_of, busy_periods
from analysis.waiting.ticks import Ticks, WallStack
from analysis.waiting.waited import Cells, Draws, Ratio, rises
from views.slow import numbered

STACKS = [
    WallStack(("run", "work"), waits=False),
    WallStack(("run", "work", "work"), waits=False),
    WallStack(("run", "rest"), waits=False),
    WallStack(("run", "work"), waits=True),
    WallStack(("run", "wait"), waits=True),
    WallStack((), waits=True),
]
spans = st.lists(st.tuples(st.integers(0, 8_000_000), st.integers(0, 1_500_000)), min_size=1, max_size=25)
rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 30), st.integers(0, len(STACKS) - 1), st.integers(1, 3)),
    min_size=1,
    max_size=60,
    unique_by=lambda row: row[:3],
)


def intervals(some: list[tuple[int, int]]) -> Intervals:
    starts_us = np.array([start for start, _ in some], np.int64)
    return Intervals(starts_us, starts_us + np.array([took for _, took in some], np.int64))


def plain_periods(some: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """One request after the other, in the order of their starts."""
    found: list[tuple[int, int]] = []
    for start, took in sorted(some):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], start + took)
        else:
            found.append((start, start + took))
    return found


@given(spans, spans)
def test_busy_periods_are_those_of_going_through_the_requests(
    slow: list[tuple[int, int]], middle: list[tuple[int, int]]
) -> None:
    begins, ends = busy_periods(intervals(slow), intervals(middle))
    assert list(zip(begins.tolist(), ends.tolist(), strict=True)) == plain_periods(slow + middle)


@given(spans, spans, st.lists(st.integers(0, 10_000_000), min_size=1, max_size=40))
def test_blocks_are_those_of_placing_each_tick_by_itself(
    slow: list[tuple[int, int]], middle: list[tuple[int, int]], at: list[int]
) -> None:
    at_us = np.array(sorted(at), np.int64)
    periods = plain_periods(slow + middle)
    length_us = max(1e6, 4.0 * np.mean([took for _, took in slow]), float(at_us[-1] - at_us[0]) / 400)
    anchors = []
    for tick in at_us.tolist():
        begin, end = max([one for one in periods if one[0] <= tick], default=periods[0])
        anchors.append(begin if end - begin <= length_us else tick)
    cells = [(anchor - min(*anchors, *at)) // length_us for anchor in anchors]
    places = {cell: place for place, cell in enumerate(sorted(set(cells)))}
    found = blocks_of(
        Groups("", "", intervals(slow), intervals(middle), 0.0, 0.0, 0, intervals(slow), intervals([])), at_us
    )
    assert found.tolist() == [places[cell] for cell in cells]


@given(rows, st.lists(st.integers(0, 5), min_size=62, max_size=62))
def test_time_by_block_is_what_adding_up_row_by_row_gives(
    seen: list[tuple[int, int, int, int]], weights: list[int]
) -> None:
    process, at, stack, threads = (np.array(column, np.int64) for column in zip(*seen, strict=True))
    ticks = Ticks.of(process, at, threads * 10, stack, STACKS)
    under_way = np.array(weights[: len(ticks)], np.float64)
    block = np.arange(len(ticks)) // 4
    times, stood = Cells(ticks, block).times(under_way), Cells(ticks, block).stood(under_way)
    blocks = int(block.max()) + 1
    time, busy, waits, ready = np.zeros(blocks), np.zeros(blocks), {}, 0.0
    runs = {name: np.zeros(blocks) for name in ticks.stacks.functions}
    last = {True: {}, False: {}}  # threads by their last frame, of those that wait and those that run
    for row in range(len(ticks.tick)):
        one = STACKS[ticks.stack[row]]
        if one.labels:
            of = last[one.waits]
            of[one.labels[-1]] = of.get(one.labels[-1], 0.0) + ticks.threads[row]
    for tick in range(len(ticks)):
        weight = under_way[tick] * ticks.weight_us[tick]
        time[block[tick]] += weight
        here = [(STACKS[ticks.stack[row]], ticks.threads[row]) for row in np.flatnonzero(ticks.tick == tick)]
        running = sum(count for one, count in here if not one.waits)
        busy[block[tick]] += weight if running else 0.0
        for one, count in here:
            if one.waits:
                waits.setdefault(one.place, np.zeros(blocks))[block[tick]] += weight * count
                label = one.labels[-1] if one.labels else None
                ready += weight * count * (label in last[True] and last[False].get(label, 0) >= 0.2 * last[True][label])
            for name in set(one.labels) if not one.waits else ():
                runs[name][block[tick]] += weight * count / running
    np.testing.assert_allclose(times.time, time)
    np.testing.assert_allclose(times.busy, busy, atol=1e-6)
    for place, name in enumerate(ticks.stacks.functions):
        np.testing.assert_allclose(times.runs[:, place], runs[name], atol=1e-6)
    for place, name in enumerate(ticks.stacks.places):
        np.testing.assert_allclose(stood.waits[:, place], waits.get(name, np.zeros(blocks)), atol=1e-6)
    np.testing.assert_allclose(stood.ready, ready, atol=1e-6)


@given(st.integers(0, 2**32), st.integers(2, 12))
def test_an_interval_is_the_same_whether_or_not_others_are_asked_for(seed: int, blocks: int) -> None:
    random = np.random.default_rng(seed)
    first, second = (Ratio(random.random((blocks, 6)), 1 + random.random(blocks)) for _ in range(2))
    every, some = (rises(first, second, 3, Draws(1), least=least) for least in (0.0, 0.1))
    told = np.abs(first.value - second.value) >= 0.1
    assert np.isnan(some.low).tolist() == (~told).tolist()
    np.testing.assert_allclose(some.low[told], every.low[told])
    np.testing.assert_allclose(some.high[told], every.high[told])
    assert (every.low <= every.high).all()
    np.testing.assert_array_equal(some.p, every.p)


def test_draws_are_the_same_whatever_was_drawn_before() -> None:
    draws = Draws(5)
    before = draws.of(7).copy()
    assert draws.of(9).sum(axis=1).tolist() == [9] * len(draws.of(9))
    np.testing.assert_array_equal(draws.of(7), before)
    assert Draws(6).of(7).tolist() != before.tolist()


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40), st.integers(1, 40))
def test_numbers_of_values_are_those_of_sorting_all_of_them(values: list[int], cut: int) -> None:
    column = np.array(values, np.uint64)
    chunks = pa.chunked_array([pa.array(column[:cut]), pa.array(column[cut:])], pa.uint64())
    different, places = numbered(chunks)
    expected = np.unique(column, return_inverse=True)
    assert (different.tolist(), places.tolist()) == (expected[0].tolist(), expected[1].tolist())


@given(rows, st.randoms(use_true_random=False))
def test_rows_may_come_in_any_order(seen: list[tuple[int, int, int, int]], random: Random) -> None:
    mixed = random.sample(seen, len(seen))
    assume(len(seen) > 1)
    one, other = (
        Ticks.of(*(np.array(column, np.int64) for column in (process, at, threads, stack)), STACKS)
        for process, at, stack, threads in (zip(*some, strict=True) for some in (seen, mixed))
    )
    assert (one.at_us.tolist(), one.weight_us.tolist()) == (other.at_us.tolist(), other.weight_us.tolist())
    assert sorted(zip(one.tick, one.stack, one.threads, strict=True)) == sorted(
        zip(other.tick, other.stack, other.threads, strict=True)
    )
