"""Flush ids."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sinks.flushes import RANDOM_BITS, FlushIds, first_flush_at


def test_an_id_is_its_millisecond_over_22_random_bits() -> None:
    ids = FlushIds(lambda: 1_790_000_000_123_999).take(100)
    assert {one >> RANDOM_BITS for one in ids} == {1_790_000_000_123}
    assert all(one < 2**63 for one in ids)


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 20)), max_size=20))
def test_ids_are_distinct_and_later_ones_greater_also_when_the_clock_stands_still_or_goes_back(
    steps: list[tuple[int, int]],
) -> None:
    clock = iter([1_790_000_000_000_000 + 1000 * ms for ms, _ in steps])
    flush_ids = FlushIds(lambda: next(clock))
    taken = [flush_ids.take(count) for _, count in steps]
    for some in taken:
        assert len(set(some)) == len(some)
    filled = [some for some in taken if some]
    assert all(max(earlier) < min(later) for earlier, later in pairwise(filled))


def test_two_writers_of_one_millisecond_take_different_ids() -> None:
    mine, others = (FlushIds(lambda: 1_790_000_000_000_000).take(50) for _ in range(2))
    # 50 x 50 pairs over 2**22 values: shared once in 1,700 runs of this test, shared twice hardly ever.
    assert len(set(mine) & set(others)) < 2


def test_no_id_taken_at_a_time_or_later_is_smaller_than_the_first_of_that_time() -> None:
    time_us = 1_790_000_000_000_000
    assert min(FlushIds(lambda: time_us).take(1000)) >= first_flush_at(time_us)
    assert max(FlushIds(lambda: time_us - 1000).take(1000)) < first_flush_at(time_us)
