"""Where arrivals lie on the integral of the rate: evenly, or at random as visitors come who do not know of each other.

A position p is due where the integral of the rate reaches p (see `pacer`). Arrival k of a run has one of about k + 1/2,
ascending with k, below the number of arrivals in all. Pure, and any arrival's place is known without the others before.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Positions = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""From arrivals (by number, ascending) to their positions, of the same shape."""

BLOCK = 4096


def evenly(arrivals: NDArray[np.int64]) -> NDArray[np.float64]:
    """In the middle of each arrival's slot."""
    positions: NDArray[np.float64] = np.add(arrivals, 0.5, dtype=np.float64)
    return positions


class AtRandom:
    """A Poisson process, given that each block of 4,096 arrivals holds as many: their positions are ordered uniforms.

    So the gaps are exponential and short counts vary as Poisson counts do, while the run's total is the plan's, and
    shards that know the seed agree on every arrival. Source: Devroye, "Non-Uniform Random Variate Generation", V.3.1
    (ordered uniforms from exponential gaps).
    """

    def __init__(self, seed: int, total: int) -> None:
        self._seed = seed
        self._total = total
        self._number = -1
        self._block = np.empty(0)

    def __call__(self, arrivals: NDArray[np.int64]) -> NDArray[np.float64]:
        """See Positions."""
        positions = np.empty(len(arrivals))
        blocks = arrivals // BLOCK
        for block in np.unique(blocks).tolist():
            mine = blocks == block
            positions[mine] = block * BLOCK + self._of(block)[arrivals[mine] - block * BLOCK]
        return positions

    def _of(self, block: int) -> NDArray[np.float64]:
        if block != self._number:
            length = min(BLOCK, self._total - block * BLOCK)
            gaps = np.random.default_rng((self._seed, block)).exponential(size=length + 1)
            self._number, self._block = block, length * gaps[:-1].cumsum() / gaps.sum()
        return self._block
