"""Outcomes sorted into windows, whatever their order, in bounded memory.

Files are in no strict order: tools write when a request ends, in batches, from many threads. So rows wait until their
window lies well behind the newest one, or are many; rows that come later still are another batch of their window. What
counts per window is two numbers, so those are kept for the whole file and make its facts exact at the end.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from producers.imports.outcome import Dropped, Outcome
from schemas.codec import LIMITS
from schemas.precision import latencies_us
from schemas.rows import REQUESTS
from schemas.windows import window_of

REORDER_US = 60_000_000
"""How far behind the newest window the rows of another one are handed on."""
MOST_ROWS = 500_000
"""With more rows than this in memory, none wait any longer."""
MOST_ENDPOINTS, MOST_ERRORS = 500, 100
OTHER = "(other)"
_TEXT16 = pa.dictionary(pa.int16(), pa.string())


@dataclass(frozen=True, slots=True)
class WindowEnd:
    """The rest of a window. `sent` and `dropped` fell due in it, `in_flight` were under way as it ended."""

    window: int
    rows: pa.RecordBatch
    sent: int
    dropped: int
    in_flight: int


class OutcomeWindows:
    """Takes outcomes, gives rows (`schemas.rows.REQUESTS`) by the window in which the requests ended."""

    def __init__(self, stage: str, *, window_us: int) -> None:
        self._stage = stage
        self._window_us = window_us
        self._rows: dict[int, _Rows] = {}
        self._sent: Counter[int] = Counter()
        self._ended: Counter[int] = Counter()
        self._dropped: Counter[int] = Counter()
        self._endpoints: dict[str, str] = {}
        self._errors: dict[str, str] = {}
        self.requests = self.failed = self.dropped = 0
        self.first_us = self.last_due_us = self.last_us = 0

    def add(self, outcome: Outcome) -> None:
        """Take one request."""
        window = window_of(outcome.ended_at_us, self._window_us)
        self._sent[window_of(outcome.sent_at_us, self._window_us)] += 1
        self._ended[window] += 1
        self._reach(outcome.sent_at_us, outcome.ended_at_us)
        self.requests += 1
        self.failed += outcome.error is not None
        if window not in self._rows:
            self._rows[window] = _Rows()
        error = None if outcome.error is None else _known(self._errors, outcome.error, MOST_ERRORS)
        self._rows[window].add(outcome, _known(self._endpoints, outcome.endpoint, MOST_ENDPOINTS), error)

    def drop(self, dropped: Dropped) -> None:
        """Take arrivals that were never sent."""
        self._dropped[window_of(dropped.due_at_us, self._window_us)] += dropped.count
        self._reach(dropped.due_at_us, dropped.due_at_us)
        self.dropped += dropped.count

    def _reach(self, due_us: int, ended_us: int) -> None:
        self.first_us = min(self.first_us or due_us, due_us)
        self.last_due_us = max(self.last_due_us, due_us)
        self.last_us = max(self.last_us, ended_us)

    def ripe(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Take out the rows that need not wait any longer."""
        if not self._rows:
            return
        behind = max(self._rows) - REORDER_US // self._window_us
        many = sum(map(len, self._rows.values())) > MOST_ROWS
        for window in sorted(self._rows):
            if many or window < behind or len(self._rows[window]) >= LIMITS.rows:
                yield window, self._rows.pop(window).batch(self._stage)

    def rest(self) -> Iterator[WindowEnd]:
        """Take out what is left, one a window, of every window from the first arrival to the last answer."""
        if not self.requests:
            return
        in_flight = 0
        for window in range(window_of(self.first_us, self._window_us), window_of(self.last_us, self._window_us) + 1):
            in_flight += self._sent[window] - self._ended[window]
            rows = self._rows.pop(window, None) or _Rows()
            yield WindowEnd(window, rows.batch(self._stage), self._sent[window], self._dropped[window], in_flight)


def _known(names: dict[str, str], name: str, most: int) -> str:
    """The name itself, one object for all that are equal; `(other)` once there are too many to tell apart."""
    return names.setdefault(name, name) if name in names or len(names) < most else OTHER


class _Rows:
    """The rows of one window, in columns."""

    __slots__ = ("bytes_received", "bytes_sent", "endpoint", "error", "latency_us", "sent_at_us", "status")

    def __init__(self) -> None:
        self.sent_at_us, self.latency_us, self.status = array("q"), array("I"), array("H")
        self.bytes_sent, self.bytes_received = array("Q"), array("Q")
        self.endpoint: list[str] = []
        self.error: list[str | None] = []

    def __len__(self) -> int:
        return len(self.status)

    def add(self, outcome: Outcome, endpoint: str, error: str | None) -> None:
        self.sent_at_us.append(outcome.sent_at_us)
        self.latency_us.append(outcome.latency_us)
        self.status.append(outcome.status)
        self.bytes_sent.append(outcome.bytes_sent)
        self.bytes_received.append(outcome.bytes_received)
        self.endpoint.append(endpoint)
        self.error.append(error)

    def batch(self, stage: str) -> pa.RecordBatch:
        """As a record batch. The lags are zero: the tool told of no schedule that it could be late for."""
        none = np.zeros(len(self), np.uint32)
        columns = [
            pa.array(np.asarray(self.sent_at_us, np.int64), pa.timestamp("us", tz="UTC")),
            pa.array(none),
            pa.array(none),
            pa.array(latencies_us(np.asarray(self.latency_us, np.uint32))),
            pa.array(np.asarray(self.status, np.uint16)),
            pa.array(self.error, _TEXT16),
            pa.array(self.endpoint, _TEXT16),
            pa.array(np.asarray(self.bytes_sent, np.uint64)),
            pa.array(np.asarray(self.bytes_received, np.uint64)),
            pa.array([stage] * len(self), _TEXT16),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)
