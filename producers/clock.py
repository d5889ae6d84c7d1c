"""The one clock of a producer: Unix time that never steps, by Kafka's clock where that can be told."""

import time
from collections.abc import Callable
from copy import copy
from typing import Protocol

_LOOKS = 3


class Clock(Protocol):
    """What everything here asks for the time."""

    @property
    def now_us(self) -> Callable[[], int]:
        """Call it for microseconds since the Unix epoch; never less than before."""


class SteadyClock:
    """Wall time as it was when this object was made, carried on by the performance counter.

    `correction_us` is added once and for all: what the host's clock is behind the one that counts.
    """

    def __init__(self, correction_us: int = 0, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._set(ahead(wall_ns, time.perf_counter_ns) + correction_us * 1000)

    def _set(self, anchor_ns: int) -> None:
        self._anchor_ns, counter_ns = anchor_ns, time.perf_counter_ns
        # A closure, not a method: every request asks three times, and this way it takes two thirds as long.
        self.now_us: Callable[[], int] = lambda: (anchor_ns + counter_ns()) // 1000

    def at_us(self, counter_ns: int) -> int:
        """What it said, or says, as the performance counter is at so many nanoseconds."""
        return (self._anchor_ns + counter_ns) // 1000

    def moved(self, correction_us: int) -> "SteadyClock":
        """Another clock, which is ahead of this one by so much, and as steady."""
        other = copy(self)
        other._set(self._anchor_ns + correction_us * 1000)  # noqa: SLF001  of our own kind
        return other


def ahead(one: Callable[[], int], other: Callable[[], int]) -> int:
    """What a clock is ahead of another one, in the unit of both, which cannot be read at the same moment.

    They are looked at several times, and the look that took least counts: who is held up between the two would take the
    first to be behind by all of that time.
    """
    looks = []
    for _ in range(_LOOKS):
        before, now, after = other(), one(), other()
        looks.append((after - before, now - after))
    return min(looks)[1]
