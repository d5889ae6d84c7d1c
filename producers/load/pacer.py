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
    """Due times of all arrivals of a run, any stretch of them at a time. `total` is their number.

    Of a load that is shared, shard `index` of `count` has the arrivals k with k % count == index, at the times that
    they have in the whole: the shards together are the plan, exactly.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        pieces = [piece for segment in segments for piece in segment.pieces]
        ends_s = np.cumsum([piece.duration_s for piece in pieces]) + segments[0].offset_s
        self._start_s = np.concatenate(([segments[0].offset_s], ends_s[:-1]))
        self._start_us = np.round(self._start_s * 1e6).astype(np.int64)
        self._end_us = np.round(ends_s * 1e6).astype(np.int64)
        self._rate = np.array([piece.rate_from_tps for piece in pieces])
        self._slope = np.array([(p.rate_to_tps - p.rate_from_tps) / p.duration_s for p in pieces])
        bounds = np.concatenate(([0.0], np.cumsum([piece.arrivals for piece in pieces])))
        self._integral = bounds[:-1]
        self._first = np.ceil(bounds - 0.5).astype(np.int64)
        pieces_before = np.cumsum([0, *(len(segment.pieces) for segment in segments)])
        self.first_arrival = self._first[pieces_before]
        """Number of the first arrival of each segment, and behind the last the total."""
        self.total = int(self.first_arrival[-1])

    def segment_of(self, arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the segment that each arrival (by number, below `total`) belongs to."""
        return np.searchsorted(self.first_arrival, arrivals, side="right") - 1

    def due_us(self, arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Due times of arrivals (by number, below `total`, ascending), microseconds from the run's start, ascending."""
        at = np.searchsorted(self._first, arrivals, side="right") - 1
        gone = np.maximum(arrivals + 0.5 - self._integral[at], 0.0)
        rate, slope = self._rate[at], self._slope[at]
        divisor = rate + np.sqrt(np.maximum(rate * rate + 2 * slope * gone, 0.0))
        within_s = np.divide(2 * gone, divisor, out=np.zeros_like(gone), where=divisor > 0)
        due = ((self._start_s[at] + within_s) * 1e6).astype(np.int64)
        within: NDArray[np.int64] = np.clip(due, self._start_us[at], self._end_us[at] - 1)
        return within
