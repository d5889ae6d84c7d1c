"""Records in, work out: sequence, watermark, windows and ledger tied together, without I/O and without a clock.

The shell calls `on_record` for each message, `ticks` now and then, `take` for what is to be stored and announced,
`on_flushed` when that is done, and commits what `committable` says.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from processors.admission import batch_in
from processors.ledger import Ledger
from processors.records import ClosedWindow, Flush, Letter, Place, Record, WindowKey
from processors.sequence import Sequences
from processors.watermark import Watermarks
from processors.windows import GRACE_US, Windows
from schemas.errors import DecodeError
from schemas.events import EventData, from_message
from schemas.topics import BULK, Bulk, Topics
from sinks.store import StoredBatch

RECORD_BYTES = 2_048
"""What a record costs in memory besides its value and rows."""


@dataclass(slots=True)
class _Waiting:
    """What the next flush will take."""

    batches: list[StoredBatch] = field(default_factory=list)
    closed: list[ClosedWindow] = field(default_factory=list)
    late: set[WindowKey] = field(default_factory=set)
    letters: list[Letter] = field(default_factory=list)
    events: list[tuple[EventData, int]] = field(default_factory=list)
    holds: list[tuple[Place, int]] = field(default_factory=list)
    bytes: Counter[Place] = field(default_factory=Counter)


class Pipeline:
    """The state of one worker. All methods are called from one thread."""

    def __init__(self, topics: Topics, window_us: int, grace_us: int = GRACE_US) -> None:
        self._topics = topics
        self._bulk: dict[str, Bulk] = {topics.name(kind): kind for kind in BULK}
        self._window_us = window_us
        self._grace_us = grace_us
        self._sequences = Sequences()
        self._watermarks = Watermarks()
        self._ledger = Ledger()
        self._windows: dict[int, Windows] = {}
        self._epochs: dict[Place, int] = {}
        self._epoch = 0
        self._waiting = _Waiting()
        self._under_way_bytes = 0

    def on_record(self, record: Record, now_s: float) -> int | None:
        """Take in a message; `now_s` is any steady clock. Gives the offset to read the place again from, if need be."""
        place = record.place
        admission = self._sequences.admit(place, record.offset)
        if admission != "take":
            return self._sequences.next_of(place) if admission == "again" else None
        self._epochs.setdefault(place, self._epoch)
        kind = self._bulk.get(place.topic)
        try:
            if kind is None:
                self._on_event(record)
            else:
                self._on_batch(kind, record)
        except DecodeError as error:
            self._waiting.letters.append(Letter(record, str(error)))
            self._hold(record, reasons=1, more_bytes=len(record.value))
        self._watermarks.advance(place, record.timestamp_us, now_s)
        if kind is not None and place.partition in self._windows:
            self._waiting.closed += self._windows[place.partition].close(self._watermark(place.partition))
        return None

    def _on_event(self, record: Record) -> None:
        event = from_message(record.headers, record.value)
        if event is None:
            self._ledger.receive(record.place, record.offset)
            return
        self._waiting.events.append((event, record.timestamp_us))
        self._hold(record, reasons=1, more_bytes=len(record.value))

    def _on_batch(self, kind: Bulk, record: Record) -> None:
        place = record.place
        batch = batch_in(kind, record, self._window_us)
        if batch is None:
            self._ledger.receive(place, record.offset)
            return
        stored = StoredBatch(batch, place.partition, record.offset)
        key = WindowKey(batch.header.key.run_id, batch.header.key.window)
        windows = self._windows.setdefault(place.partition, Windows(self._window_us, self._grace_us))
        late = windows.is_late(key, self._watermark(place.partition))
        if late:
            self._waiting.late.add(key)
        elif not windows.add(stored):
            self._ledger.receive(place, record.offset)  # the same batch again: its first copy holds an offset before
            return
        self._waiting.batches.append(stored)
        # It must be stored and, in an open window, announced.
        self._hold(record, reasons=1 if late else 2, more_bytes=stored.batch.rows.nbytes)

    def _hold(self, record: Record, *, reasons: int, more_bytes: int) -> None:
        """Keep an offset from being committed; the next flush is one of the reasons."""
        self._ledger.receive(record.place, record.offset, holds=reasons)
        self._waiting.holds.append((record.place, record.offset))
        self._waiting.bytes[record.place] += more_bytes + RECORD_BYTES

    def ticks(self, now_s: float) -> list[Place]:
        """Places to which a tick is to be appended: they have open windows and were quiet."""
        places = [
            place for partition, windows in self._windows.items() if len(windows) for place in self._pair(partition)
        ]
        return self._watermarks.idle(places, now_s)

    def take(self) -> Flush:
        """Everything that waits to be stored and announced. Flushes are stored one after the other; the announcement
        of one may go on beside the next.
        """
        waiting, self._waiting = self._waiting, _Waiting()
        self._under_way_bytes += waiting.bytes.total()
        return Flush(
            batches=tuple(waiting.batches),
            closed=tuple(waiting.closed),
            late=frozenset(waiting.late),
            letters=tuple(waiting.letters),
            events=tuple(waiting.events),
            holds=tuple(waiting.holds),
            epochs=dict(self._epochs),
            nbytes=waiting.bytes.total(),
        )

    def on_flushed(self, flush: Flush) -> None:
        """All of a flush is durable and acknowledged: its offsets need not be read again."""
        self._under_way_bytes -= flush.nbytes
        announced = [(self._place(stored), stored.offset) for window in flush.closed for stored in window.batches]
        for place, offset in (*flush.holds, *announced):
            if place in flush.epochs and self._epochs.get(place) == flush.epochs[place]:
                self._ledger.release(place, offset)

    def begin(self, place: Place, offset: int) -> None:
        """A partition is to be read from there on; see `Sequences.begin`."""
        self._sequences.begin(place, offset)

    def committable(self) -> dict[Place, int]:
        """Offsets that have become safe to commit."""
        return self._ledger.committable()

    def on_committed(self, offsets: dict[Place, int]) -> None:
        """The broker took them."""
        self._ledger.committed(offsets)

    def on_revoked(self, places: Iterable[Place]) -> None:
        """Forget everything about partitions that belong to somebody else now; nothing of it was committed.

        Both bulk topics lose the same partitions, for they are assigned together.
        """
        gone = set(places)
        partitions = {place.partition for place in gone if place.topic in self._bulk}
        self._epoch += 1
        for part in (self._sequences, self._ledger, self._watermarks):
            part.drop(gone)
        for place in gone:
            self._epochs.pop(place, None)
        for partition in partitions:
            self._windows.pop(partition, None)
        waiting = self._waiting
        self._waiting = _Waiting(
            batches=[stored for stored in waiting.batches if stored.partition not in partitions],
            closed=[window for window in waiting.closed if window.batches[0].partition not in partitions],
            late=waiting.late,  # computing a window again is always right
            letters=[letter for letter in waiting.letters if letter.record.place not in gone],
            events=waiting.events,  # and so is storing an event again
            holds=[hold for hold in waiting.holds if hold[0] not in gone],
            bytes=Counter({place: size for place, size in waiting.bytes.items() if place not in gone}),
        )

    @property
    def open_windows(self) -> int:
        """Windows that are not over."""
        return sum(map(len, self._windows.values()))

    @property
    def open_bytes(self) -> int:
        """Bytes of the rows in them; see `Windows.nbytes`."""
        return sum(windows.nbytes for windows in self._windows.values())

    def watermarks_us(self) -> dict[int, int]:
        """The watermark of each partition that has open windows and has heard both topics, in broker microseconds."""
        found = {partition: self._watermark(partition) for partition, windows in self._windows.items() if len(windows)}
        return {partition: watermark_us for partition, watermark_us in found.items() if watermark_us is not None}

    @property
    def unflushed_bytes(self) -> int:
        """Memory taken by what is not in the store yet."""
        return self._under_way_bytes + self._waiting.bytes.total()

    @property
    def waiting_bytes(self) -> int:
        """Of these, what the next flush would take."""
        return self._waiting.bytes.total()

    @property
    def has_work(self) -> bool:
        """Whether a flush would find anything."""
        waiting = self._waiting
        return bool(waiting.batches or waiting.closed or waiting.late or waiting.letters or waiting.events)

    @property
    def has_closed(self) -> bool:
        """Whether a closed window waits to be joined."""
        return bool(self._waiting.closed)

    @property
    def idle(self) -> bool:
        """Nothing is open, waiting or held."""
        return self._ledger.idle and not self.has_work and not self.open_windows

    def next_offset(self, place: Place) -> int | None:
        """The offset that this place will be read from next; None while nothing was heard of it."""
        return self._sequences.next_of(place)

    def _pair(self, partition: int) -> tuple[Place, Place]:
        return Place(self._topics.name("requests"), partition), Place(self._topics.name("stacks"), partition)

    def _watermark(self, partition: int) -> int | None:
        return self._watermarks.of(self._pair(partition))

    def _place(self, stored: StoredBatch) -> Place:
        return Place(self._topics.name(stored.batch.header.key.topic), stored.partition)
