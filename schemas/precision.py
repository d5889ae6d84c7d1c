"""How exactly times travel: each is rounded once, where its row is made, so that all who read it read the same.

To the microsecond the times of a request are four to six bytes that no codec can make fewer, and no question asks for
them. Latencies have a grid that halves each bucket of `schemas.sketch`: they stay within 0.5% and half a microsecond,
and in their bucket, so that no quantile changes. Lags are there to be compared with 10 ms, and have a grid of eight
buckets: within 8%. What is on its grid already is not changed. Times of samples are whole milliseconds: samplers know
them to some tens of these. What samples weigh is a number of steps; a sampler's period jitters by less than one, and to
the microsecond that noise was a half of all that a sample takes on disk.
"""

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

from schemas.sketch import GAMMA

UNKNOWN_US = 2**32 - 1
"""As a latency: nobody timed the request (an access log without a duration), so it goes into no percentile."""
LONGEST_US = UNKNOWN_US - 1
"""What a row can say; longer times are told as this one is."""
WEIGHT_STEP_US = 50
_STEPPED_US = 1000
"""Samples that weigh less are told exactly: of them a step would be a large part."""
_NEAR_US = 1 << 16
"""Below it a time is looked up, which takes a tenth of what its logarithm does."""

Us = NDArray[np.integer]


class _Grid:
    """Cells of `buckets` buckets of the sketch, each with one whole number of microseconds to stand for all in it.

    Cell i is (G**((i-1) * buckets), G**(i * buckets)], and 0 stands for itself. The number is the one in the cell from
    which the farthest of the cell is the least off, relatively.
    """

    def __init__(self, buckets: float) -> None:
        self._buckets = buckets
        cells = int(self._cells(np.array([LONGEST_US]))[0]) + 1
        ends = np.minimum(np.floor(GAMMA ** (buckets * np.arange(-1, cells))), LONGEST_US)
        first, last = ends[:-1] + 1, ends[1:]
        middle = 2 * GAMMA ** (buckets * np.arange(cells)) / (GAMMA**buckets + 1)
        # The first cells are narrower than a microsecond; many hold no whole number, and nothing asks for those.
        self._stands = np.clip(np.round(middle), first, np.maximum(first, last)).clip(max=LONGEST_US).astype(np.uint32)
        self._near = self._stands[self._cells(np.arange(_NEAR_US))]
        self._near[0] = 0

    def _cells(self, times_us: Us) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.ceil(
            # As the sketch does it, or a cell would not lie within a bucket.
            (np.log(np.maximum(times_us, 1)) / log(GAMMA) - 1e-9) / self._buckets
        ).astype(np.int64)
        return found

    def rounded(self, times_us: Us) -> NDArray[np.uint32]:
        """The numbers that stand for times in whole microseconds, 0 or more."""
        found: NDArray[np.uint32] = self._near[np.minimum(times_us, _NEAR_US - 1)]
        far = np.flatnonzero(times_us >= _NEAR_US)
        found[far] = self._stands[self._cells(np.minimum(times_us[far], LONGEST_US))]
        return found


_latencies, _lags = _Grid(1 / 2), _Grid(8)


def latencies_us(exact_us: Us) -> NDArray[np.uint32]:
    """Latencies as they travel: within 0.5% and half a microsecond, and each in its bucket of the sketch."""
    return _latencies.rounded(exact_us)


def lags_us(exact_us: Us, whole_us: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Lags as they travel: within 8% and half a microsecond. `whole_us` are the times that they are a part of, as these
    travel (a row's lag until its write, or its latency): no part gets longer than the whole.
    """
    return np.minimum(_lags.rounded(exact_us), whole_us)


def sampled_at_us(exact_us: int) -> int:
    """The time of a sample as it travels: the millisecond in which it was taken, so that it keeps its window."""
    return exact_us // 1000 * 1000


def sample_weights_us(exact_us: Sequence[int]) -> list[int]:
    """Weights of samples as they travel, in their order: within a step, and all together within half of one, for what
    rounding leaves of a weight goes on to the next.
    """
    found, left_us = [], 0
    for exact in exact_us:
        wanted_us = exact + left_us
        stepped_us = (wanted_us + WEIGHT_STEP_US // 2) // WEIGHT_STEP_US * WEIGHT_STEP_US
        found.append(stepped_us if exact >= _STEPPED_US else exact)
        left_us += exact - found[-1]
    return found
