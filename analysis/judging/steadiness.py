"""When a rate has been held for long enough to be judged: things are steady, or plainly broken."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STEADY_WITHIN = 0.15
"""Two halves that differ by no more, in median latency and in throughput, are taken for the same."""
STEADY_WITHIN_US = 1_000.0
"""Nor do medians differ that are so near: it is the resolution of timers and schedulers."""
PLAIN_SHARE = 0.20
"""Of what was due, failed or dropped: no service whose limit this is would be held longer."""
PLAIN_S = 3.0


def halves_agree(first_us: NDArray[np.float64], second_us: NDArray[np.float64]) -> bool:
    """Whether two stretches of equal length look alike, by the latencies of what was answered in each.

    Throughputs also agree when they differ by no more than chance does: twice the standard deviation of the difference
    of two Poisson counts. Two stretches in which nothing was answered agree.
    """
    counts = len(first_us), len(second_us)
    chance = 2 * np.sqrt(sum(counts))
    if abs(counts[0] - counts[1]) > max(STEADY_WITHIN * max(counts), chance):
        return False
    if not all(counts):
        return True
    medians = float(np.median(first_us)), float(np.median(second_us))
    return abs(medians[0] - medians[1]) <= max(STEADY_WITHIN * max(medians), STEADY_WITHIN_US)


def plain_share(error_limit: float) -> float:
    """From which share of failed and dropped arrivals a rate is plainly broken, where errors may be up to a limit."""
    return max(PLAIN_SHARE, min(5 * error_limit, (1 + error_limit) / 2))


def lost_for_long(lost: Sequence[int], due: Sequence[int], window_us: int, share: float) -> float | None:
    """The share of arrivals that were lost over the last 3 seconds, when each window of these lost over `share`.

    `lost` and `due` are of windows in order of time; the result is None while it is not so plain.
    """
    count = max(1, round(PLAIN_S * 1e6 / window_us))
    if len(due) < count:
        return None
    last = list(zip(lost[-count:], due[-count:], strict=True))
    if not all(one_due and one_lost > share * one_due for one_lost, one_due in last):
        return None
    return sum(lost[-count:]) / sum(due[-count:])
