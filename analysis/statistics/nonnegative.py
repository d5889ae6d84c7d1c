"""Least squares without negative coefficients, for the two or three columns that our curves have.

Written out, because scipy.optimize takes 0.2 s to import, which every report of levels would pay.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def nonnegative(columns: Floats, values: Floats) -> Floats:
    """Coefficients of `columns` (n, few) for `values` (n,), none below zero; shape (few,).

    The solution is the plain fit of those columns that it uses, so of all plain fits without a negative coefficient it
    is the closest one. Source: Lawson, Hanson, "Solving Least Squares Problems", 1974, chapter 23.
    """
    scale = np.maximum(np.sqrt((columns**2).sum(axis=0)), 1e-300)
    columns = columns / scale
    information, moments = columns.T @ columns, columns.T @ values
    width = columns.shape[1]
    best, least = np.zeros(width), float(values @ values)
    for count in range(width, 0, -1):
        for used in map(list, combinations(range(width), count)):
            try:
                some = np.linalg.solve(information[np.ix_(used, used)], moments[used])
            except np.linalg.LinAlgError:  # columns that say the same: fewer of them say it as well
                continue
            if (some < 0).any():
                continue
            residual = values - columns[:, used] @ some
            if (square := float(residual @ residual)) < least:
                least, best = square, np.zeros(width)
                best[used] = some
            if count == width:
                break  # nothing is closer than the plain fit
    return np.asarray(best / scale)
