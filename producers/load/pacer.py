"""When each request is due: the open model, even arrivals, from the analytic integral of the rate. Pure.

The rate runs linearly over each segment, so the number of arrivals due by the time t is the integral

    A(t) = A_start + r0 * t + (r1 - r0) * t**2 / (2 * d)      (t within a segment of d seconds, r0 -> r1 per second)

Arrival k (0, 1, ...) is due where A(t) = k + 1/2: in the middle of its slot, so that a segment whose integral is whole
holds exactly that many arrivals, whatever floating point makes of its ends. The quadratic is solved in the form that
loses no digits when the slope is small (Press et al., "Numerical Recipes", 5.6).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from producers.load.segments import Segment


class Pacer:
    """Due times of all arrivals of a run, any stretch of them at a time. `total` is their number."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._start_s = np.array([segment.offset_s for segment in segments])
        self._start_us = np.round(self._start_s * 1e6).astype(np.int64)
        self._end_us = np.round(np.array([segment.end_s for segment in segments]) * 1e6).astype(np.int64)
        self._rate = np.array([segment.rate_from_tps for segment in segments])
        self._slope = np.array([(s.rate_to_tps - s.rate_from_tps) / s.duration_s for s in segments])
        bounds = np.concatenate(([0.0], np.cumsum([segment.arrivals for segment in segments])))
        self._integral = bounds[:-1]
        self.first_arrival = np.ceil(bounds - 0.5).astype(np.int64)
        """Number of the first arrival of each segment, and behind the last the total."""
        self.total = int(self.first_arrival[-1])

    def segment_of(self, arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the segment that each arrival (by number, below `total`) belongs to."""
        return np.searchsorted(self.first_arrival, arrivals, side="right") - 1

    def due_us(self, first: int, last: int) -> NDArray[np.int64]:
        """Due times of the arrivals first <= k < last (last <= total), microseconds from the run's start, ascending."""
        numbers = np.arange(first, last, dtype=np.int64)
        at = self.segment_of(numbers)
        gone = np.maximum(numbers + 0.5 - self._integral[at], 0.0)
        rate, slope = self._rate[at], self._slope[at]
        divisor = rate + np.sqrt(np.maximum(rate * rate + 2 * slope * gone, 0.0))
        within_s = np.divide(2 * gone, divisor, out=np.zeros_like(gone), where=divisor > 0)
        due = ((self._start_s[at] + within_s) * 1e6).astype(np.int64)
        within: NDArray[np.int64] = np.clip(due, self._start_us[at], self._end_us[at] - 1)
        return within
