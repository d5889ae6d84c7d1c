"""Outcomes sorted into windows, whatever their order, in bounded memory.

Files are in no strict order: tools write when a request ends, in batches, from many threads. So rows wait until their
window lies well behind the newest one, or are many; rows that come later still are another batch of their window. What
counts per window is two numbers, so those are kept for the whole file and make its facts exact at the end.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from producers.endpoint_names import FewNames
from producers.imports.outcome import Dropped, Outcome
from producers.outcome_rows import OutcomeRows
from schemas.codec import LIMITS
from schemas.windows import window_of

REORDER_US = 60_000_000
"""How far behind the newest window the rows of another one are handed on."""
MOST_ROWS = 500_000
"""With more rows than this in memory, none wait any longer."""
MOST_ENDPOINTS, MOST_ERRORS = 500, 100


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
        self._rows: dict[int, OutcomeRows] = {}
        self._sent: Counter[int] = Counter()
        self._ended: Counter[int] = Counter()
        self._dropped: Counter[int] = Counter()
        self._endpoints, self._errors = FewNames(MOST_ENDPOINTS), FewNames(MOST_ERRORS)
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
            self._rows[window] = OutcomeRows()
        self._rows[window].add(
            sent_at_us=outcome.sent_at_us,
            latency_us=outcome.latency_us,
            status=outcome.status,
            error=None if outcome.error is None else self._errors.known(outcome.error),
            endpoint=self._endpoints.known(outcome.endpoint),
            bytes_sent=outcome.bytes_sent,
            bytes_received=outcome.bytes_received,
        )

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
            rows = self._rows.pop(window, None) or OutcomeRows()
            yield WindowEnd(window, rows.batch(self._stage), self._sent[window], self._dropped[window], in_flight)
