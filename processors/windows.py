"""Open windows: which batches each holds, and when it is over.

A window is over when every expected producer has ended it, and every other one that was heard in it, with all the
batches that their final ones announce; or when the watermark passes its end by the grace period. Expected are the
producers whose final batch came for the run's window before it in this partition, and that did not say goodbye.
Closing triggers the join, never storage: what comes later is stored all the same, and its window computed again.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from processors.records import ClosedWindow, WindowKey
from schemas.batches import BatchKey
from schemas.joined import ClosedBy
from sinks.store import StoredBatch

GRACE_US = 1_500_000
_REMEMBERED = 4096
_NEVER_US = 1 << 62
Producer = tuple[str, str]
"""Topic and producer id."""


@dataclass(slots=True)
class _Open:
    batches: dict[BatchKey, StoredBatch] = field(default_factory=dict)
    counts: dict[Producer, int] = field(default_factory=lambda: defaultdict(int))
    finals: dict[Producer, tuple[int, bool]] = field(default_factory=dict)

    def has_all_of(self, expected: frozenset[Producer]) -> bool:
        """Whether every batch is in of the producers that are expected and of those that were heard."""
        return expected <= self.finals.keys() and all(
            producer in self.finals and self.finals[producer][0] == count for producer, count in self.counts.items()
        )

    def staying(self) -> frozenset[Producer]:
        """Producers that ended this window and go on."""
        return frozenset(producer for producer, (_, goodbye) in self.finals.items() if not goodbye)


class Windows:
    """The windows of one Kafka partition (of both bulk topics)."""

    def __init__(self, window_us: int, grace_us: int = GRACE_US) -> None:
        self._window_us = window_us
        self._grace_us = grace_us
        self._open: dict[WindowKey, _Open] = {}
        self._closed: dict[WindowKey, None] = {}
        self._expected: dict[str, frozenset[Producer]] = {}
        self._first_due_us = _NEVER_US
        self._may_be_over = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows in open windows: looked up anew, so not to be asked for with every record."""
        return sum(stored.batch.rows.nbytes for entry in self._open.values() for stored in entry.batches.values())

    def is_late(self, key: WindowKey, watermark_us: int | None) -> bool:
        """Whether a batch for this window comes after it was, or would have been, closed."""
        if key in self._closed:
            return True
        return key not in self._open and watermark_us is not None and watermark_us >= self._due_us(key)

    def add(self, stored: StoredBatch) -> bool:
        """Put a batch into its window. False when the window has it already."""
        header = stored.batch.header
        key = WindowKey(header.key.run_id, header.key.window)
        entry = self._open.setdefault(key, _Open())
        if header.key in entry.batches:
            return False
        producer = (header.key.topic, header.key.producer_id)
        entry.batches[header.key] = stored
        entry.counts[producer] += 1
        if header.final:
            entry.finals[producer] = (header.key.seq + 1, header.goodbye)
        self._first_due_us = min(self._first_due_us, self._due_us(key))
        expected = self._expected.get(key.run_id)
        if expected and entry.has_all_of(expected):
            self._may_be_over = True
        return True

    def close(self, watermark_us: int | None) -> list[ClosedWindow]:
        """Take out the windows that are over.

        After an outage hundreds are open while one topic is behind the other, so they are only looked through when one
        of them can be over: the last batch completed its own, the watermark has come to one, or another was closed.
        """
        if not self._may_be_over and (watermark_us is None or watermark_us < self._first_due_us):
            return []
        over = []
        for key in sorted(self._open):
            entry = self._open[key]
            expected = self._expected.get(key.run_id)
            if expected and entry.has_all_of(expected):
                over.append(self._take(key, "producers"))
            elif watermark_us is not None and watermark_us >= self._due_us(key):
                over.append(self._take(key, "grace"))
        self._may_be_over = bool(over)
        self._first_due_us = min(map(self._due_us, self._open), default=_NEVER_US)
        return over

    def _take(self, key: WindowKey, closed_by: ClosedBy) -> ClosedWindow:
        entry = self._open.pop(key)
        if staying := entry.staying():
            self._expected[key.run_id] = staying
        else:
            self._expected.pop(key.run_id, None)
        self._closed[key] = None
        while len(self._closed) > _REMEMBERED:  # older ones are late by the watermark
            del self._closed[next(iter(self._closed))]
        return ClosedWindow(key, tuple(entry.batches.values()), closed_by)

    def _due_us(self, key: WindowKey) -> int:
        return (key.window + 1) * self._window_us + self._grace_us
