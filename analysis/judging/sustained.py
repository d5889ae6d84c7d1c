"""Thresholds with `for 10s`: broken once they did not hold for so long without a break."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


def windows_for(seconds: float, window_us: int) -> int:
    """How many windows in a row are so long: at least one."""
    return max(1, round(seconds * 1e6 / window_us))


def sustained(values: NDArray[np.float64], count: int, *, is_from_above: bool) -> float | None:
    """The worst value that lasted: the highest that `count` neighbours all reached, or the lowest none exceeded.

    `values` has the shape (windows,), in order of time, NaN where there is nothing to judge; such a window ends a
    stretch. None when no stretch is so long.
    """
    if len(values) < count:
        return None
    stretches = sliding_window_view(values, count)
    lasted = stretches.min(axis=1) if is_from_above else stretches.max(axis=1)
    known = lasted[~np.isnan(lasted)]
    if not len(known):
        return None
    return float(known.max() if is_from_above else known.min())
