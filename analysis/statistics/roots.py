"""Where a curve comes to a value.

Written out for the reason that `nonnegative` is.
"""

from collections.abc import Callable
from math import exp, log

_STEPS, _CLOSE, _NONE = 200, 1e-12, 1e-300


def where(curve: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Where a rising curve, below `value` at `low` and above it at `high`, comes to it. All of them are positive, but
    that the curve may begin with 0.

    By the logarithms of both, among which what grows as some power is a line, and the Illinois method: secants, where
    the end that stays weighs half. Source: Dowell, Jarratt, "A modified regula falsi method for computing the root of
    an equation", BIT 11, 1971.
    """

    def over(at: float) -> float:
        return log(max(curve(exp(at)), _NONE) / value)

    first, last = log(low), log(high)
    below, above, side, at = over(first), over(last), 0, first
    for _ in range(_STEPS):
        at = last - above * (last - first) / (above - below)
        here = over(at)
        if abs(here) <= _CLOSE:
            break
        if here < 0:
            first, below = at, here
            above = above / 2 if side < 0 else above
            side = -1
        else:
            last, above = at, here
            below = below / 2 if side > 0 else below
            side = 1
    return exp(at)
