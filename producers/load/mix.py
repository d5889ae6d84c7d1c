"""Which endpoint each arrival goes to: by weight, evenly mixed, the same in every visit. Pure."""

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

LONGEST = 1000
"""Arrivals in a cycle at most; weights that need a longer one are rounded to it, none to nothing."""


def cycle_of(weights: Sequence[float]) -> NDArray[np.int16]:
    """Endpoints (indices into `weights`) of one cycle, to be repeated from the start of every segment.

    Each place goes to the endpoint that lags most behind its share, so that any stretch has nearly the mix of the
    whole. No randomness: two visits of a level then differ in nothing but time.
    """
    counts = _whole(weights)
    share = np.array(counts) / sum(counts)
    behind = np.zeros(len(counts))
    cycle = np.empty(sum(counts), dtype=np.int16)
    for place in range(len(cycle)):
        behind += share
        chosen = int(np.argmax(behind.round(9)))
        behind[chosen] -= 1
        cycle[place] = chosen
    return cycle


def _whole(weights: Sequence[float]) -> list[int]:
    """Whole numbers in the proportion of the weights, as small as can be."""
    total = sum(weights)
    shares = [Fraction(weight / total).limit_denominator(LONGEST) for weight in weights]
    scale = lcm(*(share.denominator for share in shares))
    if scale > LONGEST or sum(shares) != 1 or not all(shares):
        scale = max(LONGEST, len(weights))
    return [max(1, round(weight / total * scale)) for weight in weights]
