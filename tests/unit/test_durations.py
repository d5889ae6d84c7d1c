"""Counts of durations by upper bound, and which of several states is to be told."""

from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.watching import Durations, Health, State, worst

BOUNDS_S = (0.001, 0.01, 1.0)
whole_us = st.integers(0, 2_000_000)


@given(st.lists(whole_us))
def test_whether_one_by_one_or_all_at_once_each_counts_in_the_first_bound_that_holds_it(
    durations_us: list[int],
) -> None:
    singly, together = Durations(BOUNDS_S), Durations(BOUNDS_S)
    for us in durations_us:
        singly.add(us / 1e6)
    together.add_all_us(np.array(durations_us, np.uint32))
    expected = [(bound, sum(us <= bound * 1e6 for us in durations_us)) for bound in (*BOUNDS_S, inf)]
    assert singly.cumulated() == together.cumulated() == expected
    assert singly.sum_s == pytest.approx(sum(durations_us) / 1e6)
    assert together.sum_s == pytest.approx(singly.sum_s)


@given(st.lists(st.lists(whole_us)))
def test_what_was_counted_stays(parts_us: list[list[int]]) -> None:
    found = Durations(BOUNDS_S)
    for part_us in parts_us:
        before = found.cumulated()
        found.add_all_us(np.array(part_us, np.int64))
        assert all(now >= then for (_, now), (_, then) in zip(found.cumulated(), before, strict=True))
        assert found.cumulated()[-1][1] == before[-1][1] + len(part_us)
        assert all(first <= second for (_, first), (_, second) in pairwise(found.cumulated()))


WORST: list[tuple[list[State], State]] = [
    (["working"], "working"),
    (["working", "idle"], "working"),
    (["working", "degraded"], "degraded"),
    (["degraded", "stuck", "idle"], "stuck"),
]


@pytest.mark.parametrize(("states", "told"), WORST)
def test_of_several_states_the_worst_is_told(states: list[State], told: State) -> None:
    assert worst(*(Health(state, state) for state in states)) == Health(told, told)
