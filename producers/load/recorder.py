"""What became of each request, in columns; a request belongs to the window in which it ended.

Nothing per request is boxed: a row is ten numbers written into preallocated arrays, and a finished window becomes an
Arrow record batch around the same memory.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas.rows import REQUESTS

_LONGEST_US = 2**32 - 1


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """One window. `rows` has the schema `schemas.rows.REQUESTS`; `in_flight` is at the window's end.

    `scheduled` and `dropped` count arrivals that fell due in the window, `sent` requests that were written in it.
    """

    window: int
    rows: pa.RecordBatch
    failed: int
    scheduled: int
    sent: int
    dropped: int
    in_flight: int


class _Window:
    """The columns of one window while it fills; `count` rows are filled of the `capacity` that there is memory for."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "capacity",
        "count",
        "dispatch_lag_us",
        "dropped",
        "endpoint",
        "error",
        "failed",
        "latency_us",
        "scheduled",
        "scheduled_us",
        "sent",
        "stage",
        "status",
        "write_lag_us",
    )

    def __init__(self, capacity: int) -> None:
        self.count = self.failed = self.scheduled = self.sent = self.dropped = 0
        self.capacity = capacity
        self.scheduled_us = array("q", bytes(8 * capacity))
        self.dispatch_lag_us = array("I", bytes(4 * capacity))
        self.write_lag_us = array("I", bytes(4 * capacity))
        self.latency_us = array("I", bytes(4 * capacity))
        self.status = array("H", bytes(2 * capacity))
        self.error = array("h", bytes(2 * capacity))
        self.endpoint = array("h", bytes(2 * capacity))
        self.stage = array("i", bytes(4 * capacity))
        self.bytes_sent = array("Q", bytes(8 * capacity))
        self.bytes_received = array("Q", bytes(8 * capacity))

    def grow(self) -> None:
        """Twice the memory."""
        for name in self.__slots__:
            column = getattr(self, name)
            if isinstance(column, array):
                column.frombytes(bytes(column.itemsize * self.capacity))
        self.capacity *= 2


class Recorder:
    """Takes what happens, in the order in which it happens, and gives windows away one after the other.

    `endpoints` and `stages` are the names that the numbers in the calls stand for; `capacity` is how many rows a window
    is expected to hold (more are no error).
    """

    def __init__(self, endpoints: Sequence[str], stages: Sequence[str], *, window_us: int, capacity: int) -> None:
        self._endpoints = pa.array(endpoints, pa.string())
        self._stages = list(stages)
        self._window_us = window_us
        self._capacity = max(capacity, 64)
        self._errors: dict[str, int] = {}
        self._open: dict[int, _Window] = {}
        self._current = _Window(0)
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

    def arrived(self, due_us: int, *, dropped: bool) -> None:
        """An arrival fell due at `due_us`; `dropped` when it met the in-flight cap."""
        window = self._at(due_us)
        window.scheduled += 1
        self.scheduled += 1
        if dropped:
            window.dropped += 1
            self.dropped += 1

    def was_sent(self, now_us: int) -> None:
        """A request was handed to a socket; a followed redirect is one more."""
        self._at(now_us).sent += 1
        self.sent += 1

    def ended(
        self,
        *,
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
        window = self._at(ended_us)
        row = window.count
        if row == window.capacity:
            window.grow()
        window.count = row + 1
        window.scheduled_us[row] = due_us
        window.dispatch_lag_us[row] = min(dispatched_us - due_us, _LONGEST_US)
        window.write_lag_us[row] = min(written_us - due_us, _LONGEST_US)
        window.latency_us[row] = min(ended_us - due_us, _LONGEST_US)
        window.status[row] = status
        window.endpoint[row] = endpoint
        window.stage[row] = stage
        window.bytes_sent[row] = bytes_sent
        window.bytes_received[row] = bytes_received
        if error is None:
            window.error[row] = -1
            self.completed += 1
        else:
            window.error[row] = self._errors.setdefault(error, len(self._errors))
            window.failed += 1
            self.failed += 1

    def take(self, window: int) -> WindowRecord:
        """Give a finished window away: nothing of its time may be recorded any more. Windows are taken in order."""
        assert window > self._taken, "windows are taken in order, each once"
        self._taken = window
        taken = self._open.pop(window, None) or _Window(0)
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
            self._open[window] = _Window(self._capacity)
        self._current = self._open[window]
        self._current_from_us = window * self._window_us
        self._current_to_us = self._current_from_us + self._window_us
        return self._current

    def _rows(self, window: _Window) -> pa.RecordBatch:
        count = window.count

        def column(kind: pa.DataType, values: "array[int]") -> pa.Array:
            return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(values)])

        error = np.frombuffer(window.error, np.int16, count)
        stage = np.frombuffer(window.stage, np.int32, count)
        first, last = (int(stage.min()), int(stage.max())) if count else (0, -1)
        stages = pa.array(self._stages[first : last + 1], pa.string())
        columns = [
            column(pa.timestamp("us", tz="UTC"), window.scheduled_us),
            column(pa.uint32(), window.dispatch_lag_us),
            column(pa.uint32(), window.write_lag_us),
            column(pa.uint32(), window.latency_us),
            column(pa.uint16(), window.status),
            pa.DictionaryArray.from_arrays(pa.array(error, mask=error < 0), pa.array(list(self._errors), pa.string())),
            pa.DictionaryArray.from_arrays(column(pa.int16(), window.endpoint), self._endpoints),
            column(pa.uint64(), window.bytes_sent),
            column(pa.uint64(), window.bytes_received),
            pa.DictionaryArray.from_arrays(pa.array((stage - first).astype(np.int16)), stages),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)
