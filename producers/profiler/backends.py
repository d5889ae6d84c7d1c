"""Which sampler to take: `auto` goes by what the truth benchmark shows (`make truth`; figures in the README)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from producers.profiler.austin import AustinSampler
from producers.profiler.errors import SamplerError
from producers.profiler.pyspy import PySpySampler
from producers.profiler.sampler import Sampler, program

Backend = Literal["auto", "austin", "py-spy"]


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """A sampler that can be had here, and its rate."""

    name: Literal["austin", "py-spy"]
    rate_hz: int

    def sampler(self, pid: int, now_us: Callable[[], int]) -> Sampler:
        """A sampler of this kind for one process."""
        kind = AustinSampler if self.name == "austin" else PySpySampler
        return kind(pid, self.rate_hz, now_us)


# The rate at which each keeps its cost under 5% of a core and its truth; see the benchmark.
_RATES_HZ = {"austin": 200, "py-spy": 150}


def choose_backend(wanted: str, rate_hz: int | None = None) -> BackendChoice:
    """Austin where it is installed, else py-spy, unless one is named. Raises SamplerError, with the remedy."""
    if wanted not in ("auto", "austin", "py-spy"):
        raise SamplerError(f"no sampler is called {wanted!r}; take auto, austin or py-spy")
    names: tuple[Literal["austin", "py-spy"], ...] = ("austin", "py-spy")
    for name in names:
        if wanted in (name, "auto"):
            try:
                program(name)
            except SamplerError:
                if wanted == name or name == names[-1]:
                    raise
                continue
            return BackendChoice(name, rate_hz or _RATES_HZ[name])
    raise AssertionError("every name was looked at")
