"""What the kernel knows of a process: CPU time, waiting for a core, memory, threads.

CPU of the whole process is read from its CPU clock, which counts nanoseconds and keeps the time of threads that have
ended; /proc/PID/stat has ticks of 10 ms, and /proc/PID/schedstat is the main thread alone. Per thread, schedstat
gives the time on a core and the time in the run queue. Sources: clock_getcpuclockid(3), proc(5), the kernel's
Documentation/scheduler/sched-stats.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil

_CPUCLOCK_SCHED = 2
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")


class ProcessGoneError(Exception):
    """The process ended; its counters went with it."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters since the start of a process, in microseconds and bytes.

    `threads_us` is the CPU time and `waits_us` the time in the run queue, by thread id, of the threads that live now.
    """

    cpu_us: int
    rss_bytes: int
    threads_us: Mapping[int, int]
    waits_us: Mapping[int, int]

    def busiest_thread_us_since(self, before: "Counters") -> int:
        """CPU time of the thread that used the most since `before`; of one that ended meanwhile it is not known."""
        return max((us - before.threads_us.get(tid, 0) for tid, us in self.threads_us.items()), default=0)

    def run_queue_us_since(self, before: "Counters") -> int:
        """Time that threads waited for a core since `before`; see `busiest_thread_us_since`."""
        return sum(max(0, us - before.waits_us.get(tid, 0)) for tid, us in self.waits_us.items())


def read_counters(pid: int) -> Counters:
    """Counters of a process now. Raises ProcessGoneError."""
    try:
        cpu_us = _cpu_us(pid)
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:  # ended, and only waits for its parent to notice
            raise ProcessGoneError(f"process {pid} has ended")
        schedstats = _schedstats(pid)
        threads_us = {tid: on_core_us for tid, (on_core_us, _) in schedstats.items()}
        if not threads_us:  # no Linux, or a kernel without these figures: ticks, and nothing of waiting
            threads_us = {one.id: round((one.user_time + one.system_time) * 1e6) for one in process.threads()}
        waits_us = {tid: waited_us for tid, (_, waited_us) in schedstats.items()}
        rss_bytes = process.memory_info().rss
    except (OSError, psutil.Error) as error:
        raise ProcessGoneError(f"process {pid} is gone") from error
    return Counters(cpu_us, rss_bytes, MappingProxyType(threads_us), MappingProxyType(waits_us))


def core_of(pid: int, tid: int) -> int | None:
    """The core on which a thread runs or ran last; None when that is not to be had. Field `processor` of proc(5)."""
    try:
        with Path(f"/proc/{pid}/task/{tid}/stat").open("rb", buffering=0) as stat:
            return int((stat.read(1024) or b"").rpartition(b")")[2].split()[36])
    except (OSError, ValueError, IndexError):
        return None


def threads_of(pid: int) -> int:
    """How many threads a process has now; 1 when it is gone."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).num_threads()
    return 1


def own_pid_of(pid: int) -> int:
    """The number by which a process knows itself: another one than ours where it has a namespace of its own."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # no Linux, or gone
        return pid
    return next((int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid:")), pid)


def host_cpu_us() -> int:
    """CPU time that all cores of this host spent busy since it started, of whatever runs there; in ticks of 10 ms.

    Stolen time is somebody's too. Guests are not added: they are part of user time. Source: /proc/stat, proc(5).
    """
    times = psutil.cpu_times()._asdict()
    return round(sum(float(times.get(name, 0.0)) for name in _BUSY) * 1e6)


def cpu_us_of(pid: int) -> int:
    """CPU time of a process since its start; 0 when it is gone."""
    try:
        return _cpu_us(pid)
    except (OSError, psutil.Error):
        return 0


def _cpu_us(pid: int) -> int:
    with contextlib.suppress(OSError, OverflowError):
        # The kernel's encoding of another process's CPU clock (clock_getcpuclockid).
        return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) // 1000
    times = psutil.Process(pid).cpu_times()
    return round((times.user + times.system) * 1e6)


def _schedstats(pid: int) -> dict[int, tuple[int, int]]:
    """Time on a core and in the run queue by thread id; empty where the kernel does not say."""
    found: dict[int, tuple[int, int]] = {}
    folder = Path(f"/proc/{pid}/task")
    if not folder.exists():
        return found
    for task in folder.iterdir():
        with contextlib.suppress(OSError, ValueError):  # the thread ended meanwhile
            on_core_ns, waited_ns, _ = (task / "schedstat").read_text().split()
            found[int(task.name)] = (int(on_core_ns) // 1000, int(waited_ns) // 1000)
    return found
