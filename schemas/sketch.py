"""A mergeable latency sketch: counts in logarithmic buckets, relative error at most 1%.

Bucket i holds the latencies in (G**(i-1), G**i] microseconds and stands for 2 * G**i / (G + 1); with G = 1.02 that is
within 1% of each of them. Merging adds counts, so any grouping of windows gives the same answer, in Python as in SQL.
Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
PVLDB 12(12), 2019.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import ceil, log
from operator import mul
from typing import Self

import numpy as np
from numpy.typing import NDArray

GAMMA = 1.02
RELATIVE_ERROR = (GAMMA - 1) / (GAMMA + 1)


def buckets_of(latencies_us: NDArray[np.integer]) -> NDArray[np.int64]:
    """The bucket of each latency in microseconds; what is under 1 us counts as 1 us."""
    logs = np.log(np.maximum(latencies_us, 1)) / log(GAMMA)
    found: NDArray[np.int64] = np.ceil(logs - 1e-9).astype(np.int64)
    return found


@cache  # there are hardly more than a thousand
def latency_us(bucket: int) -> float:
    """The latency in microseconds that a bucket stands for."""
    return float(2 * GAMMA**bucket / (GAMMA + 1))


@dataclass(frozen=True, slots=True)
class Sketch:
    """Counts per bucket: `buckets` ascending, `counts` of the same length, all above zero."""

    buckets: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, latencies_us: NDArray[np.integer]) -> Self:
        """Sketch of latencies in microseconds; what is under 1 us counts as 1 us."""
        buckets, counts = np.unique(buckets_of(latencies_us), return_counts=True)
        return cls(tuple(buckets.tolist()), tuple(counts.tolist()))

    @classmethod
    def merged(cls, sketches: Iterable["Sketch"]) -> Self:
        """The sketch of all latencies together."""
        total: dict[int, int] = {}
        for sketch in sketches:
            for bucket, count in zip(sketch.buckets, sketch.counts, strict=True):
                total[bucket] = total.get(bucket, 0) + count
        buckets = sorted(total)
        return cls(tuple(buckets), tuple(total[bucket] for bucket in buckets))

    @property
    def count(self) -> int:
        """How many latencies went in."""
        return sum(self.counts)

    @property
    def mean_us(self) -> float | None:
        """The mean in microseconds, within 1%; None of an empty sketch."""
        if not self.counts:
            return None
        total_us: float = sum(map(mul, map(latency_us, self.buckets), self.counts))
        return total_us / self.count

    def quantile_us(self, q: float) -> float | None:
        """The latency of rank ceil(q * count), in microseconds, within 1%; None of an empty sketch."""
        return self.quantiles_us(q)[0]

    def quantiles_us(self, *qs: float) -> list[float | None]:
        """`quantile_us` of several, for the price of one."""
        if not self.counts:
            return [None] * len(qs)
        seen = list(accumulate(self.counts))
        ranks = [min(max(ceil(q * seen[-1]), 1), seen[-1]) for q in qs]
        return [latency_us(self.buckets[bisect_left(seen, rank)]) for rank in ranks]
