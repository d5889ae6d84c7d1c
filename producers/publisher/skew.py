"""How far a producer's clock is from Kafka's, told from acknowledgements.

A topic with LogAppendTime answers each message with the time at which the broker appended it. That moment lies within
the round trip, so the middle of the round trip is off by half of it at most, and of several readings the one with the
shortest round trip says most. Source: F. Cristian, "Probabilistic clock synchronization", Distributed Computing 3
(1989), 146-158.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

CORRECT_FROM_US = 50_000
"""A clock that is off by less is left alone: nothing is gained, and on one host there is nothing to correct."""
_BROKER_UNIT_US = 1000
_FORGET_AFTER_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """Kafka's clock less ours, in microseconds, give or take `error_us`."""

    offset_us: int
    error_us: int

    @classmethod
    def of(cls, sent_us: int, acknowledged_us: int, broker_ms: int) -> Self:
        """From our times around a round trip and the broker's time within it, which is whole milliseconds."""
        broker_us = broker_ms * _BROKER_UNIT_US + _BROKER_UNIT_US // 2
        middle_us = (sent_us + acknowledged_us) // 2
        return cls(broker_us - middle_us, (acknowledged_us - sent_us + 1) // 2 + _BROKER_UNIT_US // 2)

    @property
    def correction_us(self) -> int:
        """What to add to our clock: nothing unless it is notably off."""
        return self.offset_us if abs(self.offset_us) > CORRECT_FROM_US + self.error_us else 0


def best(readings: Iterable[Reading]) -> Reading | None:
    """The one that says most."""
    return min(readings, key=lambda reading: reading.error_us, default=None)


@dataclass(frozen=True, slots=True)
class Skew:
    """What was learnt of a producer's clock. `correction_us` was added to it; `residual` is what is left now.

    No residual where the broker does not tell its time.
    """

    correction_us: int = 0
    residual: Reading | None = None


class Residual:
    """The best reading of the last minute or two; times are microseconds of a clock that never steps."""

    def __init__(self, first: Reading | None, now_us: int) -> None:
        self._before: Reading | None = None
        self._now = first
        self._since_us = now_us

    def hear(self, reading: Reading, now_us: int) -> None:
        """Another acknowledgement came."""
        if now_us - self._since_us >= _FORGET_AFTER_US:
            self._before, self._now, self._since_us = self._now, None, now_us
        self._now = best(filter(None, (self._now, reading)))

    @property
    def reading(self) -> Reading | None:
        """What is known now."""
        return best(filter(None, (self._now, self._before)))
