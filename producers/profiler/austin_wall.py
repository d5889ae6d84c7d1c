"""All threads of a process at ticks of the wall clock, those that wait too: what slow requests are compared by.

A second austin, beside the one that CPU is charged by. In its full mode (`-f`) it prints every thread at each tick, and
whether it was idle: off any core and not queued for one. To read a thread's stack takes some 25 us whether it works or
not, so one austin for both would cost ten times as much. This one looks seldom, and less often where threads are many.

Up to Python 3.11 the full mode needs to see a thread that holds the interpreter lock before it prints anything, and
searches for it with 256 reads a thread at each tick: of a process that rests, for minutes. So looks begin when there is
something to see, and what the search costs says nothing of what looks will.

Lines of a tick come together and end with the first line of a thread that was there already. Each says how long ago the
tick before was, so ticks are known to each other exactly. No tick is later than its line was read, which places them
all: once a second a line is read as it comes. To wait for each costs more than the looking.
"""

import contextlib
import fcntl
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Self

from producers.profiler.austin_process import AustinProcess, wait_for_input
from producers.profiler.counters import threads_of
from producers.profiler.sampler import Seen
from producers.profiler.traces import MAX_LINE_BYTES, WallLine, austin_stack, wall_line
from schemas.stacks import WAITING

LOOKS_HZ = 17
"""At most, where nobody names a rate. A prime, see `backends`; half a second of waiting is seen eight times."""
LEAST_HZ = 2
LOOKS_SHARE = 0.004
"""Of one core, for all processes of a service; looks come less often when they cost more than `_FAR` times it."""
_LOOK_US, _THREAD_US = 130, 20
"""What a look costs, and what each thread adds, whether it works or waits: measured on two busy cores."""
_FAR, _CALM = 1.25, 3
_RESTARTS = 5
_REST_S = 0.9
_BOUNDS = 64
_LOST_US = 400_000
"""The last line is read sooner than this, or two looks, after it was printed: else a clock has lost time."""
_KNOWN_STACKS = 1 << 14
_KEPT_TICKS = 4096
_READ_BYTES = _PIPE_BYTES = 1 << 20
_LATE = 2


@dataclass(frozen=True, slots=True)
class Looks:
    """How often to look at all threads of a process at most, and what that may take of a core; at 0 Hz nobody does."""

    rate_hz: int
    share: float = inf

    @classmethod
    def wanted(cls, rate_hz: int | None, processes: int) -> Self:
        """Looks at one of so many processes: at the rate that the user names, or as often as is cheap."""
        return cls(LOOKS_HZ, LOOKS_SHARE / processes) if rate_hz is None else cls(rate_hz)

    def first_hz(self, threads: int) -> int:
        """The rate at which looks at so many threads should not take more than that."""
        fitting = max(LEAST_HZ, self.share * 1e6 / (_LOOK_US + _THREAD_US * threads))
        return int(min(self.rate_hz, fitting))


NO_LOOKS = Looks(0)


@dataclass(slots=True)
class Ticker:
    """Lines into ticks. Pure: `feed` lines and the time at which they were read; `take` ticks that are whole.

    `period_us` bounds what a tick stands for: one that came late is no look at all the time before it.
    """

    period_us: int
    _clock_us: int = 0
    _bounds_us: deque[int] = field(default_factory=lambda: deque(maxlen=_BOUNDS))
    _closed: deque[tuple[int, list[Seen]]] = field(default_factory=lambda: deque(maxlen=_KEPT_TICKS))
    _open: dict[bytes, WallLine] = field(default_factory=dict)
    _known: dict[tuple[bytes, bool], tuple[int, str]] = field(default_factory=dict)

    def feed(self, lines: list[bytes], read_us: int) -> None:
        """Take in lines that were read together. What is no line of austin is passed over."""
        begun = False
        for line in lines:
            found = wall_line(line)
            if found is None:
                continue
            if found.thread in self._open or not self._open:
                self._close()
                self._clock_us += found.weight_us
                begun = True
            self._open[found.thread] = found
        if begun:
            bound_us = read_us - self._clock_us
            if bound_us > min(self._bounds_us, default=bound_us) + max(_LOST_US, _LATE * self.period_us):
                self._bounds_us.clear()  # ticks that failed took their time with them
            self._bounds_us.append(bound_us)

    @property
    def has_begun(self) -> bool:
        """Whether there was a tick."""
        return bool(self._bounds_us)

    def take(self, end_us: int) -> list[Seen]:
        """Rows of the ticks of before `end_us`, which are not had again; an open one is whole by then."""
        since_us = min(self._bounds_us, default=0)
        if self._clock_us + since_us < end_us:
            self._close()
        taken = []
        while self._closed and self._closed[0][0] + since_us < end_us:
            clock_us, rows = self._closed.popleft()
            taken += [seen._replace(at_us=clock_us + since_us) for seen in rows]
        return taken

    def _close(self) -> None:
        if not self._open:
            return
        stood: Counter[str] = Counter()
        first: dict[str, int] = {}
        for line in self._open.values():
            thread_id, stack = self._stack(line)
            first.setdefault(stack, thread_id)
            stood[stack] += 1
        tick_us = min(_LATE * self.period_us, max(line.weight_us for line in self._open.values()))
        rows = [Seen(0, tick_us * count, first[stack], stack) for stack, count in stood.items()]
        self._closed.append((self._clock_us, rows))
        self._open = {}

    def _stack(self, line: WallLine) -> tuple[int, str]:
        key = line.text, line.is_idle
        if key not in self._known:
            if len(self._known) >= _KNOWN_STACKS:
                self._known.clear()
            found = austin_stack(line.text)
            # A damaged stack is of a thread whose frames changed meanwhile.
            stack = found.stack if found else ""
            if line.is_idle or (found is not None and found.leaf == "wait"):
                stack = f"{stack};{WAITING}" if stack else WAITING
            self._known[key] = found.thread_id if found else 0, stack
        return self._known[key]


def affordable_hz(rate_hz: int, costs_us: Sequence[int], window_us: int, share: float) -> int:
    """The rate at which looks take `share` of a core, by what they took in some windows at `rate_hz`; see `_FAR`.

    It never rises, and goes by three windows, so that one busy second does not change it.
    """
    taken = sum(costs_us) / (max(1, len(costs_us)) * max(1, window_us))
    if len(costs_us) < _CALM or taken <= _FAR * share or rate_hz <= LEAST_HZ:
        return rate_hz
    return max(LEAST_HZ, int(rate_hz * share / taken))


class WallStream:
    """austin's full mode on one process; see `Sampler` for who calls what when."""

    def __init__(self, pid: int, looks: Looks, now_us: Callable[[], int]) -> None:
        self._pid = pid
        self._share = looks.share
        self._now_us = now_us
        self._lock = threading.Lock()
        self._past_cpu_us = 0
        self._costs_us: deque[int] = deque(maxlen=_CALM)
        self._restarts = 0
        self._start(looks.first_hz(threads_of(pid)))

    def _start(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._before_us = 0
        self._has_begun = False
        self._closing = threading.Event()
        self._rest = b""
        self._ticker = Ticker(1_000_000 // rate_hz)
        self._process = AustinProcess(self._pid, "-f", "-i", f"{1_000_000 // rate_hz}us")
        os.set_blocking(self._process.output, False)
        self._rest_s = _REST_S / 10
        with contextlib.suppress(OSError, AttributeError):  # no Linux, or a bound of the user's on pipes
            fcntl.fcntl(self._process.output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            self._rest_s = _REST_S
        self._reader = threading.Thread(target=self._read_on, name=f"austin-wall-{self._pid}", daemon=True)
        self._reader.start()

    def _read_on(self) -> None:
        output = self._process.output
        while True:
            for _ in range(2):  # what has gathered, and then a line as it comes
                wait_for_input(output)
                with self._lock:
                    if not self._read():
                        return
            self._closing.wait(self._rest_s)

    def _read(self) -> bool:
        """Read what is there; False at the end of the output."""
        try:
            data = os.read(self._process.output, _READ_BYTES)
        except BlockingIOError:
            return True
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:MAX_LINE_BYTES]
        self._ticker.feed(lines, self._now_us())
        return bool(data)

    def take(self, start_us: int, end_us: int) -> list[Seen]:
        """What was seen in [start_us, end_us), called a little after its end."""
        with self._lock:
            if self._reader.is_alive():
                self._read()
            return [seen for seen in self._ticker.take(end_us) if seen.at_us >= start_us]

    def afford(self, window_us: int) -> None:
        """Look less often when the last windows cost too much: another austin begins. Or where this one died."""
        if not self._reader.is_alive() and self._restarts < _RESTARTS:
            self._restarts += 1
            self._end()
            self._start(self.rate_hz)
            return
        before_us, self._before_us = self._before_us, self._process.cpu_us()
        had_begun, self._has_begun = self._has_begun, self._ticker.has_begun
        if not had_begun:
            return
        self._costs_us.append(self._before_us - before_us)
        rate_hz = affordable_hz(self.rate_hz, self._costs_us, window_us, self._share)
        if rate_hz != self.rate_hz:
            self._end()
            self._start(rate_hz)

    def _end(self) -> None:
        self.close()
        self._past_cpu_us += self._process.cpu_us()
        self._costs_us.clear()

    def close(self) -> None:
        """End it. May be called again."""
        self._closing.set()
        self._process.close(self._reader)

    def cpu_us(self) -> int:
        """CPU time that it has taken, in microseconds. Never falls."""
        return self._past_cpu_us + self._process.cpu_us()
