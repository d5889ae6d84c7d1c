"""A timer finer than the event loop's own, which rounds to milliseconds (asyncio's epoll and uvloop alike).

Linux has timers that are files (timerfd_create(2)), to which any loop can listen. Elsewhere the loop's timer must do:
requests then start up to a millisecond late, which their dispatch lag shows.
"""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable

_CLOCK_MONOTONIC = 1


class Alarm:
    """Calls `ring` on the event loop once after each `set`. Close it when done."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._file = _timer_file()
        if self._file is not None:
            self._loop.add_reader(self._file, self._on_file)

    def set(self, delay_us: int) -> None:
        """Ring in `delay_us` microseconds (at once if none), and not at the time set before."""
        if self._file is not None:
            _arm(self._file, max(delay_us, 1))
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(max(delay_us, 0) / 1e6, self._ring)

    def close(self) -> None:
        """Ring no more."""
        if self._handle is not None:
            self._handle.cancel()
        if self._file is not None:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = None

    def _on_file(self) -> None:
        assert self._file is not None
        os.read(self._file, 8)  # how often it rang: always once
        self._ring()


class _Itimerspec(ctypes.Structure):
    """`struct itimerspec` of timerfd_settime(2): the interval (none), then the time to go."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


def _timer_file() -> int | None:
    if sys.platform != "linux":
        return None
    file = int(ctypes.CDLL(None, use_errno=True).timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
    return file if file >= 0 else None


def _arm(file: int, delay_us: int) -> None:
    spec = _Itimerspec(0, 0, delay_us // 1_000_000, delay_us % 1_000_000 * 1000)
    if ctypes.CDLL(None, use_errno=True).timerfd_settime(file, 0, ctypes.byref(spec), None) != 0:
        raise OSError(ctypes.get_errno(), "timerfd_settime")
