"""The one clock of a producer: Unix time that never steps, by Kafka's clock where that can be told."""

import time
from collections.abc import Callable
from typing import Protocol


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
        counter_ns = time.perf_counter_ns
        self._anchor_ns = anchor_ns = wall_ns() - counter_ns() + correction_us * 1000
        # A closure, not a method: every request asks three times, and this way it takes two thirds as long.
        self.now_us: Callable[[], int] = lambda: (anchor_ns + counter_ns()) // 1000

    def at_us(self, counter_ns: int) -> int:
        """What it said, or says, as the performance counter is at so many nanoseconds."""
        return (self._anchor_ns + counter_ns) // 1000

    def moved(self, correction_us: int) -> "SteadyClock":
        """Another clock, which is ahead of this one by so much, and as steady."""
        return SteadyClock(correction_us, lambda: self._anchor_ns + time.perf_counter_ns())
