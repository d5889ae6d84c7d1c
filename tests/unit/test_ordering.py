"""Rows travel and are stored by stage, endpoint and time, and whoever has them so is told at once."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.ordering import order_of, ranks_of

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 50) | st.integers(0, 1 << 62)), max_size=40
)


@given(ROWS)
@example([(0, 0, 1 << 62), (0, 3, 38)])  # in order, and further apart than one number can say
def test_rows_are_put_in_order_and_those_that_are_stay_as_they_are(rows: list[tuple[int, int, int]]) -> None:
    stages, endpoints, times = np.array(rows, np.int64).reshape(-1, 3).T
    order = order_of(stages, endpoints, times)
    assert (order is None) == (rows == sorted(rows))
    assert [rows[at] for at in ([] if order is None else order)] == ([] if order is None else sorted(rows))


@pytest.mark.parametrize(
    ("names", "ranks"), [([], []), (["search", "cart", "Zoo"], [2, 1, 0]), (["é", "z"], [1, 0]), (["a", "ab"], [0, 1])]
)
def test_names_are_compared_as_the_store_compares_them(names: list[str], ranks: list[int]) -> None:
    assert ranks_of(names).tolist() == ranks
