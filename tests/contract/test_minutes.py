"""Minutes in a store, in memory and on ClickHouse alike: the same records from the same windows and batches."""

from collections.abc import Sequence

import pytest

from processors.join import join_window
from schemas.batches import Batch
from schemas.minutes import JoinedMinute, MinuteKey, join_minute, stack_cpu
from schemas.rows import StackFacts
from sinks.store import Store, StoredBatch
from tests.support.batches import RUN, WINDOW, WINDOW_US, many_requests, many_samples, request_batch, stack_batch
from tests.support.joined import joined_window
from tests.support.stores import StoreUnderTest

FIRST = WINDOW // 60 * 60
MINUTE = FIRST // 60
SECONDS = (0, 1, 30, 59, 60, 61)
KEYS = [MinuteKey(RUN, minute, WINDOW_US) for minute in (MINUTE, MINUTE + 1)]


def batches_of(window: int) -> list[Batch]:
    """Requests; two processes, one of them in two batches, and an agent's own."""
    facts = [
        StackFacts(service="shop", instance=name, cpu_us=us, covered_us=990_000)
        for name, us in (("a", 777_777), ("b", 55))
    ]
    return [
        request_batch(many_requests(40, window=window), window=window, final=True),
        stack_batch(many_samples(30, window=window, distinct=7), window=window, facts=facts[0]),
        stack_batch(many_samples(11, window=window, distinct=5), window=window, seq=1, facts=facts[1]),
        stack_batch(
            many_samples(9, window=window, distinct=3),
            window=window,
            seq=2,
            facts=StackFacts(service="shop", instance="a"),
        ),
        stack_batch([], window=window, seq=3, facts=StackFacts(agent_cpu_us=4), final=True),
    ]


def write(store: Store, window: int, batches: Sequence[Batch]) -> None:
    """Batches, and the window joined from all that is visible of it."""
    store.write_batches([StoredBatch(batch, 0, at) for at, batch in enumerate(batches)])
    truth = store.read_window(RUN, window)
    store.write_windows([join_window(RUN, window, WINDOW_US, truth.requests, truth.stacks, closed_by="producers")])


def expected(store: Store, minute: int) -> JoinedMinute:
    """A minute joined by hand from what the store shows."""
    windows = [FIRST + second for second in SECONDS if (FIRST + second) // 60 == minute]
    joined = [one for window in windows if (one := store.read_joined(RUN, window))]
    return join_minute(
        minute, joined, [cpu for window in windows for cpu in stack_cpu(store.read_window(RUN, window).stacks)]
    )


@pytest.fixture
def filled(any_store: StoreUnderTest) -> StoreUnderTest:
    for second in SECONDS:
        write(any_store.store, FIRST + second, batches_of(FIRST + second))
    return any_store


def test_a_minute_is_its_visible_windows_and_the_cpu_of_their_stacks(filled: StoreUnderTest) -> None:
    filled.store.write_minutes(KEYS)
    found = filled.store.read_minutes(RUN, MINUTE, MINUTE + 1)
    assert found == {minute: expected(filled.store, minute) for minute in (MINUTE, MINUTE + 1)}
    assert found[MINUTE].windows == 4
    assert found[MINUTE].stacks
    assert filled.store.read_minutes(RUN, MINUTE + 1, MINUTE + 9).keys() == {MINUTE + 1}


def test_made_again_a_minute_is_the_same_and_there_once(filled: StoreUnderTest) -> None:
    filled.store.write_minutes(KEYS)
    before = filled.store.read_minutes(RUN, MINUTE, MINUTE + 1)
    filled.store.write_minutes(list(reversed(KEYS)))
    filled.reopened().write_minutes(KEYS[:1])
    assert filled.store.read_minutes(RUN, MINUTE, MINUTE + 1) == before


def test_a_late_batch_leaves_its_minute_unmade_until_it_is_made_again(filled: StoreUnderTest) -> None:
    assert filled.store.unmade_minutes() == filled.store.unmade_minutes(RUN) == KEYS
    filled.store.write_minutes(KEYS)
    assert filled.store.unmade_minutes() == []
    late = request_batch(many_requests(5, window=FIRST), window=FIRST, producer="load-2", final=True)
    write(filled.store, FIRST, [late])
    assert filled.store.unmade_minutes() == KEYS[:1]
    assert filled.store.unmade_minutes("another run") == []
    filled.store.write_minutes(filled.store.unmade_minutes())
    assert filled.store.read_minutes(RUN, MINUTE, MINUTE) == {MINUTE: expected(filled.store, MINUTE)}
    assert filled.store.unmade_minutes() == []


def test_runs_do_not_share_minutes(filled: StoreUnderTest) -> None:
    filled.store.write_windows([joined_window(run="run-2", window=FIRST)])
    other = MinuteKey("run-2", MINUTE, WINDOW_US)
    filled.store.write_minutes([other, *KEYS])
    assert filled.store.read_minutes("run-2", MINUTE, MINUTE)[MINUTE].windows == 1
    assert filled.store.read_minutes(RUN, MINUTE, MINUTE) == {MINUTE: expected(filled.store, MINUTE)}


def test_a_minute_without_a_window_is_not_made(any_store: StoreUnderTest) -> None:
    any_store.store.write_minutes(KEYS)
    any_store.store.write_minutes([])
    assert any_store.store.read_minutes(RUN, 0, MINUTE + 9) == {}


def test_a_write_that_breaks_leaves_the_minute_as_it_was(filled: StoreUnderTest) -> None:
    filled.break_next_write()
    with pytest.raises(Exception, match=r"."):
        filled.store.write_minutes(KEYS)
    assert filled.store.read_minutes(RUN, MINUTE, MINUTE + 1) == {}
    filled.store.write_minutes(KEYS)
    assert filled.store.read_minutes(RUN, MINUTE, MINUTE).keys() == {MINUTE}
