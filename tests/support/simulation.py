"""A worker's life in a few lists: a Kafka, a store, a pipeline between them, and everything that can go wrong.

The shell around the pipeline is played step by step, so that a test can crash it, take its partitions away or finish
a dead worker's flush at any point. The truth is what was appended to the log.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from processors.flushing import FlushJoin, write_flush
from processors.join import join_window
from processors.pipeline import Pipeline
from processors.records import Flush, Place, Record
from schemas.batches import Batch, BatchHeader, BatchKey
from schemas.joined import JoinedWindow
from schemas.topics import BULK
from sinks.errors import StoreError
from sinks.memory import MemoryStore
from tests.support.batches import WINDOW_US
from tests.support.records import Log


@dataclass(slots=True)
class Simulation:
    """One consumer group with one worker at a time; `now_s` is its steady clock."""

    log: Log = field(default_factory=Log)
    store: MemoryStore = field(default_factory=MemoryStore)
    sent: dict[BatchKey, Batch] = field(default_factory=dict)
    committed: Counter[Place] = field(default_factory=Counter)
    announced: dict[tuple[str, int], list[JoinedWindow]] = field(default_factory=dict)
    now_s: float = 0.0
    worker: Pipeline = field(init=False)
    positions: Counter[Place] = field(init=False)
    flush: Flush | None = None
    """A flush under way."""
    stored: list[tuple[Flush, list[JoinedWindow]]] = field(default_factory=list)
    """Flushes that the store holds, which are still to be announced."""
    zombies: list[Flush] = field(default_factory=list)
    """Flushes of dead workers that are still on their way to the store."""

    def __post_init__(self) -> None:
        self.start()

    @property
    def places(self) -> list[Place]:
        """Every partition of the bulk topics."""
        return [self.log.place(kind, number) for kind in BULK for number in range(self.log.topics.partitions)]

    def start(self) -> None:
        """A worker that knows nothing begins where the group has committed."""
        self.worker = Pipeline(self.log.topics, WINDOW_US)
        self.positions = Counter(self.committed)
        self.flush = None
        self.stored = []

    def send(self, batch: Batch) -> None:
        """A producer's batch, also one that was sent before."""
        self.sent[batch.header.key] = batch
        self.log.batch(batch)

    def read(self, place: Place) -> Record | None:
        """The worker takes in the next record of a partition, if there is one."""
        records = self.log.records[place]
        if self.positions[place] >= len(records):
            return None
        record = records[self.positions[place]]
        self.positions[place] += 1
        self._hand_over(record)
        return record

    def _hand_over(self, record: Record) -> None:
        self.now_s += 0.01
        place = record.place
        if self.worker.next_offset(place) is None:
            self.worker.begin(place, self.committed[place])
        again_from = self.worker.on_record(record, self.now_s)
        if again_from is not None:
            self.positions[place] = again_from

    def read_all(self, *more: Place) -> None:
        """The worker takes in everything that is there, partition by partition, one record of each at a time."""
        while sum(self.read(place) is not None for place in (*self.places, *more)):
            pass

    def tick(self) -> None:
        """The worker appends the ticks that it wants by now."""
        for place in self.worker.ticks(self.now_s):
            self.log.tick(place)

    def begin_flush(self) -> None:
        """The worker takes what waits."""
        if self.flush is None:
            self.flush = self.worker.take()

    def store_flush(self, *, fails_at: int | None = None) -> bool:
        """The flush goes into the store; `fails_at`: the write (counted from 0) at which the store, or all, ends."""
        assert self.flush is not None
        windows = self._store(self.flush, fails_at)
        if windows is None:
            return False
        self.stored.append((self.flush, windows))
        self.flush = None
        return True

    def finish_flush(self) -> None:
        """Of the flushes that the store holds the first: announce, release, commit."""
        flush, windows = self.stored.pop(0)
        self._announce(windows)
        self.worker.on_flushed(flush)
        offsets = self.worker.committable()
        self._assert_durable(offsets)
        self.committed.update({place: offset - self.committed[place] for place, offset in offsets.items()})
        self.worker.on_committed(offsets)

    def crash(self) -> None:
        """The worker is killed and another one started; what was on its way to the store may arrive yet."""
        if self.flush is not None:
            self.zombies.append(self.flush)
        self.start()

    def revoke(self, places: Sequence[Place] | None = None, *, fetched: int = 0) -> None:
        """These partitions (all, if none are named) are taken away and come back.

        The flush under way goes on as if nothing had happened. So many records of each that the client had fetched
        before are still handed over.
        """
        gone = self.places if places is None else places
        self.worker.on_revoked(gone)
        for place in gone:
            at, self.positions[place] = self.positions[place], self.committed[place]
            for record in self.log.records[place][at : at + fetched]:
                self._hand_over(record)

    def finish_zombie(self) -> None:
        """What a dead worker had sent to the store arrives."""
        if self.zombies:
            self._announce(self._store(self.zombies.pop(0), None) or [])

    def drain(self) -> None:
        """Time passes, and everything that is there is worked off."""
        self.log.now_us += 60_000_000
        for _ in range(20):
            self.read_all()
            self.now_s += 1.0
            self.tick()
            self.begin_flush()
            self.store_flush()
            while self.stored:
                self.finish_flush()
            if self.worker.idle and all(self.positions[place] == len(self.log.records[place]) for place in self.places):
                return
        raise AssertionError("the worker does not come to an end")

    def _store(self, flush: Flush, fails_at: int | None) -> list[JoinedWindow] | None:
        store = self.store if fails_at is None else _FailingStore(self.store, fails_at)
        try:
            return write_flush(store, flush, FlushJoin(flush, WINDOW_US))
        except StoreError:
            return None

    def _announce(self, windows: Sequence[JoinedWindow]) -> None:
        for window in windows:
            self.announced.setdefault((window.run_id, window.window), []).append(window)

    def _assert_durable(self, offsets: dict[Place, int]) -> None:
        """I4: whatever lies below the offsets that are about to be committed is stored, and its window announced."""
        for place, offset in offsets.items():
            assert offset >= self.committed[place], "a commit went back"
            for record in self.log.records[place][:offset]:
                if (*place, record.offset, record.timestamp_us) in self.store.dead_letters:
                    continue
                header = BatchHeader.from_kafka(self.log.topics.kind(place.topic), record.headers)
                if not header.tick:
                    assert header.key in self.store.batches, f"{header.key} was committed and not stored"
                    key = (header.key.run_id, header.key.window)
                    assert key in self.announced, f"{key} was committed and not announced"

    def assert_exact(self) -> None:
        """I1 and I2: what is visible is what was sent, once; every window is what the truth makes of it."""
        assert self.store.batches.keys() == self.sent.keys()
        windows = {(key.run_id, key.window) for key in self.sent}
        assert self.store.windows.keys() == windows
        for run_id, window in windows:
            truth = self.store.read_window(run_id, window)
            stored = self.store.windows[run_id, window]
            again = join_window(run_id, window, WINDOW_US, truth.requests, truth.stacks, closed_by=stored.closed_by)
            assert stored == again
            assert max(one.batches_covered for one in self.announced[run_id, window]) == stored.batches_covered


class _FailingStore:
    """A store that ends at a write of its own choosing."""

    def __init__(self, store: MemoryStore, fails_at: int) -> None:
        self._store = store
        self._left = fails_at

    def __getattr__(self, name: str):
        if name.startswith("write_"):
            if self._left == 0:
                raise StoreError("ended by the test", retriable=True, retry_after_s=0.1)
            self._left -= 1
        return getattr(self._store, name)
