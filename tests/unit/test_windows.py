"""When is a window over? When its producers have ended it, or when the broker's time is up."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.records import ClosedWindow, WindowKey
from processors.windows import GRACE_US, Windows
from schemas.batches import Batch
from sinks.store import StoredBatch
from tests.support.batches import RUN, WINDOW, WINDOW_US, request_batch, stack_batch

W = WINDOW
DUE_US = (W + 1) * WINDOW_US + GRACE_US
"""When the grace of window W is over."""


def windows_with(*batches: Batch) -> Windows:
    windows = Windows(WINDOW_US)
    add(windows, *batches)
    return windows


def add(windows: Windows, *batches: Batch) -> list[bool]:
    return [windows.add(StoredBatch(batch, 0, offset)) for offset, batch in enumerate(batches)]


def over(closed: list[ClosedWindow]) -> list[tuple[int, str]]:
    return [(window.key.window, window.closed_by) for window in closed]


def load(window: int, **named: object) -> Batch:
    return request_batch(window=window, **({"final": True} | named))


def agent(window: int, **named: object) -> Batch:
    return stack_batch(window=window, **({"final": True} | named))


def test_a_window_stays_open_until_its_grace_is_over() -> None:
    windows = windows_with(load(W, final=False))
    assert windows.close(None) == []
    assert windows.close(DUE_US - 1) == []
    assert over(windows.close(DUE_US)) == [(W, "grace")]
    assert len(windows) == 0


def test_the_first_window_of_a_run_waits_for_its_grace_since_nobody_knows_who_else_is_there() -> None:
    windows = windows_with(load(W), agent(W))
    assert windows.close(DUE_US - 1) == []


def known(*producers: Callable[..., Batch], **named: object) -> Windows:
    """Windows in which the run's window W is closed, and these producers ended it."""
    windows = windows_with(*(producer(W, **named) for producer in producers))
    assert over(windows.close(DUE_US)) == [(W, "grace")]
    return windows


NEXT = W + 4
CLOSING = {
    "all expected producers ended it": ([load(NEXT), agent(NEXT)], [(NEXT, "producers")]),
    "one is missing": ([load(NEXT)], []),
    "one has not ended it": ([load(NEXT), agent(NEXT, final=False)], []),
    "the final batch announces one that is not in": ([load(NEXT), agent(NEXT, seq=1)], []),
    "all that it announces is in": (
        [load(NEXT), agent(NEXT, seq=1), agent(NEXT, seq=0, final=False)],
        [(NEXT, "producers")],
    ),
    "somebody new was heard and has not ended it": (
        [load(NEXT), agent(NEXT), load(NEXT, producer="new", final=False)],
        [],
    ),
    "somebody new has ended it too": ([load(NEXT), agent(NEXT), load(NEXT, producer="new")], [(NEXT, "producers")]),
    "somebody of the same name on the other topic is somebody else": ([load(NEXT), load(NEXT, producer="agent-1")], []),
}


@pytest.mark.parametrize(("batches", "closed"), CLOSING.values(), ids=CLOSING)
def test_a_window_closes_at_once_when_its_producers_have_ended_it(
    batches: list[Batch], closed: list[tuple[int, str]]
) -> None:
    windows = known(load, agent)
    add(windows, *batches)
    assert over(windows.close(None)) == closed


def test_a_producer_that_said_goodbye_is_not_expected() -> None:
    windows = known(load, agent)
    add(windows, load(NEXT), agent(NEXT, goodbye=True))
    windows.close(None)
    add(windows, load(NEXT + 4))
    assert over(windows.close(None)) == [(NEXT + 4, "producers")]


def test_when_all_said_goodbye_what_still_comes_waits_for_its_grace() -> None:
    windows = known(load, goodbye=True)
    add(windows, load(NEXT))
    assert windows.close(None) == []


def test_a_producer_that_died_is_waited_for_once() -> None:
    windows = known(load, agent)
    add(windows, load(NEXT))
    assert over(windows.close((NEXT + 1) * WINDOW_US + GRACE_US)) == [(NEXT, "grace")]
    add(windows, load(NEXT + 4))
    assert over(windows.close(None)) == [(NEXT + 4, "producers")]


def test_runs_do_not_wait_for_each_other() -> None:
    windows = known(load)
    add(windows, load(W, run="run-2"), load(NEXT))
    assert over(windows.close(None)) == [(NEXT, "producers")]


def test_windows_that_are_over_together_close_in_their_order() -> None:
    windows = windows_with(load(W + 8), load(W), load(W + 4))
    assert over(windows.close(DUE_US + 8 * WINDOW_US)) == [(W, "grace"), (W + 4, "producers"), (W + 8, "producers")]


def test_a_closed_window_holds_each_of_its_batches_once() -> None:
    windows = windows_with()
    assert add(windows, load(W), agent(W), load(W)) == [True, True, False]
    (closed,) = windows.close(DUE_US)
    assert [stored.batch.header.key.topic for stored in closed.batches] == ["requests", "stacks"]


KEY = WindowKey(RUN, W)


def test_what_comes_for_a_closed_window_is_late_whatever_the_time() -> None:
    windows = known(load)
    assert windows.is_late(KEY, None)


def test_what_comes_when_its_window_would_have_been_closed_is_late() -> None:
    windows = Windows(WINDOW_US)
    assert not windows.is_late(KEY, None)
    assert not windows.is_late(KEY, DUE_US - 1)
    assert windows.is_late(KEY, DUE_US)


def test_what_comes_for_a_window_that_is_open_is_not_late() -> None:
    assert not windows_with(load(W)).is_late(KEY, DUE_US)


class LooksEachTime(Windows):
    def close(self, watermark_us: int | None) -> list[ClosedWindow]:
        self._may_be_over = True
        return super().close(watermark_us)


arrivals = st.builds(
    lambda make, window, **named: make(window=W + window, **named),
    st.sampled_from([request_batch, stack_batch]),
    st.integers(0, 6),
    run=st.sampled_from(["run-1", "run-2"]),
    producer=st.sampled_from(["a", "b"]),
    seq=st.integers(0, 1),
    final=st.booleans(),
    goodbye=st.booleans(),
)
steps_us = st.one_of(st.none(), st.integers(0, 12 * WINDOW_US))


@given(st.lists(st.tuples(arrivals, steps_us), max_size=30))
def test_looking_only_when_something_can_be_over_closes_the_same_windows_at_the_same_time(
    course: list[tuple[Batch, int | None]],
) -> None:
    seldom, always = Windows(WINDOW_US), LooksEachTime(WINDOW_US)
    for offset, (batch, since_us) in enumerate(course):
        watermark_us = None if since_us is None else W * WINDOW_US + since_us
        found = []
        for windows in (seldom, always):
            windows.add(StoredBatch(batch, 0, offset))
            found.append(windows.close(watermark_us))
        assert found[0] == found[1]
