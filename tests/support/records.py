"""Kafka records as the pipeline gets them, and a Kafka in a list: enough to replay from an offset."""

from collections import defaultdict
from dataclasses import dataclass, field

from processors.records import Place, Record
from schemas.batches import Batch, Headers
from schemas.codec import encode
from schemas.events import EventData, to_message
from schemas.ticks import tick
from schemas.topics import BULK, Bulk, Topics
from schemas.windows import partition_of
from tests.support.batches import WINDOW, WINDOW_US

TOPICS = Topics("t", 2)
NOW_US = WINDOW * WINDOW_US


@dataclass(slots=True)
class Log:
    """Topic partitions as lists. `now_us` is the broker's clock, with which it stamps what is appended."""

    topics: Topics = TOPICS
    now_us: int = NOW_US
    records: dict[Place, list[Record]] = field(default_factory=lambda: defaultdict(list))

    def append(self, place: Place, headers: Headers, value: bytes) -> Record:
        """Any message."""
        record = Record(place, len(self.records[place]), self.now_us, headers, value)
        self.records[place].append(record)
        return record

    def batch(self, batch: Batch, partition: int | None = None) -> Record:
        """A batch, in the partition of its window unless told otherwise."""
        key = batch.header.key
        if partition is None:
            partition = partition_of(key.run_id, key.window, batch.header.partitions)
        place = Place(self.topics.name(key.topic), partition)
        return self.append(place, batch.header.to_kafka(), encode(batch.rows, batch.facts))

    def event(self, data: EventData) -> Record:
        """An event on `runs`."""
        message = to_message(data, source="tests", time_us=self.now_us)
        return self.append(Place(self.topics.name("runs"), 0), message.headers, message.value)

    def tick(self, place: Place) -> Record:
        """A tick, as a worker appends it."""
        kind = self.topics.kind(place.topic)
        assert kind in ("requests", "stacks")
        value, headers = tick(kind, self.topics.partitions)
        return self.append(place, headers, value)

    def place(self, kind: Bulk, partition: int) -> Place:
        """A partition of a bulk topic."""
        return Place(self.topics.name(kind), partition)

    def pair(self, partition: int) -> list[Place]:
        """The same partition of both bulk topics."""
        return [self.place(kind, partition) for kind in BULK]
