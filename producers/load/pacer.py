"""When each request is due: the open model, from the analytic integral of the rate. Pure.

The rate runs linearly over each segment, so the number of arrivals due by the time t is the integral

    A(t) = A_start + r0 * t + (r1 - r0) * t**2 / (2 * d)      (t within a segment of d seconds, r0 -> r1 per second)

Arrival k (0, 1, ...) is due where A(t) reaches its position. Even arrivals have k + 1/2, the middle of a slot, so that
a segment whose integral is whole holds exactly that many, whatever floating point makes of its ends; random ones see
`arrivals`. The quadratic is solved in the form that
loses no digits when the slope is small (Press et al., "Numerical Recipes", 5.6).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from producers.load.arrivals import AtRandom, Positions, evenly
from producers.load.segments import Segment


class Pacer:
    """Due times of all arrivals of a run, any stretch of them at a time. `total` is their number.

    Of a load that is shared, shard `index` of `count` has the arrivals k with k % count == index, at the times that
    they have in the whole: the shards together are the plan, exactly. With a `seed` arrivals are random, else even.
    """

    def __init__(self, segments: Sequence[Segment], seed: int | None = None) -> None:
        pieces = [piece for segment in segments for piece in segment.pieces]
        ends_s = np.cumsum([piece.duration_s for piece in pieces]) + segments[0].offset_s
        self._start_s = np.concatenate(([segments[0].offset_s], ends_s[:-1]))
        self._start_us = np.round(self._start_s * 1e6).astype(np.int64)
        self._end_us = np.round(ends_s * 1e6).astype(np.int64)
        self._duration_s = np.array([piece.duration_s for piece in pieces])
        self._rate = np.array([piece.rate_from_tps for piece in pieces])
        self._slope = np.array([(p.rate_to_tps - p.rate_from_tps) / p.duration_s for p in pieces])
        bounds = np.concatenate(([0.0], np.cumsum([piece.arrivals for piece in pieces])))
        self._integral = bounds[:-1]
        self._segment = np.repeat(np.arange(len(segments)), [len(segment.pieces) for segment in segments])
        pieces_before = np.cumsum([0, *(len(segment.pieces) for segment in segments)])
        self.first_arrival = np.ceil(bounds - 0.5).astype(np.int64)[pieces_before]
        """Number of the first arrival of each segment, and behind the last the total, were they even."""
        self.total = int(self.first_arrival[-1])
        self._positions: Positions = evenly if seed is None else AtRandom(seed, self.total)

    def segment_of(self, arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the segment that each arrival (by number, below `total`) belongs to."""
        segments: NDArray[np.int64] = self._segment[self._piece_of(self._positions(arrivals))]
        return segments

    def _piece_of(self, positions: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(self._integral, positions, side="right") - 1

    def due_us(self, arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Due times of arrivals (by number, below `total`, ascending), microseconds from the run's start, ascending."""
        positions = self._positions(arrivals)
        at = self._piece_of(positions)
        gone = positions - self._integral[at]
        rate, slope = self._rate[at], self._slope[at]
        divisor = rate + np.sqrt(np.maximum(rate * rate + 2 * slope * gone, 0.0))
        # The last random arrival may lie beyond the integral, by half of one, which a rate near zero never reaches.
        with np.errstate(over="ignore"):
            within_s = np.divide(2 * gone, divisor, out=np.zeros_like(gone), where=divisor > 0)
        within_s = np.minimum(within_s, self._duration_s[at])
        due = ((self._start_s[at] + within_s) * 1e6).astype(np.int64)
        within: NDArray[np.int64] = np.clip(due, self._start_us[at], self._end_us[at] - 1)
        return within
