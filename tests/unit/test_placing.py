"""Windows and the blocks that they belong to, as the store is told them."""

from bisect import bisect
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from views.placing import NO_BLOCK, among, placed


@given(st.dictionaries(st.integers(0, 60), st.integers(0, 4), max_size=40))
def test_each_window_is_in_its_block_and_what_lies_between_in_none(block_of: dict[int, int]) -> None:
    blocks = [np.array([one for one, of in block_of.items() if of == block], np.int64) for block in range(5)]
    told = placed(blocks)
    starts, numbers = told["starts"], told["numbers"]
    assert starts == sorted(set(starts))
    for window in range(told["first"], told["last"] + 1):
        assert numbers[bisect(starts, window) - 1] == block_of.get(window, NO_BLOCK)
    assert all(told["first"] <= window <= told["last"] for window in block_of)


def test_a_day_in_twelve_blocks_with_some_gaps_is_few_numbers() -> None:
    day = np.arange(1_790_000_000, 1_790_086_400)
    told = placed(np.array_split(day[day % 1009 > 0], 12))
    assert len(told["starts"]) < 200


@given(st.lists(st.integers(0, 60), max_size=40))
def test_windows_are_told_by_their_stretches_in_any_order(windows: list[int]) -> None:
    told = among(np.array(windows, np.int64))
    pairs = list(zip(told["since"], told["until"], strict=True))
    assert [one for since, until in pairs for one in range(since, until)] == sorted(set(windows))
    assert all(until < since for (_, until), (since, _) in pairwise(pairs)), "as few as can be"
    assert all(told["first"] <= one <= told["last"] for one in windows)
