"""The interface of samplers, and what they hand over."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from producers.profiler.errors import SamplerError
from producers.profiler.traces import SampledStack

Timing = Literal["exact", "window"]


class Seen(NamedTuple):
    """One stack at a tick: the time that it stands for is that of all threads in it. `thread_id` is of one of them."""

    at_us: int
    weight_us: int
    thread_id: int
    stack: str


@dataclass(slots=True)
class Samples:
    """Samples of one process in one window, as columns of equal length, and how long the sampler was watching.

    `period_us` is the period they were taken at; `damaged` counts what could not be read. `seen` is apart from all of
    this: what every thread did at ticks of the wall clock, where the sampler can tell; `looks_us` is the CPU it took.
    """

    period_us: int
    sampled_at_us: list[int] = field(default_factory=list)
    weight_us: list[int] = field(default_factory=list)
    stacks: list[SampledStack] = field(default_factory=list)
    covered_us: int = 0
    damaged: int = 0
    seen: list[Seen] = field(default_factory=list)
    looks_us: int = 0

    def add(self, at_us: int, weight_us: int, stack: SampledStack, count: int = 1) -> None:
        """Add `count` samples of one stack, each standing for `weight_us`."""
        self.sampled_at_us += [at_us] * count
        self.weight_us += [weight_us] * count
        self.stacks += [stack] * count


class Sampler(Protocol):
    """Watches one process from `start` to `close`. Every method is called from one thread."""

    backend: str
    timing: Timing

    def start(self) -> None:
        """Begin. Returns at once. Raises SamplerError when the program is missing."""

    def watching(self) -> bool:
        """Whether it has attached to the process. Raises ProfilerError when it cannot, with the remedy."""
        ...

    def set_rate(self, rate_hz: int) -> None:
        """Sample at another rate, from one of the next windows on. Does not block; raises SamplerError as `start`."""

    def prepare(self) -> None:
        """Called LEAD_US before a window ends and another begins, so that what takes time to start can. See `start`."""

    def boundary(self, window_end_us: int) -> None:
        """Called as a window ends; a sampler that must change over does it now. Does not block."""

    def take(self, start_us: int, end_us: int) -> Samples:
        """Samples of [start_us, end_us). Called once a window, in order, a little after its end. May block shortly."""
        ...

    def stop(self) -> None:
        """Let go of the process. What was sampled can still be taken. May block for at most some seconds."""

    def close(self) -> None:
        """Called last, stopped or not: frees what is left. May be called again."""

    def cpu_us(self) -> int:
        """CPU time that watching has cost so far, in microseconds. Never falls."""
        ...


LEAD_US = 30_000
"""How long before a boundary `prepare` is called."""


def program(name: str) -> str:
    """Path of a sampler's program: beside this Python, else on the path. Raises SamplerError with the remedy."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise SamplerError(f"the sampler {name} is not installed; pip install 'loadflame[profiler]'")
    return found


def with_priority(command: Sequence[str]) -> list[str]:
    """The command at real-time priority where that is permitted, else as it is.

    A sampler that must wait for a busy core wakes only when the service rests, and photographs the resting.
    """
    chrt = shutil.which("chrt")
    return [chrt, "--fifo", "50", *command] if chrt and _real_time_is_permitted() else list(command)


def _real_time_is_permitted() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    except (OSError, AttributeError):
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True
