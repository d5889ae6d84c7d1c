"""What may be committed: never past anything that a crash would lose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ledger import Ledger
from processors.records import Place
from processors.sequence import Sequences

HERE, THERE = Place("t.requests", 0), Place("t.requests", 1)


def received(*holds: int) -> Ledger:
    """A ledger after records from offset 10 on, each held for so many reasons."""
    ledger = Ledger()
    for offset, count in enumerate(holds, start=10):
        ledger.receive(HERE, offset, holds=count)
    return ledger


COMMITTABLE = {
    "nothing is held: the one after the last": ((0, 0, 0), {}, 13),
    "the first is held": ((1, 0, 0), {}, 10),
    "a later one is held": ((0, 1, 0), {}, 11),
    "the first that is still held counts": ((1, 1, 1), {10: 1}, 11),
    "what is released behind a held one does not count": ((1, 1, 1), {11: 1, 12: 1}, 10),
    "stored, but not announced yet": ((2, 0, 0), {10: 1}, 10),
    "stored and announced": ((2, 0, 0), {10: 2}, 13),
}


@pytest.mark.parametrize(("holds", "releases", "offset"), COMMITTABLE.values(), ids=COMMITTABLE)
def test_the_committable_offset(holds: tuple[int, ...], releases: dict[int, int], offset: int) -> None:
    ledger = received(*holds)
    for released, times in releases.items():
        for _ in range(times):
            ledger.release(HERE, released)
    assert ledger.committable() == {HERE: offset}


def test_partitions_do_not_hold_each_other() -> None:
    ledger = received(1)
    ledger.receive(THERE, 3)
    assert ledger.committable() == {HERE: 10, THERE: 4}


def test_what_was_committed_is_not_committed_again() -> None:
    ledger = received(0)
    ledger.committed(ledger.committable())
    assert ledger.committable() == {}
    ledger.receive(HERE, 11)
    assert ledger.committable() == {HERE: 12}


def test_a_commit_that_failed_is_due_again() -> None:
    ledger = received(0)
    assert ledger.committable() == ledger.committable() == {HERE: 11}


def test_releasing_what_is_not_held_is_a_mistake_that_shows() -> None:
    with pytest.raises(KeyError):
        received(0).release(HERE, 10)


def test_a_partition_that_was_lost_is_not_committed_any_more() -> None:
    ledger = received(0)
    offsets = ledger.committable()
    ledger.drop([HERE])
    ledger.committed(offsets)
    assert ledger.committable() == {}
    assert ledger.idle


def test_it_is_idle_when_nothing_is_held() -> None:
    ledger = received(1)
    assert not ledger.idle
    ledger.release(HERE, 10)
    assert ledger.idle


@given(st.data())
def test_no_offset_at_or_behind_the_committable_one_is_held(data: st.DataObject) -> None:
    ledger, held = Ledger(), {}
    following = 0
    for _ in range(data.draw(st.integers(1, 30))):
        if held and data.draw(st.booleans()):
            offset = data.draw(st.sampled_from(sorted(held)))
            ledger.release(HERE, offset)
            held[offset] -= 1
            if not held[offset]:
                del held[offset]
        else:
            following += data.draw(st.integers(1, 3))  # offsets may have holes
            count = data.draw(st.integers(0, 2))
            ledger.receive(HERE, following, holds=count)
            if count:
                held[following] = count
    if following:
        assert ledger.committable() == {HERE: min(held, default=following + 1)}


TAKE, PASS, AGAIN = "take", "pass", "again"
SEQUENCES = {
    "one after another": ([5, 6, 7], [TAKE, TAKE, TAKE]),
    "a partition begins wherever Kafka says": ([900], [TAKE]),
    "what was had is passed over": ([5, 6, 5, 6, 7], [TAKE, TAKE, PASS, PASS, TAKE]),
    "skipped records are read again": ([5, 8, 6, 7, 8], [TAKE, AGAIN, TAKE, TAKE, TAKE]),
    "what was under way meanwhile is passed over": ([5, 8, 9, 6, 7, 8, 9], [TAKE, AGAIN, PASS, TAKE, TAKE, TAKE, TAKE]),
    "a hole in the log itself is accepted once it shows twice": ([5, 8, 8, 9], [TAKE, AGAIN, TAKE, TAKE]),
    "a hole of which a part was real": ([5, 9, 7, 8, 9], [TAKE, AGAIN, TAKE, TAKE, TAKE]),
    "another hole later is read again as well": ([5, 8, 8, 20, 9], [TAKE, AGAIN, TAKE, AGAIN, TAKE]),
}


@pytest.mark.parametrize(("offsets", "admissions"), SEQUENCES.values(), ids=SEQUENCES)
def test_records_come_one_after_another(offsets: list[int], admissions: list[str]) -> None:
    sequences = Sequences()
    assert [sequences.admit(HERE, offset) for offset in offsets] == admissions


def test_it_is_read_again_from_the_offset_that_is_awaited() -> None:
    sequences = Sequences()
    assert sequences.next_of(HERE) is None
    sequences.admit(HERE, 5)
    sequences.admit(HERE, 9)
    assert sequences.next_of(HERE) == 6


def test_where_the_group_has_committed_nothing_later_comes_first() -> None:
    sequences = Sequences()
    sequences.begin(HERE, 5)
    assert [sequences.admit(HERE, offset) for offset in (9, 4, 5, 6)] == [AGAIN, PASS, TAKE, TAKE]
    sequences.begin(HERE, 2)
    assert sequences.next_of(HERE) == 7, "once it has begun, it goes on"


def test_a_partition_that_comes_back_may_begin_before() -> None:
    sequences = Sequences()
    sequences.admit(HERE, 5)
    sequences.drop([HERE])
    assert sequences.admit(HERE, 3) == TAKE
