"""How long requests waited to be readable: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray


def waited_s(
    windows: NDArray[np.integer], completed_us: NDArray[np.integer], seen_us: Mapping[int, int]
) -> NDArray[np.float64]:
    """Seconds from each request's completion until its window was seen. Raises KeyError for a window that never was."""
    distinct, members = np.unique(windows, return_inverse=True)
    seen = np.array([seen_us[window] for window in distinct.tolist()], np.int64)
    return np.asarray((seen[members] - completed_us) / 1e6, np.float64)


@dataclass(frozen=True, slots=True)
class Waited:
    """Seconds from completion to readable: percentiles of all requests, and (p50, p99) of each minute since the first
    completion; not a number where nothing completed.
    """

    p50_s: float
    p99_s: float
    minutes: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, completed_us: NDArray[np.integer], waited: NDArray[np.float64]) -> Self:
        """Of requests in any order."""
        if not len(waited):
            return cls(np.nan, np.nan, ())
        minute = (completed_us - completed_us.min()) // 60_000_000
        order = np.argsort(minute, kind="stable")
        bounds = np.searchsorted(minute[order], np.arange(int(minute.max()) + 2)).tolist()
        parts = (waited[order[start:end]] for start, end in pairwise(bounds))
        return cls(*_percentiles(waited), tuple(map(_percentiles, parts)))


def _percentiles(waited: NDArray[np.float64]) -> tuple[float, float]:
    if not len(waited):
        return np.nan, np.nan
    p50, p99 = np.percentile(waited, [50, 99])
    return float(p50), float(p99)
