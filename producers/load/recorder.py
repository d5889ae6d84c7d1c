"""What became of each request; a request belongs to the window in which it ended.

A row is ten whole numbers appended to one flat array in a single call, which is the cheapest that Python has; what can
be worked out from them waits until the window is given away, and is then done for all rows at once.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas.ordering import order_of, ranks_of
from schemas.precision import lags_us, latencies_us
from schemas.rows import REQUESTS

_COLUMNS = 10
"""Endpoint, stage, due, dispatched, written, ended, status, error, bytes sent and received; see `Recorder.ended`."""

MOST_ERRORS = 1000
"""Names of errors that a run tells apart; what comes beyond is called OTHER_ERRORS."""
OTHER_ERRORS = "other errors"


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """One window. `rows` has the schema `schemas.rows.REQUESTS`, in the order of `schemas.ordering`.

    `scheduled` and `dropped` count arrivals that fell due in the window, `sent` requests that were written in it;
    `in_flight` is at the window's end.
    """

    window: int
    rows: pa.RecordBatch
    failed: int
    scheduled: int
    sent: int
    dropped: int
    in_flight: int


class _Window:
    """One window while it fills."""

    __slots__ = ("dropped", "failed", "numbers", "scheduled", "sent")

    def __init__(self) -> None:
        self.failed = self.scheduled = self.sent = self.dropped = 0
        self.numbers = array("q")

    @property
    def count(self) -> int:
        """Rows."""
        return len(self.numbers) // _COLUMNS


class Recorder:
    """Takes what happens, in the order in which it happens, and gives windows away one after the other.

    `endpoints` and `stages` are the names that the numbers in the calls stand for.
    """

    def __init__(self, endpoints: Sequence[str], stages: Sequence[str], *, window_us: int) -> None:
        self._endpoints = pa.array(endpoints, pa.string())
        self._stages = list(stages)
        self._endpoint_ranks, self._stage_ranks = ranks_of(list(endpoints)), ranks_of(self._stages)
        self._window_us = window_us
        self._errors: dict[str, int] = {}
        self._open: dict[int, _Window] = {}
        self._current = _Window()
        self._current_from_us = self._current_to_us = 0
        self._taken = -1
        self.scheduled = self.sent = self.dropped = self.completed = self.failed = 0

    @property
    def in_flight(self) -> int:
        """Arrivals that were neither dropped nor have ended."""
        return self.scheduled - self.dropped - self.completed - self.failed

    @property
    def last_window(self) -> int:
        """The last window that anything was recorded in and that was not taken; -1 if none."""
        return max(self._open, default=-1)

    def arrived(self, due_us: int, *, dropped: bool = False) -> None:
        """An arrival fell due at `due_us`; `dropped` when it met the in-flight cap."""
        window = self._current if self._current_from_us <= due_us < self._current_to_us else self._at(due_us)
        window.scheduled += 1
        self.scheduled += 1
        if dropped:
            window.dropped += 1
            self.dropped += 1

    def was_sent(self, now_us: int) -> None:
        """A request was handed to a socket; a followed redirect is one more."""
        window = self._current if self._current_from_us <= now_us < self._current_to_us else self._at(now_us)
        window.sent += 1
        self.sent += 1

    def ended(  # noqa: PLR0917  by place: naming ten arguments costs a tenth of what a request may cost
        self,
        endpoint: int,
        stage: int,
        due_us: int,
        dispatched_us: int,
        written_us: int,
        ended_us: int,
        status: int,
        error: str | None,
        bytes_sent: int,
        bytes_received: int,
    ) -> None:
        """A request ended. All times are microseconds since the Unix epoch, due <= dispatched <= written <= ended."""
        window = self._current if self._current_from_us <= ended_us < self._current_to_us else self._at(ended_us)
        if error is None:
            number = -1
            self.completed += 1
        else:
            number = self._numbered(error)
            window.failed += 1
            self.failed += 1
        window.numbers.extend(
            (
                endpoint,
                stage,
                due_us,
                dispatched_us,
                written_us,
                ended_us,
                status,
                number,
                bytes_sent,
                bytes_received,
            )
        )

    def take(self, window: int) -> WindowRecord:
        """Give a finished window away: nothing of its time may be recorded any more. Windows are taken in order."""
        assert window > self._taken, "windows are taken in order, each once"
        self._taken = window
        taken = self._open.pop(window, None) or _Window()
        if taken is self._current:
            self._current_from_us = self._current_to_us = 0
        in_flight = self.in_flight - sum(w.scheduled - w.dropped - w.count for w in self._open.values())
        rows = self._rows(taken)
        return WindowRecord(window, rows, taken.failed, taken.scheduled, taken.sent, taken.dropped, in_flight)

    def _at(self, time_us: int) -> _Window:
        if self._current_from_us <= time_us < self._current_to_us:
            return self._current
        window = time_us // self._window_us
        assert window > self._taken, "a window was given away before its time was over"
        if window not in self._open:
            self._open[window] = _Window()
        self._current = self._open[window]
        self._current_from_us = window * self._window_us
        self._current_to_us = self._current_from_us + self._window_us
        return self._current

    def _numbered(self, error: str) -> int:
        """Names of errors travel with every window, and a scenario may make up ever new ones."""
        if error not in self._errors and len(self._errors) >= MOST_ERRORS:
            error = OTHER_ERRORS
        return self._errors.setdefault(error, len(self._errors))

    def _rows(self, window: _Window) -> pa.RecordBatch:
        rows = np.array(window.numbers, np.int64).reshape(-1, _COLUMNS)
        order = order_of(self._stage_ranks[rows[:, 1]], self._endpoint_ranks[rows[:, 0]], rows[:, 2])
        columns = (rows if order is None else rows[order]).T
        endpoint, stage, due_us, dispatched_us, written_us, ended_us, status, error, sent, received = columns
        first, last = (int(stage.min()), int(stage.max())) if window.count else (0, -1)

        latency_us = latencies_us(ended_us - due_us)
        write_lag_us = lags_us(written_us - due_us, latency_us)
        arrays = [
            pa.array(due_us).cast(pa.timestamp("us", tz="UTC")),
            pa.array(lags_us(dispatched_us - due_us, write_lag_us)),
            pa.array(write_lag_us),
            pa.array(latency_us),
            pa.array(status.astype(np.uint16)),
            _named(error, pa.array(list(self._errors), pa.string())),
            _named(endpoint, self._endpoints),
            pa.array(sent.astype(np.uint64)),
            pa.array(received.astype(np.uint64)),
            # Only the stages of this window travel with it: a plan may have thousands of visits.
            _named(stage - first, pa.array(self._stages[first : last + 1], pa.string())),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=REQUESTS)


def _named(numbers: np.ndarray, names: pa.Array) -> pa.DictionaryArray:
    """Numbers as the names that they stand for; below zero is none."""
    return pa.DictionaryArray.from_arrays(pa.array(numbers.astype(np.int16), mask=numbers < 0), names)
