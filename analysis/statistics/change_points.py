"""Where the level of a series changed, by binary segmentation with a test that autocorrelation does not fool.

The test compares the two sides of every possible place, and scales the difference by the series' own wandering on
either side of it (self-normalisation), so that no variance or bandwidth has to be known, and a change does not hide
itself by raising the variance. Source: Shao, Zhang, "Testing for change points in time series", J. American
Statistical Association 105, 2010; its limit is exceeded in 1 of 1,000 series without a change. That holds for long
ones: where few units are much alike, what is found must also stand, by 1 in 1,000, against the correlation of
neighbours that is left between the changes (see `trend.correlation`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.student import t_quantile
from analysis.statistics.trend import correlation

Floats = NDArray[np.float64]

LIMIT = 121.9
FALSE_STEPS = 0.001
_LEAST_DEGREES = 4.0
LEAST_SIDE = 5
SIDE_SHARE = 1 / 12
STANDS_OUT = 3.0
"""A change is at least so many standard deviations of single units: noise that wanders seldom goes so far."""


@dataclass(frozen=True, slots=True)
class Step:
    """The level changes with unit `at`, from the mean of the units since the step before to that of those after."""

    at: int
    before: float
    after: float


def steps(values: Floats) -> tuple[Step, ...]:
    """The changes of level in values of shape (units,), in order of time.

    A level lasts 5 units at least, and a twelfth of the series.
    """
    side = max(LEAST_SIDE, round(len(values) * SIDE_SHARE))
    places = sorted(_places(values, 0, side))
    while places:
        parts = cut(values, places)
        means = [float(part.mean()) for part in parts]
        certain = _certain(parts)
        if min(certain) >= 1:
            return tuple(Step(at, *pair) for at, pair in zip(places, pairwise(means), strict=True))
        del places[int(np.argmin(certain))]
    return ()


def _certain(parts: Sequence[Floats]) -> list[float]:
    """How far each change goes, in units of the least that is believed."""
    residual = np.concatenate([part - part.mean() for part in parts])
    deviation, alike = float(residual.std()), correlation(residual, len(parts))
    degrees = max(len(residual) * (1 - alike) / (1 + alike) - 2, _LEAST_DEGREES)
    far = t_quantile(1 - FALSE_STEPS / 2, degrees) * ((1 + alike) / (1 - alike)) ** 0.5
    found = []
    for before, after in pairwise(parts):
        least = deviation * max(STANDS_OUT, far * (1 / len(before) + 1 / len(after)) ** 0.5)
        size = abs(float(after.mean() - before.mean()))
        found.append(size / least if least > 0 else float("inf"))
    return found


def cut(values: Floats, places: Sequence[int]) -> list[Floats]:
    """The levels: values cut before each of these places, which are in order."""
    return [values[first:last] for first, last in pairwise([0, *places, len(values)])]


def _places(values: Floats, offset: int, side: int) -> list[int]:
    if len(values) < 2 * side:
        return []
    statistic, place = self_normalised(values, side)
    if statistic < LIMIT:
        return []
    earlier, later = _places(values[:place], offset, side), _places(values[place:], offset + place, side)
    return [*earlier, offset + place, *later]


def self_normalised(values: Floats, side: int) -> tuple[float, int]:
    """The greatest self-normalised difference of means, and the place that it belongs to."""
    size = len(values)
    centred = values - values.mean()
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    best, place = 0.0, side
    for at in range(side, size - side + 1):
        first = sums[1 : at + 1] - sums[at] * np.arange(1, at + 1) / at
        rest = sums[size] - sums[at:size]
        second = rest - rest[0] * np.arange(size - at, 0, -1) / (size - at)
        wandering = float(first @ first + second @ second) / size**2
        difference = float(sums[at] - at / size * sums[size]) ** 2 / size
        found = difference / wandering if wandering > 0 else (float("inf") if difference > 1e-12 else 0.0)
        if found > best:
            best, place = found, at
    return best, place
