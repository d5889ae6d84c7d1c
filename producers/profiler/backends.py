"""Which sampler to take: `auto` goes by what the truth benchmark shows, `python -m benchmarks.truth` (`make truth`).

CPU found / CPU true of functions that time themselves:

    sampler   one thread   a pool of 16   two processes
    austin    0.94-1.05    0.88-1.06      0.92-1.04
    py-spy    0.95-1.06    0.77-1.32      0.96-1.07

So austin where it is installed, else py-spy with a warning. Watching with austin takes 3.7-4.9% of a core, of which
some 2% are the agent's and the rest austin's own, at no more than 211 Hz; 20 idle threads more take one more. py-spy
takes 3% for one thread at 100 Hz, and with 20 idle ones more than 5% even at 20 Hz.

The ratios and the whole cost are those of README's table (a test holds them to it); a machine's own are the benchmark's
to print.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from producers.profiler.austin import AustinSampler
from producers.profiler.errors import SamplerError
from producers.profiler.pace import Pace
from producers.profiler.pyspy import PySpySampler
from producers.profiler.sampler import Sampler, program

BackendName = Literal["austin", "py-spy"]
_BY_TRUTH: tuple[BackendName, ...] = ("austin", "py-spy")
# Primes: at a rate that divides the rate of the arrivals, every sample would see the same place of a request.
_RATES_HZ: dict[BackendName, int] = {"austin": 211, "py-spy": 101}
_THREAD_COST: dict[BackendName, float] = {"austin": 0.03, "py-spy": 0.4}
"""Looking at one more thread, in processes of one thread: from the costs above."""


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """A sampler that can be had here. `wanted_hz` is the rate it should have; `fixed` says that the user named it."""

    name: BackendName
    wanted_hz: int
    fixed: bool = False
    warning: str = ""

    def pace(self) -> Pace:
        """The pace of a service's samplers."""
        return Pace(self.wanted_hz, fixed=self.fixed, thread_cost=_THREAD_COST[self.name])

    def sampler(self, pid: int, rate_hz: int, now_us: Callable[[], int]) -> Sampler:
        """A sampler of this kind for one process."""
        kind = AustinSampler if self.name == "austin" else PySpySampler
        return kind(pid, rate_hz, now_us)


def choose_backend(wanted: str, rate_hz: int | None = None) -> BackendChoice:
    """The best one installed, unless one is named. Raises SamplerError, with the remedy."""
    if wanted not in ("auto", *_BY_TRUTH):
        raise SamplerError(f"no sampler is called {wanted!r}; take auto, austin or py-spy")
    if rate_hz is not None and not 1 <= rate_hz <= 1000:
        raise SamplerError(f"a sampling rate of {rate_hz} Hz is not possible; take 1 to 1000")
    names = _BY_TRUTH if wanted == "auto" else tuple(name for name in _BY_TRUTH if name == wanted)
    for name in names:
        try:
            program(name)
        except SamplerError:
            if name == names[-1]:
                raise
            continue
        warning = ""
        if name == "py-spy" and wanted == "auto":
            warning = (
                "austin is not installed, so py-spy samples, which is far from the truth in thread pools; "
                "pip install 'loadflame[profiler]' brings austin"
            )
        return BackendChoice(name, rate_hz or _RATES_HZ[name], fixed=rate_hz is not None, warning=warning)
    raise AssertionError("every name was looked at")
