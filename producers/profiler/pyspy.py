"""py-spy: `record` writes only when it ends, so there is one recorder a window.

The next one starts LEAD_US before the boundary (its start takes about 20 ms) and the one before is interrupted at the
boundary. `--nonblocking`: stopping a process with many threads, one by one, costs more than it shows. It gains nothing
from staying on the service's core (found/true did not come nearer to 1, and a thread pool cost 14% of a core, not 10%).
"""

import contextlib
import resource
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

_ATTACH_US = 20_000
_END_S = 0.8
_MOST_OF_ONE_STACK = 100_000


@dataclass(slots=True)
class _Recorder:
    process: subprocess.Popen[bytes]
    file: Path
    words: Path
    period_us: int
    started_us: int
    until_us: int | None = None

    def said(self) -> str:
        with self.words.open("rb") as words:
            return words.read(1 << 14).decode(errors="replace")

    def interrupt(self, until_us: int) -> None:
        self.until_us = until_us
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)


class PySpySampler:
    """`Sampler` on py-spy; `now_us` is the clock of the windows."""

    backend = "py-spy"
    timing: Timing = "window"

    def __init__(self, pid: int, rate_hz: int, now_us: Callable[[], int]) -> None:
        self._pid = pid
        self._rate_hz = rate_hz
        self._now_us = now_us
        self._folder = tempfile.TemporaryDirectory(prefix="loadflame-")
        self._current: _Recorder | None = None
        self._next: _Recorder | None = None
        self._over: list[_Recorder] = []
        self._count = 0
        self._cpu_us = 0

    def start(self) -> None:
        """See Sampler."""
        self._current = self._record()

    def _record(self) -> _Recorder:
        self._count += 1
        file = Path(self._folder.name) / f"{self._count}.raw"
        words = file.with_suffix(".said")
        command = [program("py-spy"), "record", "-p", str(self._pid), "-r", str(self._rate_hz), "-f", "raw", "-F"]
        with words.open("wb") as said:
            process = subprocess.Popen(
                with_priority([*command, "-t", "--full-filenames", "--nonblocking", "-o", str(file)]),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        return _Recorder(process, file, words, 1_000_000 // self._rate_hz, self._now_us())

    def watching(self) -> bool:
        """See Sampler."""
        recorder = self._current
        if recorder is None:
            return False
        ended = recorder.process.poll() is not None
        said = recorder.said()
        if not ended:
            return "Sampling" in said
        if "ermission" in said:
            raise NoPermissionError(remedy(self._pid))
        first = next((line.strip() for line in said.splitlines() if line.strip()), "nothing")
        raise SamplerError(f"py-spy cannot watch process {self._pid}; it says: {first[:200]}")

    def set_rate(self, rate_hz: int) -> None:
        """See Sampler. From the next recorder on."""
        self._rate_hz = rate_hz

    def prepare(self) -> None:
        """Start the next window's recorder."""
        if self._next is None:
            self._next = self._record()

    def boundary(self, window_end_us: int) -> None:
        """Interrupt the recorder whose window ends; the next one has the word, if there is one."""
        ending, self._current, self._next = self._current, self._next, None
        if ending is not None:
            ending.interrupt(window_end_us)
            self._over.append(ending)

    def take(self, start_us: int, end_us: int) -> Samples:
        """See Sampler. Waits until the window's recorder has written, for less than a second."""
        taken = Samples(self._over[0].period_us if self._over else 1_000_000 // self._rate_hz)
        for recorder in self._over:
            self._reap(recorder)
            until_us = end_us if recorder.until_us is None else min(recorder.until_us, end_us)
            if recorder.file.exists():
                # Of what a recorder saw before it was interrupted nothing is known when it wrote nothing.
                taken.covered_us += max(0, until_us - max(recorder.started_us + _ATTACH_US, start_us))
                self._parse(recorder, (start_us + end_us) // 2, taken)
                recorder.file.unlink()
            recorder.words.unlink(missing_ok=True)
        self._over.clear()
        return taken

    @staticmethod
    def _parse(recorder: _Recorder, at_us: int, taken: Samples) -> None:
        with recorder.file.open("rb") as lines:
            for line in lines:
                parts = split_weight(line)
                stack = pyspy_stack(parts[0]) if parts else None
                if parts is None or stack is None:
                    taken.damaged += 1
                else:
                    taken.add(at_us, recorder.period_us, stack, min(parts[1], _MOST_OF_ONE_STACK))

    def _reap(self, recorder: _Recorder) -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            recorder.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            recorder.process.kill()
            recorder.process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        self._cpu_us += max(0, round(spent_s * 1e6))

    def stop(self) -> None:
        """See Sampler."""
        for recorder in (self._current, self._next):
            if recorder is not None:
                recorder.interrupt(self._now_us())
                self._over.append(recorder)
        self._current = self._next = None

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
