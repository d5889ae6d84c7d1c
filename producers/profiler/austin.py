"""austin: a separate program that reads a Python process's stacks and prints one line a sample.

`-s` leaves out threads that are not on a core. Its output is block-buffered into a pipe, 59 lines at a time, which
would put half of the samples into the wrong 200 ms: `stdbuf -oL` makes it line by line, and the time of reading is
the time of the sample.
"""

import shutil
import signal
import subprocess
import threading
from collections.abc import Callable

from producers.profiler.counters import cpu_us_of
from producers.profiler.errors import NoPermissionError, SamplerError
from producers.profiler.permission import remedy
from producers.profiler.sampler import Samples, Timing, program, with_priority
from producers.profiler.traces import AustinStack, austin_stack, split_weight

_KEPT_SAMPLES = 1 << 20
_KNOWN_STACKS = 1 << 14


class AustinSampler:
    """`Sampler` on austin; `now_us` is the clock whose time samples carry."""

    backend = "austin"
    timing: Timing = "exact"

    def __init__(self, pid: int, rate_hz: int, now_us: Callable[[], int]) -> None:
        self.period_us = 1_000_000 // rate_hz
        self._pid = pid
        self._now_us = now_us
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._lock = threading.Lock()
        self._samples: list[tuple[int, int, AustinStack]] = []
        self._damaged = 0
        self._attached_us: int | None = None
        self._ended_us: int | None = None
        self._said = b""

    def start(self) -> None:
        """See Sampler."""
        line_buffered = shutil.which("stdbuf")
        if line_buffered is None:
            raise SamplerError("austin needs the program stdbuf (coreutils) to print in time; install it or use py-spy")
        austin = [program("austin"), "-s", "-i", f"{self.period_us}us", "-p", str(self._pid)]
        self._process = subprocess.Popen(
            with_priority([line_buffered, "-oL", *austin]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the agent, which stops it in order
        )
        self._reader = threading.Thread(target=self._read, name=f"austin-{self._pid}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        known: dict[bytes, AustinStack | None] = {}
        for line in self._process.stdout:
            now_us = self._now_us()
            if self._attached_us is None:
                self._attached_us = now_us  # it prints its head once it has found the interpreter
            if line.startswith(b"#") or line == b"\n":
                continue
            parts = split_weight(line)
            if parts is None:
                self._damaged += 1
                continue
            text, weight_us = parts
            if text not in known:
                if len(known) >= _KNOWN_STACKS:
                    known.clear()
                known[text] = austin_stack(text)
            stack = known[text]
            if stack is None:
                self._damaged += 1
                continue
            with self._lock:
                self._samples.append((now_us, weight_us, stack))
                if len(self._samples) > _KEPT_SAMPLES:
                    del self._samples[: _KEPT_SAMPLES // 2]
        self._said = self._process.stderr.read(1 << 16)
        self._ended_us = self._now_us()

    def watching(self) -> bool:
        """See Sampler."""
        if self._attached_us is not None:
            return True
        if self._ended_us is not None:
            said = self._said.decode(errors="replace")
            if "permission" in said.lower() or "privilege" in said.lower():
                raise NoPermissionError(remedy(self._pid))
            last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "nothing")
            raise SamplerError(f"austin cannot watch process {self._pid}; it says: {last[:200]}")
        return False

    def boundary(self, window_end_us: int) -> None:
        """Nothing to do: samples carry their own time."""

    def take(self, start_us: int, end_us: int) -> Samples:
        """See Sampler."""
        with self._lock:
            mine = [sample for sample in self._samples if sample[0] < end_us]
            self._samples = [sample for sample in self._samples if sample[0] >= end_us]
            damaged, self._damaged = self._damaged, 0
        taken = Samples(damaged=damaged, covered_us=self._covered_us(start_us, end_us))
        for sampled_at_us, weight_us, stack in mine:
            taken.sampled_at_us.append(sampled_at_us)
            taken.weight_us.append(weight_us)
            taken.thread_id.append(stack.thread_id)
            taken.stack.append(stack.stack)
            taken.mode.append(stack.mode)
        return taken

    def _covered_us(self, start_us: int, end_us: int) -> int:
        if self._attached_us is None:
            return 0
        until_us = end_us if self._ended_us is None else min(end_us, self._ended_us)
        return max(0, until_us - max(start_us, self._attached_us))

    def stop(self) -> None:
        """See Sampler."""
        if self._process is None or self._reader is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(2)

    def close(self) -> None:
        """See Sampler."""
        self.stop()
        if self._process is not None and self._process.stdout and self._process.stderr:
            self._process.stdout.close()
            self._process.stderr.close()

    def cpu_us(self) -> int:
        """See Sampler."""
        return cpu_us_of(self._process.pid) if self._process else 0
