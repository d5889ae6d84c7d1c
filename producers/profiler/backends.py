"""Which sampler to take: `auto` goes by what the truth benchmark shows, `python -m benchmarks.truth` (`make truth`).

CPU found / CPU true of functions that time themselves:

    sampler   one thread   a pool of 16   two processes
    austin    0.96-1.03    0.93-1.10      0.97-1.10
    py-spy    0.95-1.06    0.77-1.32      0.96-1.07

So austin where it is installed, else py-spy with a warning. Watching with austin takes 3.5-4.6% of a core, of which
some 2% are the agent's and the rest austin's own, at no more than 211 Hz; 20 idle threads more take one more. Looks at
all threads have 0.4% of that (`austin_wall`). py-spy takes 3% for one thread at 100 Hz, and with 20 idle ones more
than 5% even at 20 Hz.

The ratios and the whole cost are those of README's table (a test holds them to it); a machine's own are the benchmark's
to print.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from producers.profiler.austin import AustinSampler
from producers.profiler.austin_wall import Looks
from producers.profiler.errors import SamplerError
from producers.profiler.pace import Pace
from producers.profiler.pyspy import PySpySampler
from producers.profiler.sampler import Sampler, program
from producers.profiler.stamps import kernel_tells

BackendName = Literal["austin", "py-spy"]
_BY_TRUTH: tuple[BackendName, ...] = ("austin", "py-spy")
# Primes: at a rate that divides the rate of the arrivals, every sample would see the same place of a request.
_RATES_HZ: dict[BackendName, int] = {"austin": 211, "py-spy": 101}
_THREAD_COST: dict[BackendName, float] = {"austin": 0.05, "py-spy": 0.4}
"""Looking at one more thread, in processes of one thread: from the costs above, and for austin some more: threads of a
busy pool cost up to 0.08 each. A first guess that is too low is paid for in every short run.
"""


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """A sampler that can be had here. `wanted_hz` is the rate it should have; `fixed` says that the user named it.

    `looks_hz` is how often it looks at all threads, None: as often as is cheap. austin alone does: py-spy does not tell
    when a sample was taken.
    """

    name: BackendName
    wanted_hz: int
    fixed: bool = False
    warning: str = ""
    looks_hz: int | None = 0

    def pace(self) -> Pace:
        """The pace of a service's samplers."""
        return Pace(self.wanted_hz, fixed=self.fixed, thread_cost=_THREAD_COST[self.name])

    @property
    def knows_when(self) -> bool:
        """Whether it can say when a sample was taken so exactly that it can be joined with a request."""
        return self.name == "austin" and kernel_tells()

    def sampler(
        self, pid: int, rate_hz: int, now_us: Callable[[], int], processes: int = 1, *, stamped: bool = False
    ) -> Sampler:
        """A sampler of this kind for one of so many processes; `stamped` asks for times as exact as it has them."""
        if self.name == "austin":
            stamped = stamped and self.knows_when
            return AustinSampler(pid, rate_hz, now_us, Looks.wanted(self.looks_hz, processes), stamped=stamped)
        return PySpySampler(pid, rate_hz, now_us)


def choose_backend(wanted: str, rate_hz: int | None = None, looks_hz: int | None = 0) -> BackendChoice:
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
        return BackendChoice(name, rate_hz or _RATES_HZ[name], rate_hz is not None, warning, looks_hz)
    raise AssertionError("every name was looked at")
