"""Percentiles when some latencies are only known to be longer than something.

A request that was dropped, timed out, or was under way when the run ended took longer than it was watched: it is
right-censored. Leaving it out would flatter the service (a cap of 100 in flight turns the p95 of a stalling target
from 376 ms into 1 ms), so it ranks above every answer. A percentile that falls among such requests is a bound.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Percentile:
    """A latency in microseconds; when `censored`, the true one is somewhere above it."""

    us: float
    censored: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Latencies:
    """Latencies in microseconds by value and count: `answered`, and `censored` with how long each was watched.

    All arrays have the shape (distinct values,), values ascending or not; a dropped request was watched for 0 us.
    """

    answered_us: NDArray[np.float64]
    answered: NDArray[np.int64]
    censored_us: NDArray[np.float64]
    censored: NDArray[np.int64]

    @classmethod
    def of(cls, answered: Iterable[tuple[float, int]], censored: Iterable[tuple[float, int]] = ()) -> Self:
        """From pairs of value (us) and count."""
        return cls(*_columns(answered), *_columns(censored))

    @classmethod
    def merged(cls, parts: Iterable["Latencies"]) -> Self:
        """All of them together."""
        several = list(parts) or [cls.of(())]
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in several])
                for name in ("answered_us", "answered", "censored_us", "censored")
            )
        )

    @property
    def count(self) -> int:
        """Requests in all."""
        return int(self.answered.sum() + self.censored.sum())

    def quantile(self, q: float) -> Percentile | None:
        """The latency of rank ceil(q * count); None when there are no requests.

        Among the censored, the bound is the same rank with each counted as no longer than it was watched: the true
        value cannot be lower.
        """
        if not self.count:
            return None
        rank = min(max(ceil(q * self.count - 1e-9), 1), self.count)
        if rank <= self.answered.sum():
            return Percentile(_ranked(self.answered_us, self.answered, rank))
        values = np.concatenate([self.answered_us, self.censored_us])
        counts = np.concatenate([self.answered, self.censored])
        return Percentile(_ranked(values, counts, rank), censored=True)

    @property
    def mean(self) -> Percentile | None:
        """The mean; a bound as soon as one request is censored."""
        if not self.count:
            return None
        total = float((self.answered_us * self.answered).sum() + (self.censored_us * self.censored).sum())
        return Percentile(total / self.count, censored=bool(self.censored.sum()))


def longest(counts: Mapping[int, int], number: int) -> Iterator[tuple[int, int]]:
    """So many of the greatest values, as pairs (value, count): the unanswered, of which only the number is known.

    That is right where they were waited for longer than any answer took; where some failed at once, the answers that
    are left are too few by the slow ones, so that what is ranked among them is a lower bound.
    """
    for value in sorted(counts, reverse=True):
        taken = min(number, counts[value])
        number -= taken
        if taken:
            yield value, taken


def _columns(pairs: Iterable[tuple[float, int]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    known = [(value, count) for value, count in pairs if count > 0]
    return np.array([value for value, _ in known], np.float64), np.array([count for _, count in known], np.int64)


def _ranked(values: NDArray[np.float64], counts: NDArray[np.int64], rank: int) -> float:
    order = np.argsort(values)
    place = int(np.searchsorted(np.cumsum(counts[order]), rank))
    return float(values[order][place])
