"""Plain traffic sorted into windows as it is told of: each window is handed on once, soon after it is over.

What is told of later counts in the first window that is still open, and is counted as late: a window that was handed
on cannot be changed, and a request that is left out would be missing for good.
"""

from collections.abc import Iterator

import pyarrow as pa

from producers.endpoint_names import FewNames
from producers.natural.seen import Seen, Tally
from producers.outcome_rows import OutcomeRows
from schemas.precision import UNKNOWN_US
from schemas.windows import window_of

MOST_ENDPOINTS = 500


class NaturalWindows:
    """Takes requests, gives rows (`schemas.rows.REQUESTS`) by the window in which they ended.

    Begins with the window that starts at `start_us`. Memory is bounded by what ends in the windows that are open.
    """

    def __init__(self, stage: str, *, start_us: int, window_us: int, tally: Tally) -> None:
        self._stage = stage
        self._start_us = start_us
        self._window_us = window_us
        self._tally = tally
        self._next = window_of(start_us, window_us)
        self._open: dict[int, OutcomeRows] = {}
        self._endpoints = FewNames(MOST_ENDPOINTS)
        self.failed = 0
        self.until_us: int | None = None
        """Where it ends, once that is known."""

    def add(self, seen: Seen) -> None:
        """Take one request; one that ended before the beginning, or after the end, is none of ours."""
        over = self.until_us is not None and seen.ended_at_us > self.until_us
        if seen.ended_at_us < self._start_us or over:
            self._tally.others += 1
            return
        window = window_of(seen.ended_at_us, self._window_us)
        ended_us = seen.ended_at_us
        if window < self._next:
            window, ended_us = self._next, self._next * self._window_us
            self._tally.late += 1
        self._tally.requests += 1
        self._tally.untimed += seen.latency_us is None
        self.failed += seen.error is not None
        if window not in self._open:
            self._open[window] = OutcomeRows()
        self._open[window].add(
            sent_at_us=ended_us - (seen.latency_us or 0),
            latency_us=UNKNOWN_US if seen.latency_us is None else seen.latency_us,
            status=seen.status,
            error=seen.error,
            endpoint=self._endpoints.known(seen.endpoint),
            bytes_received=seen.bytes_received,
        )

    def over(self, until_us: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Take out every window that ended by `until_us`, in order, also those in which nothing ended."""
        while (self._next + 1) * self._window_us <= until_us:
            yield self._take()

    def rest(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Take out all that is left: one window at least, the last of them."""
        last = max(self._open, default=self._next)
        while self._next <= last:
            yield self._take()

    def _take(self) -> tuple[int, pa.RecordBatch]:
        window = self._next
        self._next += 1
        return window, (self._open.pop(window, None) or OutcomeRows()).batch(self._stage)
