"""Figures of the truth benchmark with their noise, and what may be said of them. Pure: slices in, figures out."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.student import t_quantile

Says = Literal["within", "OUTSIDE", "cannot tell"]
_SURE = 0.975
"""The quantile at the high end of a 95% interval."""
_TRIMMED = 0.2


@dataclass(slots=True)
class Slice:
    """Some whole windows at one rate: CPU in microseconds by function, and of the whole service.

    `true_us` and `process_us` are the service's own figures, `found_us` and the samples what the profile says (empty
    when nobody watches). `waited_us` is how long its threads stood in the run queue, `agent_us` what watching cost in
    each window. A slice of which the service noted nothing has no requests.
    """

    rate_tps: float
    watched: bool
    requests: int = 0
    process_us: float = 0.0
    true_us: dict[str, float] = field(default_factory=dict)
    found_us: dict[str, float] = field(default_factory=dict)
    found_samples: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    waited_us: float = 0.0
    agent_us: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure, one standard error of it, and of how many degrees of freedom that is.

    The noise is infinite where there was too little to know it.
    """

    value: float
    noise: float
    freedom: float = math.inf

    @property
    def low(self) -> float:
        """Low end of the 95% interval."""
        return self.value - self._reach

    @property
    def high(self) -> float:
        """High end of the 95% interval."""
        return self.value + self._reach

    @property
    def _reach(self) -> float:
        return t_quantile(_SURE, self.freedom) * self.noise

    def says(self, low: float, high: float) -> Says:
        """Whether the whole 95% interval lies within [low, high], or the whole of it outside."""
        if low <= self.low and self.high <= high:
            return "within"
        return "OUTSIDE" if self.high < low or self.low > high else "cannot tell"


def ratio(slices: Sequence[Slice], names: Iterable[str]) -> Figure:
    """CPU found over CPU true of functions that do not call one another.

    Its noise is the larger of two: that of drawing so many samples, sqrt(1/k - 1/n) for k of n of them, and what the
    slices show among themselves (jackknife; Efron and Stein 1981), which knows of more than the drawing.
    """
    names = tuple(names)
    found_us = np.array([sum(one.found_us.get(name, 0.0) for name in names) for one in slices])
    true_us = np.array([sum(one.true_us.get(name, 0.0) for name in names) for one in slices])
    value = float(found_us.sum() / max(true_us.sum(), 1.0))
    hits = sum(one.found_samples.get(name, 0) for one in slices for name in names)
    if not hits:
        return Figure(value, math.inf)
    drawing = value * math.sqrt(max(0.0, 1 / hits - 1 / max(hits, sum(one.samples for one in slices))))
    return Figure(value, max(drawing, _jackknife(found_us, true_us)))


def _jackknife(over: NDArray[np.float64], under: NDArray[np.float64]) -> float:
    """Standard error of sum(over) / sum(under) from leaving out one slice after the other; 0 for fewer than three."""
    if (count := len(over)) < 3:
        return 0.0
    without = (over.sum() - over) / np.maximum(under.sum() - under, 1.0)
    return float(math.sqrt((count - 1) / count * np.square(without - without.mean()).sum()))


def quotient(high: Figure, low: Figure) -> Figure:
    """One figure over another, their noise independent."""
    value = high.value / max(low.value, 1e-9)
    return Figure(value, value * math.hypot(high.noise / max(high.value, 1e-9), low.noise / max(low.value, 1e-9)))


def slow_down(slices: Sequence[Slice]) -> Figure:
    """CPU per request watched over unwatched, less one, from slices in the order ABBA: each pair of neighbours once.

    Neighbours share what the machine does at the time, and in every other pair the order is the other one, so that a
    trend leaves no trace. Of the pairs' logarithms the mean is taken without a fifth at either end, for on a shared
    machine some slices are far off; its standard error is Yuen's (Tukey and McLaughlin 1963; Yuen 1974).
    """
    changes = sorted(
        (_log_cost(first) - _log_cost(second)) * (1 if first.watched else -1)
        for first, second in zip(slices[::2], slices[1::2], strict=False)
        if first.watched != second.watched and first.requests and second.requests
    )
    count = len(changes)
    if not count:
        return Figure(math.nan, math.inf)
    cut = int(_TRIMMED * count)
    kept = changes[cut : count - cut]
    value = math.expm1(statistics.fmean(kept))
    if len(kept) < 3:
        return Figure(value, math.inf)
    drawn_in = [min(max(change, kept[0]), kept[-1]) for change in changes]
    noise = statistics.stdev(drawn_in) * math.sqrt(count - 1) / math.sqrt(len(kept) * (len(kept) - 1))
    return Figure(value, noise, len(kept) - 1)


def pooled(figures: Sequence[Figure]) -> Figure:
    """Figures of the same thing as one, each with the weight of its certainty (inverse variance)."""
    known = [one for one in figures if math.isfinite(one.noise) and one.noise > 0]
    if not known:
        return Figure(math.nan, math.inf)
    weights = [one.noise**-2 for one in known]
    value = sum(weight * one.value for weight, one in zip(weights, known, strict=True)) / sum(weights)
    return Figure(value, sum(weights) ** -0.5, sum(one.freedom for one in known))


def _log_cost(one: Slice) -> float:
    return math.log(one.process_us / one.requests)


def mean(values: Sequence[float]) -> Figure:
    """The mean of figures, and its standard error."""
    if not values:
        return Figure(math.nan, math.inf)
    if len(values) < 3:
        return Figure(statistics.fmean(values), math.inf)
    return Figure(statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values)), len(values) - 1)
