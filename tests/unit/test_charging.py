"""Weights of samples, less the time that threads stood in the run queue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.profiler.charging import charged_us, waiting_us
from producers.profiler.sampler import Samples, Seen
from producers.profiler.traces import SampledStack
from producers.profiler.watched import rows_of

WORK, WAIT, WAKE, SEND = (SampledStack(1, leaf, leaf) for leaf in ("work", "wait", "wake", "send"))
samples = st.lists(st.tuples(st.integers(1, 50_000), st.sampled_from([WORK, WAIT, WAKE, SEND])), max_size=40)


def weights(rows: list[tuple[int, SampledStack]], run_queue_us: int) -> list[int]:
    return charged_us([us for us, _ in rows], [stack for _, stack in rows], run_queue_us)


ROWS = [(5000, WORK), (5000, WAIT), (5000, WAKE), (5000, SEND)]


@pytest.mark.parametrize(
    ("run_queue_us", "charged"),
    [
        pytest.param(0, [5000, 5000, 5000, 5000], id="nothing queued, so every sample keeps its weight"),
        pytest.param(5_000, [5000, 5000, 5000, 5000], id="what queued is first what waited"),
        pytest.param(7_000, [5000, 5000, 3000, 5000], id="then what had just woken another"),
        pytest.param(12_000, [5000, 5000, 1, 3000], id="all of it, then what had sent"),
        pytest.param(10**9, [5000, 5000, 1, 1000], id="of which a fifth is kept for the sending itself"),
    ],
)
def test_time_in_the_run_queue_is_taken_where_it_is_spent(run_queue_us: int, charged: list[int]) -> None:
    assert weights(ROWS, run_queue_us) == charged


@given(samples, st.integers(0, 10_000_000))
def test_work_keeps_its_weight_and_nothing_grows_or_vanishes(
    rows: list[tuple[int, SampledStack]], run_queue_us: int
) -> None:
    found = weights(rows, run_queue_us)
    assert len(found) == len(rows)
    for (before_us, stack), after_us in zip(rows, found, strict=True):
        assert 1 <= after_us <= before_us
        assert stack.leaf in {"wake", "send"} or after_us == before_us


@given(samples, st.integers(0, 1_000_000), st.integers(0, 1_000_000))
def test_more_queueing_never_charges_more(rows: list[tuple[int, SampledStack]], less: int, more: int) -> None:
    less, more = sorted((less, more))
    assert sum(weights(rows, more)) <= sum(weights(rows, less))


def waiting(rows: list[tuple[int, SampledStack]], run_queue_us: int) -> int:
    return waiting_us([us for us, _ in rows], [stack for _, stack in rows], run_queue_us)


@pytest.mark.parametrize(
    ("run_queue_us", "charged"),
    [
        pytest.param(0, 3750, id="where nothing queued, three quarters of the time that threads stood where they wait"),
        pytest.param(4_000, 750, id="of what is left of it"),
        pytest.param(5_000, 0, id="nothing, where as long was queued"),
        pytest.param(9_000, 0, id="or longer"),
    ],
)
def test_cpu_of_waiting_is_what_waits_show_beyond_the_queue(run_queue_us: int, charged: int) -> None:
    assert waiting(ROWS, run_queue_us) == charged


@given(samples, st.integers(0, 1_000_000))
def test_what_did_not_wait_has_no_part_in_it(rows: list[tuple[int, SampledStack]], run_queue_us: int) -> None:
    waits = [row for row in rows if row[1].leaf == "wait"]
    assert waiting(rows, run_queue_us) == waiting(waits, run_queue_us)


def test_it_travels_as_time_that_no_stack_accounts_for() -> None:
    taken = Samples(4_740)
    for at_us, (us, stack) in enumerate(ROWS, start=7_998):
        taken.add(at_us, us, stack)
    working = [stack.stack for _, stack in ROWS if stack is not WAIT]
    assert rows_of(taken, 5_000)["stack"].to_pylist() == working, "a thread where it waits takes no CPU, and no row"
    *rows, last = rows_of(taken, 1_000).to_pylist()
    assert len(rows) == len(working)
    told_us = rows_of(taken, 1_000)["sampled_at"].cast("int64").to_pylist()
    assert told_us == [7_000, 8_000, 8_000, 8_000], "in whole milliseconds"
    assert (last["stack"], last["mode"], last["weight_us"]) == ("", "cpu", 3_000)


def test_weights_travel_in_steps_that_keep_their_sum() -> None:
    taken = Samples(4_740)
    for at_us in (1_000, 9_000, 18_000, 27_000):
        taken.add(at_us, 8_620, WORK)
    taken.seen = [Seen(5_000, 333_430, 7, "main")]
    *of_cpu, of_wall = rows_of(taken)["weight_us"].to_pylist()
    assert of_cpu == [8_600, 8_650, 8_600, 8_650]
    assert of_wall == 333_450, "what is left of one kind of time is no part of the other"
