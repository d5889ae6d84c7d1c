"""Delivery, however it comes and whatever dies: visible batches = distinct batches sent, each window joined from all.

A worker is killed, robbed of partitions or doubled between any two of its steps, at any write into the store; batches
come in any order, late and repeatedly, with poison between them; the group is put back to any offset.
"""

from collections import Counter
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas.batches import Batch
from tests.support.batches import WINDOW, Request, Sample, request_batch, stack_batch, stack_of
from tests.support.records import TOPICS, Log
from tests.support.simulation import Simulation


def _load(window: int, producer: str, seq: int, *, final: bool = True, goodbye: bool = False) -> Batch:
    named = {"window": window, "producer": producer, "seq": seq, "final": final, "goodbye": goodbye}
    return request_batch([Request()] * (seq + 1), **named, partitions=TOPICS.partitions)


def _agent(window: int, *, goodbye: bool) -> Batch:
    stack = Sample(stack_of("main"))
    return stack_batch([stack], window=window, final=True, goodbye=goodbye, partitions=TOPICS.partitions)


# Everything that three producers send in four windows of one run, over two partitions.
BATCHES = [
    one
    for window in range(WINDOW, WINDOW + 4)
    for last in [window == WINDOW + 3]
    for one in (
        _load(window, "load-1", 0, final=False),
        _load(window, "load-1", 1, goodbye=last),
        _load(window, "load-2", 0, goodbye=last),
        _agent(window, goodbye=last),
    )
]
PLACES = st.sampled_from([place for number in range(TOPICS.partitions) for place in Log().pair(number)])
WRITES = 4
"""A flush writes batches, dead letters, events and windows, in this order."""


class Delivery(RuleBasedStateMachine):
    """One consumer group; what happens to it is drawn, one step after the other."""

    crashes: ClassVar[Counter[str]] = Counter()
    """Deaths that were played, by their moment, in all stories so far."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation()
        self.todo: list[Batch] = []
        self.poison = 0

    @initialize(batches=st.just(BATCHES) | st.permutations(BATCHES))
    def begin(self, batches: list[Batch]) -> None:
        self.todo = list(batches)

    @precondition(lambda self: self.todo)
    @rule(count=st.integers(1, 4))
    def send(self, count: int) -> None:
        for batch in self.todo[:count]:
            self.simulation.send(batch)
        del self.todo[:count]

    @precondition(lambda self: self.simulation.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.simulation.sent)))
        self.simulation.send(self.simulation.sent[key])

    @rule(place=PLACES, value=st.binary(max_size=9))
    def send_poison(self, place, value: bytes) -> None:
        self.simulation.log.append(place, [("kind", b"data")], value)
        self.poison += 1

    @rule(place=PLACES, count=st.integers(1, 6))
    def read(self, place, count: int) -> None:
        for _ in range(count):
            self.simulation.read(place)

    @rule(us=st.sampled_from([100_000, 1_000_000, 2_500_000]))
    def time_passes(self, us: int) -> None:
        self.simulation.log.now_us += us
        self.simulation.now_s += 0.3
        self.simulation.tick()

    @rule()
    def begin_flush(self) -> None:
        self.simulation.begin_flush()

    @rule()
    def end_flush(self) -> None:
        self.simulation.begin_flush()
        self.simulation.store_flush()
        while self.simulation.stored:
            self.simulation.finish_flush()

    @precondition(lambda self: not self.simulation.stored)
    @rule()
    def store_and_announce_later(self) -> None:
        self.simulation.begin_flush()
        self.simulation.store_flush()

    @precondition(lambda self: self.simulation.stored)
    @rule()
    def announce(self) -> None:
        self.simulation.finish_flush()

    @rule(write=st.integers(0, WRITES - 1))
    def store_fails(self, write: int) -> None:
        self.simulation.begin_flush()
        self.simulation.store_flush(fails_at=write)

    @rule()
    def crash(self) -> None:
        self.crashes["between any two steps"] += 1
        self.simulation.crash()

    @rule(write=st.integers(0, WRITES - 1))
    def crash_while_storing(self, write: int) -> None:
        self.crashes[("before batches", "before dead letters", "before events", "before windows")[write]] += 1
        self.simulation.begin_flush()
        self.simulation.store_flush(fails_at=write)
        self.simulation.crash()

    @rule()
    def crash_before_the_commit(self) -> None:
        self.crashes["before the commit"] += 1
        self.simulation.begin_flush()
        self.simulation.store_flush()
        self.simulation.crash()

    @precondition(lambda self: self.simulation.zombies)
    @rule()
    def what_a_dead_worker_had_sent_arrives(self) -> None:
        self.simulation.finish_zombie()

    @rule(numbers=st.sets(st.integers(0, TOPICS.partitions - 1), min_size=1))
    def partitions_go_and_come_back(self, numbers: set[int]) -> None:
        self.simulation.revoke([place for number in numbers for place in self.simulation.log.pair(number)])

    @rule(number=st.integers(0, TOPICS.partitions - 1), read=st.integers(0, 2), fetched=st.integers(1, 3))
    def what_was_fetched_before_a_rebalance_comes_behind_it(self, number: int, read: int, fetched: int) -> None:
        places = self.simulation.log.pair(number)
        for place in places:
            for _ in range(read):
                self.simulation.read(place)
        self.simulation.revoke(places, fetched=fetched)

    @rule(place=PLACES, share=st.floats(0, 1))
    def the_group_is_put_back(self, place, share: float) -> None:
        self.simulation.crash()  # Kafka lets nobody do that to a group with members
        self.simulation.committed[place] = int(self.simulation.committed[place] * share)
        self.simulation.start()

    def teardown(self) -> None:
        for batch in self.todo:
            self.simulation.send(batch)
        self.simulation.drain()
        while self.simulation.zombies:
            self.simulation.finish_zombie()
        self.simulation.assert_exact()
        simulation = self.simulation
        assert len(simulation.store.dead_letters) == self.poison
        assert simulation.committed == {place: len(simulation.log.records[place]) for place in simulation.places}


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=100, stateful_step_count=60)
