"""CPU microseconds per request, with an interval from the spread between the blocks.

The estimate is a ratio of sums, and its variance that of a stratified ratio estimate: blocks of one level are
repetitions of each other, blocks of different levels are not (a function that grows must not look uncertain for it).
Source: Cochran, "Sampling Techniques", 3rd ed., section 6.11 (combined ratio estimate).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.student import t_quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds per answered request, and the 95% interval; the ends are None when no block repeats another."""

    us: float
    low: float | None
    high: float | None


def cost_per_request(cpu_us: Floats, requests: Floats, level_tps: Floats) -> Cost | None:
    """Cost over all blocks: CPU time, answered requests and planned rate of each, shape (blocks,).

    Where no rate was visited twice, all blocks count as repetitions. None without requests.
    """
    known = requests > 0
    cpu_us, requests, level_tps = cpu_us[known], requests[known], level_tps[known]
    if not len(requests):
        return None
    us = float(cpu_us.sum() / requests.sum())
    levels = np.unique(level_tps, return_inverse=True)[1]
    sizes = np.bincount(levels)
    if sizes.max() < 2:
        levels, sizes = np.zeros(len(requests), dtype=np.intp), np.array([len(requests)])
    degrees = int((sizes - 1).sum())
    if degrees < 1:
        return Cost(us, None, None)
    residual = cpu_us - us * requests
    means = np.bincount(levels, residual) / sizes
    squares = np.bincount(levels, (residual - means[levels]) ** 2)
    variance = float((sizes / np.maximum(sizes - 1, 1) * squares).sum()) / float(requests.sum()) ** 2
    half = t_quantile(0.975, degrees) * variance**0.5
    return Cost(us, max(0.0, us - half), us + half)


def cost_at(level: float, cpu_us: Floats, requests: Floats, level_tps: Floats) -> Cost | None:
    """Cost at one planned rate."""
    there = level_tps == level
    return cost_per_request(cpu_us[there], requests[there], level_tps[there])
