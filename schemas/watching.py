"""What a process says of itself: whether it is well, and how long the things take that it does."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["working", "idle", "starting", "degraded", "stuck"]
_WORST_FIRST: tuple[State, ...] = ("stuck", "degraded", "starting", "working", "idle")


@dataclass(frozen=True, slots=True)
class Health:
    """How a process is. `degraded`: it waits for somebody else, whom the sentence names, and starting it again mends
    nothing; `stuck`: something is to be done and nothing moves, so starting it again may help.
    """

    state: State
    sentence: str


def worst(*healths: Health) -> Health:
    """The one of several, at least one, that is to be told."""
    return min(healths, key=lambda health: _WORST_FIRST.index(health.state))


class Durations:
    """Counts of durations by upper bound, as a Prometheus histogram has them; `bounds_s` ascend, in seconds."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = tuple(bounds_s)
        self._bounds_us = np.array([round(bound * 1e6) for bound in bounds_s])
        self._counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def add(self, duration_s: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self.sum_s += duration_s

    def add_all_us(self, durations_us: NDArray[np.integer]) -> None:
        """Count many, given in microseconds: about 20 ns each."""
        places = np.searchsorted(self._bounds_us, durations_us)
        for place, more in enumerate(np.bincount(places, minlength=len(self._counts)).tolist()):
            self._counts[place] += more
        self.sum_s += float(durations_us.sum(dtype=np.float64)) / 1e6

    def cumulated(self) -> list[tuple[float, int]]:
        """How many were at most so long, by bound in seconds; the last one is infinity and counts all."""
        total = 0
        found = []
        for bound, count in zip((*self._bounds_s, inf), self._counts, strict=True):
            total += count
            found.append((bound, total))
        return found
