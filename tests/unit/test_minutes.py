"""When minutes are made, and what a minute of windows comes to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.join import join_window
from processors.minutes import MOST_S, QUIET_S, Minutes
from schemas.minutes import MINUTE_US, MinuteKey, StackCpu, join_minute, minute_of, shared_us, stack_cpu
from schemas.rows import StackFacts
from tests.support.batches import RUN, WINDOW, WINDOW_US, Sample, stack_batch
from tests.support.joined import joined_function, joined_window

FIRST = WINDOW // 60 * 60
MINUTE = FIRST // 60
KEY = MinuteKey(RUN, MINUTE, WINDOW_US)


def key(minute: int, run: str = RUN) -> MinuteKey:
    return MinuteKey(run, minute, WINDOW_US)


def test_a_minute_waits_until_no_window_of_it_has_been_stored_for_a_while() -> None:
    minutes = Minutes()
    for second in range(3):
        minutes.changed([joined_window(window=FIRST + second)], float(second))
    assert minutes.take(2 + QUIET_S - 0.1, 9) == []
    assert minutes.take(2 + QUIET_S, 9) == [KEY]
    assert minutes.take(100, 9) == []


def test_a_minute_under_way_is_made_now_and_then_and_once_more_when_it_is_over() -> None:
    minutes, made_s = Minutes(), []
    for second in range(80):
        if second < 60:
            minutes.changed([joined_window(window=FIRST + second)], float(second))
        made_s += [second] * len(minutes.take(float(second), 9))
    assert made_s == [20, 41, 62]
    assert max(later - before for before, later in zip([0, *made_s], made_s, strict=False)) <= MOST_S + 5


def test_a_late_window_has_its_minute_made_again() -> None:
    minutes = Minutes()
    minutes.changed([joined_window(window=FIRST)], 0.0)
    assert minutes.take(10.0, 9) == [KEY]
    minutes.changed([joined_window(window=FIRST + 7, closed_by="late")], 500.0)
    assert minutes.take(500 + QUIET_S, 9) == [KEY]


def test_what_somebody_left_unmade_waits_for_what_is_due_and_is_made_once() -> None:
    minutes = Minutes()
    minutes.unmade([key(1), key(2), key(3), KEY])
    minutes.add([KEY], 0.0)
    assert minutes.take(10.0, 9) == [KEY]
    assert minutes.take(10.0, 2) == [key(1), key(2)]
    assert minutes.take(10.0, 2) == [key(3)]
    assert minutes.take(10.0, 2) == []


def test_at_the_end_only_what_this_worker_changed_is_made() -> None:
    minutes = Minutes()
    minutes.unmade([key(1)])
    minutes.add([key(5), key(4), key(6)], 0.0)
    assert minutes.take_changed(2) == [key(4), key(5)]
    assert minutes.take_changed(2) == [key(6)]
    assert minutes.take_changed(2) == []


@given(minute=st.integers(1, 40_000_000), window_us=st.integers(1_000, 200_000_000))
def test_each_window_belongs_to_the_one_minute_in_which_it_begins(minute: int, window_us: int) -> None:
    first, last = MinuteKey(RUN, minute, window_us).windows
    assert all(minute_of(window, window_us) == minute for window in {first, last} if first <= last)
    assert minute_of(first - 1, window_us) < minute < minute_of(last + 1, window_us)
    assert first <= last or window_us > MINUTE_US


def test_a_minute_adds_its_windows_up() -> None:
    some = [
        joined_window(window=FIRST, functions=(joined_function("a", self_cpu_us=30_000), joined_function("b"))),
        joined_window(window=FIRST + 1, closed_by="late", functions=(joined_function("a", self_cpu_us=20_000),)),
        replace(joined_window(window=FIRST + 2, functions=()), instances=0, in_flight=9, closed_by="grace"),
    ]
    minute = join_minute(MINUTE, some, [StackCpu("shop", "a;b", 2, 5), StackCpu("shop", "a;b", 1, 4)])
    assert (minute.windows, minute.late, minute.incomplete, minute.unwatched) == (3, 1, 1, 1)
    assert (minute.window_us, minute.watched_us, minute.watched_requests) == (3 * WINDOW_US, 2 * WINDOW_US, 6)
    assert (minute.batches_covered, minute.in_flight, minute.instances) == (6, 9, 0)
    assert minute.completed == sum(one.completed for one in some) == minute.endpoints[0].completed
    assert {one.function: one.self_cpu_us for one in minute.functions} == {"a": 50_000, "b": 40_000}
    assert minute.latency.count == 9
    assert minute.stacks == (StackCpu("shop", "a;b", 3, 9),)


@given(order=st.permutations(range(4)))
def test_the_order_of_windows_changes_nothing(order: list[int]) -> None:
    some = [joined_window(window=FIRST + at, batches_covered=at + 1) for at in range(4)]
    stacks = [StackCpu("shop", f"a;{at % 2}", at, at) for at in range(4)]
    assert join_minute(MINUTE, [some[at] for at in order], [stacks[at] for at in order]) == join_minute(
        MINUTE, some, stacks
    )


def test_cpu_by_stack_is_the_cpu_of_the_functions_at_their_leaves() -> None:
    facts = StackFacts(service="shop", instance="pid-1", cpu_us=900_001, covered_us=990_000, period_us=10_000)
    parts = [
        stack_batch([Sample("main (a.py);f (a.py)")] * 5 + [Sample("")], facts=facts),
        stack_batch(
            [Sample("main (a.py);f (a.py)"), Sample("main (a.py);g (a.py)"), Sample("main (a.py)", mode="wall")],
            seq=1,
            facts=StackFacts(service="shop", instance="pid-1"),
            final=True,
        ),
    ]
    found: dict[str, int] = {}
    for part in stack_cpu(parts):
        leaf = part.stack.split(";")[-1]
        found[leaf] = found.get(leaf, 0) + part.cpu_us
    joined = join_window(RUN, WINDOW, WINDOW_US, [], parts, closed_by="producers")
    functions = {f"{one.function} ({one.file})": one.self_cpu_us for one in joined.functions if one.self_cpu_us}
    assert found == pytest.approx(functions | {"": joined.unattributed_us}, abs=2)
    assert sum(found.values()) == pytest.approx(900_001, abs=3)
    assert sum(part.samples for part in stack_cpu(parts)) == joined.samples


def test_processes_of_the_same_name_under_two_agents_are_two() -> None:
    facts = [StackFacts(service="shop", instance="pid-1", cpu_us=us) for us in (100, 900)]
    parts = [stack_batch([Sample("a")], producer=f"agent-{at}", facts=one) for at, one in enumerate(facts)]
    assert sorted(part.cpu_us for part in stack_cpu(parts)) == [100, 900]


@given(st.lists(st.integers(0, 10_000_000), min_size=1, max_size=30), st.integers(0, 1_000_000_000))
def test_shares_of_a_process_add_up_to_its_cpu_but_for_rounding(weights: list[int], process_us: int) -> None:
    weights_us = np.array(weights, np.uint64)
    all_us = np.full(len(weights), weights_us.sum(), np.uint64)
    shares = shared_us(np.full(len(weights), process_us, np.uint64), weights_us, all_us)
    expected = process_us if sum(weights) else 0
    assert int(shares.sum()) == pytest.approx(expected, abs=len(weights) / 2)
