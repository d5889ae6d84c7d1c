"""Records in, work out: watermark, windows, ledger and dead letters tied together, without I/O and without a clock.

The shell calls `on_record` for each message, `ticks` now and then, `take` for what is to be stored and announced,
`on_durable` and `on_announced` when that is done, and commits what `committable` says.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from processors.ledger import Ledger
from processors.records import ClosedWindow, Flush, Letter, Place, Record, WindowKey
from processors.watermark import Watermarks
from processors.windows import GRACE_US, Windows
from schemas.batches import BatchHeader
from schemas.codec import decode
from schemas.errors import DecodeError
from schemas.events import EventData, from_message
from schemas.topics import BULK, Kind, Topics
from schemas.windows import partition_of
from sinks.store import StoredBatch

AHEAD_US = 30_000_000
"""A window that begins this much after its own record's broker time is of a producer whose clock is wrong."""


@dataclass(slots=True)
class _Waiting:
    """What the next flush will take."""

    batches: list[StoredBatch] = field(default_factory=list)
    closed: list[ClosedWindow] = field(default_factory=list)
    late: set[WindowKey] = field(default_factory=set)
    letters: list[Letter] = field(default_factory=list)
    events: list[tuple[EventData, int]] = field(default_factory=list)
    holds: list[tuple[Place, int]] = field(default_factory=list)


class Pipeline:
    """The state of one worker. All methods are called from one thread."""

    def __init__(self, topics: Topics, window_us: int, grace_us: int = GRACE_US) -> None:
        self._topics = topics
        self._window_us = window_us
        self._grace_us = grace_us
        self._watermarks = Watermarks()
        self._ledger = Ledger()
        self._windows: dict[int, Windows] = {}
        self._epochs: dict[Place, int] = {}
        self._epoch = 0
        self._waiting = _Waiting()
        self._under_way = 0
        self.unflushed_bytes = 0

    def on_record(self, record: Record, now_s: float) -> None:
        """Take in a message; `now_s` is any steady clock."""
        place = record.place
        self._epochs.setdefault(place, self._epoch)
        kind = self._topics.kind(place.topic)
        try:
            if kind == "runs":
                self._on_event(record)
            else:
                self._on_batch(kind, record)
        except DecodeError as error:
            self._ledger.receive(place, record.offset, holds=1)
            self._waiting.letters.append(Letter(record, str(error)))
            self._waiting.holds.append((place, record.offset))
        self._watermarks.advance(place, record.timestamp_us, now_s)
        if kind in BULK and place.partition in self._windows:
            self._waiting.closed += self._windows[place.partition].close(self._watermark(place.partition))

    def _on_event(self, record: Record) -> None:
        event = from_message(record.headers, record.value)
        self._ledger.receive(record.place, record.offset, holds=1 if event else 0)
        if event:
            self._waiting.events.append((event, record.timestamp_us))
            self._waiting.holds.append((record.place, record.offset))

    def _on_batch(self, kind: Kind, record: Record) -> None:
        header = BatchHeader.from_kafka(kind, record.headers)
        place, offset = record.place, record.offset
        if header.tick:
            self._ledger.receive(place, offset)
            return
        self._check(header, record)
        stored = StoredBatch(decode(header, record.value), place.partition, offset)
        key = WindowKey(header.key.run_id, header.key.window)
        windows = self._windows.setdefault(place.partition, Windows(self._window_us, self._grace_us))
        late = windows.is_late(key, self._watermark(place.partition))
        if late:
            self._waiting.late.add(key)
        elif not windows.add(stored):
            self._ledger.receive(place, offset)  # the same batch again: the first copy holds its own offset
            return
        self._ledger.receive(place, offset, holds=1 if late else 2)  # stored; and, in an open window, announced
        self._waiting.holds.append((place, offset))
        self._waiting.batches.append(stored)
        self.unflushed_bytes += stored.batch.rows.nbytes

    def _check(self, header: BatchHeader, record: Record) -> None:
        key = header.key
        expected = partition_of(key.run_id, key.window, header.partitions) if header.partitions else -1
        if expected != record.place.partition:
            raise DecodeError(f"window {key.window} belongs to partition {expected}, not {record.place.partition}")
        ahead_us = key.window * self._window_us - record.timestamp_us
        if ahead_us > AHEAD_US:
            raise DecodeError(f"window {key.window} begins {ahead_us / 1e6:.0f} s after the broker's time")

    def ticks(self, now_s: float) -> list[Place]:
        """Places to which a tick is to be appended: they have open windows and were quiet."""
        places = [
            place for partition, windows in self._windows.items() if len(windows) for place in self._pair(partition)
        ]
        return self._watermarks.idle(places, now_s)

    def take(self) -> Flush:
        """Everything that waits to be stored and announced. At most one flush is under way at a time."""
        waiting, self._waiting = self._waiting, _Waiting()
        self._under_way = self.unflushed_bytes
        return Flush(
            batches=tuple(waiting.batches),
            closed=tuple(waiting.closed),
            late=frozenset(waiting.late),
            letters=tuple(waiting.letters),
            events=tuple(waiting.events),
            holds=tuple(waiting.holds),
            epochs=dict(self._epochs),
        )

    def on_flushed(self, flush: Flush) -> None:
        """All of a flush is durable and acknowledged: its offsets need not be read again."""
        self.unflushed_bytes -= self._under_way
        self._under_way = 0
        announced = [(self._place(stored), stored.offset) for window in flush.closed for stored in window.batches]
        for place, offset in (*flush.holds, *announced):
            if place in flush.epochs and self._epochs.get(place) == flush.epochs[place]:
                self._ledger.release(place, offset)

    def committable(self) -> dict[Place, int]:
        """Offsets that have become safe to commit."""
        return self._ledger.committable()

    def on_committed(self, offsets: dict[Place, int]) -> None:
        """The broker took them."""
        self._ledger.committed(offsets)

    def on_revoked(self, places: Iterable[Place]) -> None:
        """Forget everything about partitions that belong to somebody else now; nothing of it was committed."""
        gone = set(places)
        partitions = {place.partition for place in gone if place.topic in map(self._topics.name, BULK)}
        self._epoch += 1
        self._ledger.drop(gone)
        self._watermarks.drop(gone)
        for place in gone:
            self._epochs.pop(place, None)
        for partition in partitions:
            self._windows.pop(partition, None)
        self._waiting = _Waiting(
            batches=[stored for stored in self._waiting.batches if stored.partition not in partitions],
            closed=[window for window in self._waiting.closed if window.batches[0].partition not in partitions],
            late=self._waiting.late,  # computing a window again is always right
            letters=[letter for letter in self._waiting.letters if letter.record.place not in gone],
            events=self._waiting.events,  # and so is storing an event again
            holds=[hold for hold in self._waiting.holds if hold[0] not in gone],
        )
        self.unflushed_bytes = self._under_way + sum(stored.batch.rows.nbytes for stored in self._waiting.batches)

    @property
    def idle(self) -> bool:
        """Nothing is open, waiting or held."""
        return self._ledger.idle and not self._waiting.batches and not any(map(len, self._windows.values()))

    def _pair(self, partition: int) -> tuple[Place, Place]:
        return Place(self._topics.name("requests"), partition), Place(self._topics.name("stacks"), partition)

    def _watermark(self, partition: int) -> int | None:
        return self._watermarks.of(self._pair(partition))

    def _place(self, stored: StoredBatch) -> Place:
        return Place(self._topics.name(stored.batch.header.key.topic), stored.partition)
