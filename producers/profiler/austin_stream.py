"""One run of the program austin: its lines as they come, each with the time at which it was printed.

Into a pipe its output is block-buffered, 59 lines at a time, which would put half of the samples into the wrong 200 ms:
`stdbuf -oL` makes it line by line, and the time of reading is within 40 ms that of the sample. Where that is not near
enough, because samples are to be joined with requests, the kernel says when each line was printed (`stamps`).

`-s` prints only threads whose state in /proc is R: on a core, or waiting for one. The number on a line is the time in
microseconds since the sampler's tick before, whether that one printed or not; so its sum over a thread is the time that
the thread was running or runnable, and a tick that came late stands for the longer time that it covers.

It follows the service to the core on which the sampled thread ran. From another core it reads memory that is being
written: a tenth of its stacks came out torn, more often those that change fast, at up to three times the CPU. On the
same core it has stopped what it reads by running at all, and none came out torn. Measured on two cores on a
single-threaded service; threads of a pool that change cores all the time gain nothing and lose nothing.
"""

import os
import threading
import time
from collections.abc import Callable

from producers.profiler.austin_process import AustinProcess
from producers.profiler.sampler import Samples
from producers.profiler.traces import MAX_LINE_BYTES, SampledStack, austin_stack, split_weight

_KEPT_SAMPLES = 1 << 20
_KNOWN_STACKS = 1 << 14
_FOLLOW_US = 40_000
_READ_BYTES = 1 << 18
_REST_S = 0.04


class AustinStream:
    """austin on one process. `from_us` and `until_us` bound the samples that count, where two streams overlap.

    `attached_us` is when it had found the interpreter, `ended_us` when its output ended, None until then. `stamped`:
    the times of samples are exact.
    """

    def __init__(self, pid: int, period_us: int, now_us: Callable[[], int], *, stamped: bool = False) -> None:
        self.period_us = period_us
        self.from_us = 0
        self.until_us: int | None = None
        self.attached_us: int | None = None
        self.ended_us: int | None = None
        self.said = ""
        self._now_us = now_us
        self._lock = threading.Lock()
        self._samples: list[tuple[int, int, SampledStack]] = []
        self._known: dict[bytes, SampledStack | None] = {}
        self._damaged = 0
        self._process = AustinProcess(pid, "-s", "-i", f"{period_us}us", stamped=stamped)
        self._reader = threading.Thread(
            target=self._read_stamped if stamped else self._read, name=f"austin-{pid}", daemon=True
        )
        self._reader.start()

    def _read_stamped(self) -> None:
        rest, looked_us = b"", 0
        while not self._process.is_silent:
            self._process.wait_for_lines()
            read_us = self._now_us()
            ahead_us = read_us - time.time_ns() // 1000  # the clock of samples, of the kernel's
            found: list[tuple[int, int, SampledStack]] = []
            for data, at_us in self._process.printed(_READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[:MAX_LINE_BYTES]
                for line in lines:
                    if line and not line.startswith(b"#"):
                        found += self._sample(line, at_us + ahead_us)
            if self.attached_us is None and not self._process.is_silent:
                self.attached_us = read_us
            with self._lock:
                self._samples += found
                self._bound()
            if found and read_us - looked_us >= _FOLLOW_US:
                looked_us = read_us
                self._process.follow(found[-1][2].thread_id)
            time.sleep(_REST_S)
        self.said = self._process.words()
        self.ended_us = self._now_us()

    def _sample(self, line: bytes, at_us: int) -> list[tuple[int, int, SampledStack]]:
        parts = split_weight(line)
        stack = self._stack(parts[0]) if parts else None
        if parts is None or stack is None:
            with self._lock:
                self._damaged += 1
            return []
        return [(at_us, parts[1], stack)]

    def _bound(self) -> None:
        if len(self._samples) > _KEPT_SAMPLES:  # nobody takes them
            del self._samples[: _KEPT_SAMPLES // 2]

    def _read(self) -> None:
        output, rest, read_us, looked_us = self._process.output, b"", 0, 0
        while data := os.read(output, _READ_BYTES):
            before_us, read_us = read_us, self._now_us()
            *lines, rest = (rest + data).split(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                rest = rest[:MAX_LINE_BYTES]  # too long for a sample already; it need not grow
            if self.attached_us is None:
                self.attached_us = before_us = read_us  # it prints its head once it has found the interpreter
            last = self._keep(lines, before_us, read_us)
            if last is not None and read_us - looked_us >= _FOLLOW_US:
                looked_us = read_us
                self._process.follow(last.thread_id)
            # To be woken by every line costs more than all that is done with it.
            time.sleep(_REST_S)
        self.said = self._process.words()
        self.ended_us = self._now_us()

    def _keep(self, lines: list[bytes], after_us: int, read_us: int) -> SampledStack | None:
        """Keep the samples among lines that were printed between two reads; gives the last of them.

        The last line was printed just now, and each one before it by what stands on its successor earlier, or still
        earlier when ticks between them had nothing to print.
        """
        damaged, found, at_us = 0, [], read_us
        for line in reversed(lines):
            if not line or line.startswith(b"#"):
                continue
            parts = split_weight(line)
            stack = self._stack(parts[0]) if parts else None
            if parts is not None and stack is not None:
                found.append((at_us, parts[1], stack))
                at_us = max(after_us, at_us - parts[1])
            else:
                damaged += 1
        found.reverse()
        with self._lock:
            self._damaged += damaged
            self._samples += found
            self._bound()
        return found[-1][2] if found else None

    def _stack(self, text: bytes) -> SampledStack | None:
        """Stacks repeat, so each is read once."""
        if text not in self._known:
            if len(self._known) >= _KNOWN_STACKS:
                self._known.clear()
            self._known[text] = austin_stack(text)
        return self._known[text]

    def take(self, start_us: int, end_us: int, into: Samples) -> None:
        """Move the samples of before `end_us` out, and add those of the window that count."""
        with self._lock:
            mine = [sample for sample in self._samples if sample[0] < end_us]
            self._samples = [sample for sample in self._samples if sample[0] >= end_us]
            into.damaged += self._damaged
            self._damaged = 0
        from_us = max(start_us, self.from_us)
        until_us = min(end_us, end_us if self.until_us is None else self.until_us)
        for at_us, weight_us, stack in mine:
            if from_us <= at_us < until_us:
                into.add(at_us, weight_us, stack)
        if self.attached_us is not None:
            until_us = until_us if self.ended_us is None else min(until_us, self.ended_us)
            into.covered_us += max(0, until_us - max(from_us, self.attached_us))

    def interrupt(self) -> None:
        """Ask it to end, and do not wait."""
        self._process.interrupt()

    def close(self) -> None:
        """End it, and free its pipes; what it printed can still be taken."""
        self._process.close(self._reader)

    def cpu_us(self) -> int:
        """CPU time that it has taken, in microseconds; of one that has ended, as far as it was asked."""
        return self._process.cpu_us()
