"""Flush ids: which attempt at storing which batch a row belongs to.

An id is `milliseconds << 22 | 22 random bits`. Every batch of every attempt has its own: were two batches of one write
to share an id, one of them stored again would leave its first rows visible through the other.
"""

from collections.abc import Callable
from random import SystemRandom

RANDOM_BITS = 22
STALE_US = 600 * 1_000_000
"""A write that took longer than this is done again under new ids, so that no sweeper can have met its rows."""


def first_flush_at(time_us: int) -> int:
    """The smallest id that could be taken at `time_us` (microseconds since the Unix epoch)."""
    return (time_us // 1000) << RANDOM_BITS


class FlushIds:
    """Gives out ids; `now_us` is the clock, in microseconds since the Unix epoch."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._random = SystemRandom()
        self._last_ms = 0

    def take(self, count: int) -> list[int]:
        """`count` ids, distinct from each other and from all given out before, also when the clock stands still."""
        self._last_ms = max(self._now_us() // 1000, self._last_ms + 1)
        return [self._last_ms << RANDOM_BITS | low for low in self._random.sample(range(1 << RANDOM_BITS), count)]
