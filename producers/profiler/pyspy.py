"""py-spy: `record` writes only when it ends, so there is one recorder a window.

The next one starts 30 ms before the boundary (its start takes about 20 ms) and the one before is interrupted at the
boundary. `--nonblocking`: stopping a process with many threads, one by one, costs more than it shows.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from producers.profiler.errors import NoPermissionError, SamplerError
from producers.profiler.permission import remedy
from producers.profiler.sampler import Samples, Timing, program, with_priority
from producers.profiler.traces import pyspy_stack, split_weight

ATTACH_US = 20_000
_END_S = 0.5


@dataclass(slots=True)
class _Recorder:
    process: subprocess.Popen[bytes]
    file: Path
    said: Path
    started_us: int
    ended_us: int | None = None


class PySpySampler:
    """`Sampler` on py-spy; `now_us` is the clock of the windows."""

    backend = "py-spy"
    timing: Timing = "window"

    def __init__(self, pid: int, rate_hz: int, now_us: Callable[[], int]) -> None:
        self.period_us = 1_000_000 // rate_hz
        self._pid = pid
        self._rate_hz = rate_hz
        self._now_us = now_us
        self._folder = tempfile.TemporaryDirectory(prefix="loadflame-")
        self._current: _Recorder | None = None
        self._over: list[_Recorder] = []
        self._count = 0
        self._cpu_us = 0

    def start(self) -> None:
        """See Sampler."""
        self._current = self._record()

    def _record(self) -> _Recorder:
        self._count += 1
        file = Path(self._folder.name) / f"{self._count}.raw"
        command = [program("py-spy"), "record", "-p", str(self._pid), "-r", str(self._rate_hz), "-f", "raw", "-F"]
        said = file.with_suffix(".said")
        with said.open("wb") as words:
            process = subprocess.Popen(
                with_priority([*command, "--nonblocking", "-o", str(file)]),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
            )
        return _Recorder(process, file, said, self._now_us())

    def watching(self) -> bool:
        """See Sampler."""
        recorder = self._current
        if recorder is None:
            return False
        said = recorder.said.read_bytes()[: 1 << 14].decode(errors="replace")
        if recorder.process.poll() is None:
            return "Sampling" in said
        if "ermission" in said:
            raise NoPermissionError(remedy(self._pid))
        first = next((line.strip() for line in said.splitlines() if line.strip()), "nothing")
        raise SamplerError(f"py-spy cannot watch process {self._pid}; it says: {first[:200]}")

    def boundary(self, window_end_us: int) -> None:
        """Start the next recorder, interrupt the one whose window ends."""
        ending, self._current = self._current, self._record()
        if ending is not None:
            ending.ended_us = window_end_us
            with contextlib.suppress(ProcessLookupError):
                ending.process.send_signal(signal.SIGINT)
            self._over.append(ending)

    def take(self, start_us: int, end_us: int) -> Samples:
        """See Sampler."""
        taken = Samples()
        for recorder in self._over:
            self._reap(recorder)
            from_us = recorder.started_us + ATTACH_US
            until_us = recorder.ended_us or end_us
            taken.covered_us += max(0, min(until_us, end_us) - max(from_us, start_us))
            self._parse(recorder.file, (start_us + end_us) // 2, taken)
            recorder.file.unlink(missing_ok=True)
            recorder.said.unlink(missing_ok=True)
        self._over.clear()
        return taken

    def _parse(self, file: Path, at_us: int, taken: Samples) -> None:
        if not file.exists():
            return
        with file.open("rb") as lines:
            for line in lines:
                parts = split_weight(line)
                if parts is None:
                    taken.damaged += 1
                    continue
                stack, mode = pyspy_stack(parts[0])
                count = min(parts[1], 100_000)
                taken.sampled_at_us += [at_us] * count
                taken.weight_us += [self.period_us] * count
                taken.thread_id += [0] * count
                taken.stack += [stack] * count
                taken.mode += [mode] * count

    def _reap(self, recorder: _Recorder) -> None:
        before = os.times()
        try:
            recorder.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            recorder.process.kill()
            recorder.process.wait()
        after = os.times()
        spent_s = after.children_user + after.children_system - before.children_user - before.children_system
        self._cpu_us += round(spent_s * 1e6)

    def stop(self) -> None:
        """See Sampler."""
        if self._current is None:
            return
        ending, self._current = self._current, None
        ending.ended_us = self._now_us()
        with contextlib.suppress(ProcessLookupError):
            ending.process.send_signal(signal.SIGINT)
        self._over.append(ending)

    def close(self) -> None:
        """See Sampler."""
        self.stop()
        for recorder in self._over:
            self._reap(recorder)
        self._over.clear()
        self._folder.cleanup()

    def cpu_us(self) -> int:
        """See Sampler."""
        return self._cpu_us
