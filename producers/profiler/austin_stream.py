"""One run of the program austin: its lines as they come, each with the time at which it was printed.

Into a pipe its output is block-buffered, 59 lines at a time, which would put half of the samples into the wrong 200 ms:
`stdbuf -oL` makes it line by line, and the time of reading is within 40 ms that of the sample.

`-s` prints only threads whose state in /proc is R: on a core, or waiting for one. The number on a line is the time in
microseconds since the sampler's tick before, whether that one printed or not; so its sum over a thread is the time that
the thread was running or runnable, and a tick that came late stands for the longer time that it covers.

It follows the service to the core on which the sampled thread ran. From another core it reads memory that is being
written: a tenth of its stacks came out torn, more often those that change fast, at up to three times the CPU. On the
same core it has stopped what it reads by running at all, and none came out torn. Measured on two cores on a
single-threaded service; threads of a pool that change cores all the time gain nothing and lose nothing.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from producers.profiler.counters import core_of, cpu_us_of
from producers.profiler.errors import SamplerError
from producers.profiler.sampler import Samples, program, with_priority
from producers.profiler.traces import MAX_LINE_BYTES, SampledStack, austin_stack, split_weight

_KEPT_SAMPLES = 1 << 20
_KNOWN_STACKS = 1 << 14
_END_S = 2.0
_FOLLOW_US = 40_000
_READ_BYTES = 1 << 18
_REST_S = 0.04


class AustinStream:
    """austin on one process. `from_us` and `until_us` bound the samples that count, where two streams overlap.

    `attached_us` is when it had found the interpreter, `ended_us` when its output ended, None until then.
    """

    def __init__(self, pid: int, period_us: int, now_us: Callable[[], int]) -> None:
        self.period_us = period_us
        self.from_us = 0
        self.until_us: int | None = None
        self.attached_us: int | None = None
        self.ended_us: int | None = None
        self.said = ""
        self._pid = pid
        self._now_us = now_us
        self._lock = threading.Lock()
        self._samples: list[tuple[int, int, SampledStack]] = []
        self._known: dict[bytes, SampledStack | None] = {}
        self._damaged = 0
        self._cpu_us = 0
        self._core: int | None = None
        line_buffered = shutil.which("stdbuf")
        if line_buffered is None:
            raise SamplerError("austin needs the program stdbuf (coreutils) to print in time; install it or use py-spy")
        command = [line_buffered, "-oL", program("austin"), "-P", "-s", "-i", f"{period_us}us", "-p", str(pid)]
        self._process = subprocess.Popen(
            with_priority(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the agent, which stops it in order
        )
        self._reader = threading.Thread(target=self._read, name=f"austin-{pid}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        output, rest, read_us, looked_us = self._process.stdout.fileno(), b"", 0, 0
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
                self._follow(last.thread_id)
            # To be woken by every line costs more than all that is done with it.
            time.sleep(_REST_S)
        self.said = self._process.stderr.read(1 << 16).decode(errors="replace")
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
            if len(self._samples) > _KEPT_SAMPLES:  # nobody takes them
                del self._samples[: _KEPT_SAMPLES // 2]
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

    def _follow(self, thread_id: int) -> None:
        core = core_of(self._pid, thread_id)
        if core is not None and core != self._core:
            self._core = core
            with contextlib.suppress(OSError, AttributeError):  # another set of cores than the service, or no Linux
                os.sched_setaffinity(self._process.pid, {core})

    def interrupt(self) -> None:
        """Ask it to end, and do not wait."""
        self.cpu_us()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End it, and free its pipes; what it printed can still be taken."""
        self.interrupt()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_END_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def cpu_us(self) -> int:
        """CPU time that it has taken, in microseconds; of one that has ended, as far as it was asked."""
        if self._process.returncode is None:
            self._cpu_us = max(self._cpu_us, cpu_us_of(self._process.pid))
        return self._cpu_us
