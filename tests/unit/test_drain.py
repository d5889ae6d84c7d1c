"""When is a run over and stored? When the store says so, and all that was in Kafka by then has been worked off."""

import asyncio
from collections.abc import Callable

import pytest
import structlog

from processors.drain import Drain, is_over, is_stored
from processors.records import Place
from schemas.events import EventData, ProducerEnded, RunEnded, RunStarted
from sinks.errors import StoreError
from sinks.memory import MemoryStore
from sinks.store import DeadLetter, Store, StoredBatch
from tests.support.batches import RUN, WINDOW, WINDOW_US, request_batch
from tests.support.joined import joined_window

HERE, THERE = Place("t.requests", 0), Place("t.requests", 1)
STARTED = RunStarted(
    run_id=RUN, service="s", target="t", started_at_us=100, window_us=WINDOW_US, partitions=4, engine="", plan={}
)
OVER = RunEnded(run_id=RUN, ended_at_us=9, reason="finished", producers=2)


def ended(producer: str = "load-1", batches: int = 2) -> ProducerEnded:
    return ProducerEnded(
        run_id=RUN, producer_id=producer, role="load", batches_acknowledged=batches, rows_acknowledged=0
    )


def store_with(*events: EventData, batches: int = 0, covered: int = 0, letters: tuple[int, ...] = ()) -> MemoryStore:
    """A store with so many batches in one window, of which its joined record covers so many."""
    store = MemoryStore()
    store.write_events(events, range(len(events)))
    store.write_batches([StoredBatch(request_batch(seq=seq), 0, seq) for seq in range(batches)])
    if covered:
        store.write_windows([joined_window(window=WINDOW, batches_covered=covered)])
    store.write_dead_letters([DeadLetter("t", 0, at, "", at, 1) for at in letters])
    return store


@pytest.mark.parametrize(
    ("events", "over"),
    [
        ([], False),
        ([ended(), ended("load-2")], False),
        ([OVER], False),
        ([OVER, ended()], False),
        ([OVER, ended(), ended("load-2")], True),
        ([OVER.model_copy(update={"producers": 0})], True),
    ],
)
def test_a_run_is_over_when_it_says_so_and_as_many_producers_as_it_had(events: list[EventData], over: bool) -> None:
    assert is_over(store_with(*events), RUN) is over


STORED = {
    "all that was acknowledged is visible and joined": (store_with(ended(), batches=2, covered=2), True),
    "one is not visible": (store_with(ended(), batches=1, covered=1), False),
    "one is visible and not joined": (store_with(ended(), batches=2, covered=1), False),
    "nothing is joined": (store_with(ended(), batches=2), False),
    "one is a dead letter": (store_with(STARTED, ended(), batches=1, covered=1, letters=(100,)), True),
    "a dead letter from before the run": (store_with(STARTED, ended(), batches=1, covered=1, letters=(99,)), False),
    "fewer dead letters than are missing": (
        store_with(STARTED, ended(batches=3), batches=1, covered=1, letters=(100,)),
        False,
    ),
    "one producer has more than was said, another one less": (
        store_with(ended(batches=1), ended("load-2", 1), batches=2, covered=2),
        False,
    ),
    "a run without producers": (store_with(), True),
}  # fmt: skip


@pytest.mark.parametrize(("store", "stored"), STORED.values(), ids=STORED)
def test_a_run_is_stored_when_what_kafka_acknowledged_is_visible_and_joined(store: MemoryStore, stored: bool) -> None:
    assert is_stored(store, RUN) is stored


class Worker:
    """What a drain asks of its worker."""

    def __init__(self, store: MemoryStore) -> None:
        self.reached = {HERE: 5, THERE: 0}
        self.asked_for_ends = 0
        self.now_s = 0.0
        self.drain = Drain(store, RUN, self.ask, self.ends, lambda: self.now_s)

    async def ask(self, question: Callable[[Store, str], bool], store: Store, run_id: str) -> bool:
        return question(store, run_id)

    async def ends(self) -> dict[Place, int]:
        self.asked_for_ends += 1
        return {HERE: 5, THERE: 3}

    async def is_done(self, *, busy: str = "") -> bool:
        async def reached(place: Place) -> int:
            return self.reached[place]

        done = await self.drain.is_done(reached, busy=busy)
        await asyncio.sleep(0)  # the ends are asked for meanwhile
        return done


def finished() -> Worker:
    return Worker(store_with(OVER, ended(), ended("load-2", 0), batches=2, covered=2))


async def test_it_is_done_when_all_that_was_in_kafka_as_the_run_was_over_is_worked_off() -> None:
    worker = finished()
    assert not await worker.is_done(), "the ends are not known yet"
    assert not await worker.is_done(), "a partition has records left"
    worker.reached[THERE] = 3
    assert not await worker.is_done(busy="a window is open")
    assert await worker.is_done()
    assert worker.asked_for_ends == 1


async def test_what_a_run_that_is_over_waits_for_is_said_every_ten_seconds() -> None:
    worker = finished()
    with structlog.testing.capture_logs() as said:
        for worker.now_s, busy in ((0, ""), (9, ""), (11, ""), (15, ""), (22, "a window is open"), (40, "")):
            worker.reached[THERE] = 3 if worker.now_s == 40 else 2
            assert await worker.is_done(busy=busy) is (worker.now_s == 40)
    assert [line["awaited"] for line in said] == ["t.requests/1 at 2 of 3", "a window is open"]


async def test_the_ends_are_not_asked_for_before_the_run_is_over() -> None:
    worker = Worker(store_with(OVER, ended()))
    assert not await worker.is_done()
    assert worker.asked_for_ends == 0


async def test_when_the_partitions_change_their_ends_are_asked_for_again() -> None:
    worker = finished()
    worker.reached[THERE] = 3
    await worker.is_done()
    worker.drain.on_revoked()
    assert not await worker.is_done()
    assert await worker.is_done()
    assert worker.asked_for_ends == 2


async def test_ends_that_kafka_did_not_tell_are_asked_for_again() -> None:
    worker = finished()
    worker.reached[THERE] = 3
    answers: list[Exception | dict[Place, int]] = [OSError("gone"), {HERE: 5}]

    async def ends() -> dict[Place, int]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    worker.drain = Drain(store_with(OVER, ended(), ended("load-2", 0), batches=2, covered=2), RUN, worker.ask, ends)
    assert [await worker.is_done() for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("retriable", [True, False])
async def test_a_store_that_is_away_is_asked_again_and_one_that_refuses_is_not(retriable: bool) -> None:
    async def refused(*_: object) -> bool:
        raise StoreError("away", retriable=retriable)

    async def nothing() -> dict[Place, int]:
        return {}

    async def reached(_: Place) -> int:
        return 0

    drain = Drain(store_with(), RUN, refused, nothing)
    if retriable:
        assert not await drain.is_done(reached, busy="")
    else:
        with pytest.raises(StoreError, match="away"):
            await drain.is_done(reached, busy="")
