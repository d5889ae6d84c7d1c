"""How far a service can go: what it was seen to hold, and where its CPU time runs out.

Utilisation law: throughput x CPU time per request = cores in use (Denning, Buzen, "The Operational Analysis of
Queueing Network Models", ACM Computing Surveys 10(3), 1978). A Python process has one core's worth of interpreter,
whatever its threads. Cores in use are modelled as the sum of

- each growing function by itself: a power of the throughput, fitted by quasi-likelihood, which weighs the highest
  levels most, from where the extrapolation starts;
- the rest of the process: a fixed part and a part for each request, or a power where the rest grows as well.

Simulated over seven kinds of growth (n, n log n, n^1.5, n^2, n^3, mixed) from 320 TPS to a limit at 340-1050, this
combination was within 4% on average except for weak growth far beyond the levels (17% too high); powers for both parts
were up to 42% off, non-negative polynomials up to 26%. The interval has both kinds of noise in it: visits are drawn
again within their level, and every other draw takes a non-negative polynomial for the growing functions instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from analysis.costs.growth import SUPERLINEAR_ABOVE, Experiment
from analysis.statistics.nonnegative import nonnegative
from analysis.statistics.regression import design, rate_slope
from analysis.statistics.roots import where
from analysis.statistics.student import normal_quantile, t_quantile

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Curve = Callable[[float], float]
"""Throughput (requests/s) to cores in use."""

Model = Callable[[Experiment, Floats, Rows], Curve]
"""Fits a curve to CPU microseconds a block, over some of the blocks."""

RESAMPLES = 300
ENOUGH = 0.9
FURTHEST = 100.0
"""The limit is sought up to this many times the highest rate seen; beyond, nothing is said."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Requests per second, with a 95% interval; its ends are None when no level was visited twice."""

    tps: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The limit if a function's cost per request stayed what it is at the lowest level, `us` microseconds."""

    function: str
    us: float
    limit: Estimate


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where `limit_cores` are used up; `shares` says what part of them each growing function takes there."""

    limit: Estimate
    limit_cores: float
    shares: dict[str, float]
    what_ifs: tuple[WhatIf, ...]
    beyond: float
    """The limit over the highest rate seen: 1 and below is no extrapolation."""


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The service as curves; `flat` holds each growing function's cores per request/s at the lowest level."""

    rest: Curve
    growing: tuple[Curve, ...]
    flat: tuple[float, ...]

    def cores(self, tps: float, held: int | None = None) -> float:
        """Cores in use at a throughput, one growing function held at its lowest-level cost."""
        parts = (
            flat * tps if place == held else curve(tps)
            for place, (curve, flat) in enumerate(zip(self.growing, self.flat, strict=True))
        )
        return self.rest(tps) + sum(parts)

    def limits(self, limit_cores: float, top_tps: float) -> list[float | None]:
        """The limit as it is, then with each growing function in turn held at its lowest-level cost."""
        changes = [None, *range(len(self.growing))]
        return [_where(partial(self.cores, held=held), limit_cores, top_tps) for held in changes]


@dataclass(frozen=True, slots=True, eq=False)
class Modelled:
    """A service as curves, and the same from visits drawn again; `names` are of its growing functions."""

    names: tuple[str, ...]
    top_tps: float
    visits: NDArray[np.int64]
    service: _Fitted
    drawn: tuple[_Fitted, ...]

    def cores_at(self, tps: float) -> Estimate:
        """Cores in use at a throughput; this estimate is in cores."""
        point, draws = self.service.cores(tps), [draw.cores(tps) for draw in self.drawn]
        found = _estimate(point, draws, self.visits)
        assert found is not None
        return found

    def prediction(self, limit_cores: float) -> Prediction | None:
        """Where so many cores are used up; None when that is out of sight."""
        points = self.service.limits(limit_cores, self.top_tps)
        draws = [draw.limits(limit_cores, self.top_tps) for draw in self.drawn]
        limit = _estimate(points[0], [draw[0] for draw in draws], self.visits)
        # The cost at the lowest level rests on its visits alone.
        changed = [
            _estimate(point, [draw[place] for draw in draws], self.visits[:1])
            for place, point in enumerate(points[1:], start=1)
        ]
        if limit is None:
            return None
        changes = zip(self.names, self.service.flat, changed, strict=True)
        what_ifs = [WhatIf(name, flat * 1e6, estimate) for name, flat, estimate in changes if estimate is not None]
        shares = zip(self.names, self.service.growing, strict=True)
        return Prediction(
            limit,
            limit_cores,
            {name: min(1.0, curve(limit.tps) / limit_cores) for name, curve in shares},
            tuple(sorted(what_ifs, key=lambda what_if: -what_if.limit.tps)),
            limit.tps / self.top_tps,
        )


def modelled(experiment: Experiment, growing: dict[str, Floats], *, seed: int) -> Modelled | None:
    """The service as curves. `growing` holds each growing function's CPU microseconds a block, none counted twice.

    None when the blocks do not span enough rates.
    """
    if experiment.lacks or experiment.cpu_us.sum() <= 0:
        return None
    rest_us = np.maximum(experiment.cpu_us - sum(growing.values(), np.zeros_like(experiment.cpu_us)), 0.0)
    rest_as: Model = _power if _grows(experiment, rest_us) else _fixed_and_each

    def fitted(rows: Rows, growing_as: Model) -> _Fitted:
        lowest = rows[experiment.level_tps[rows] == experiment.level_tps.min()]
        each = 1e-6 / experiment.completed[lowest].sum()
        return _Fitted(
            rest_as(experiment, rest_us, rows),
            tuple(growing_as(experiment, cpu_us, rows) for cpu_us in growing.values()),
            tuple(float(cpu_us[lowest].sum() * each) for cpu_us in growing.values()),
        )

    random = np.random.default_rng(seed)
    return Modelled(
        tuple(growing),
        float(experiment.tps.max()),
        np.unique(experiment.level_tps, return_counts=True)[1],
        fitted(np.arange(len(experiment.tps)), _power),
        tuple(fitted(_resampled(experiment, random), (_power, _polynomial)[draw % 2]) for draw in range(RESAMPLES)),
    )


def measured(held: Sequence[tuple[float, bool]]) -> float | None:
    """The highest throughput that held its thresholds, from pairs (throughput, held) of stages; None if none did."""
    return max((tps for tps, kept in held if kept), default=None)


def _power(experiment: Experiment, cpu_us: Floats, rows: Rows) -> Curve:
    """Cores as a power of the throughput."""
    tps, cpu_us, seconds = experiment.tps[rows], cpu_us[rows], experiment.seconds[rows]
    slope = rate_slope(cpu_us, seconds * 1e6, design(np.log(tps)))
    exponent = 1.0 if slope is None else slope.value
    # With the exponent given, quasi-likelihood puts the sum of the model on the sum of the data.
    scale = float(cpu_us.sum() / (seconds * 1e6 * tps**exponent).sum())
    return lambda at: scale * at**exponent


def _grows(experiment: Experiment, cpu_us: Floats) -> bool:
    slope = rate_slope(cpu_us, experiment.completed, experiment.columns)
    return slope is not None and 1 + slope.interval()[0] > SUPERLINEAR_ABOVE


def _fixed_and_each(experiment: Experiment, cpu_us: Floats, rows: Rows) -> Curve:
    """Cores as a fixed part and a part for each request, neither below zero."""
    return _summed(experiment, cpu_us, rows, (0, 1))


def _polynomial(experiment: Experiment, cpu_us: Floats, rows: Rows) -> Curve:
    """Cores as a part for each request and parts that grow with the rate and its square, none below zero."""
    return _summed(experiment, cpu_us, rows, (1, 2, 3))


def _summed(experiment: Experiment, cpu_us: Floats, rows: Rows, powers: tuple[int, ...]) -> Curve:
    tps, seconds = experiment.tps[rows], experiment.seconds[rows]
    cores = cpu_us[rows] / (seconds * 1e6)
    top = float(tps.max())
    basis = np.column_stack([(tps / top) ** power for power in powers])
    weight = np.sqrt(seconds / np.maximum(cores, cores.mean() * 0.05 + 1e-12))  # variance grows with the mean
    parts = nonnegative(basis * weight[:, None], cores * weight).tolist()
    return lambda at: float(sum(part * (at / top) ** power for part, power in zip(parts, powers, strict=True)))


def _where(cores: Curve, limit_cores: float, top_tps: float) -> float | None:
    low, high = top_tps / 1e3, top_tps * FURTHEST
    if cores(low) >= limit_cores or cores(high) <= limit_cores:
        return None
    return where(cores, limit_cores, low, high)


def _resampled(experiment: Experiment, random: np.random.Generator) -> Rows:
    rows = []
    for level in np.unique(experiment.level_tps):
        of_level = np.flatnonzero(experiment.level_tps == level)
        rows.append(random.choice(of_level, len(of_level)))
    return np.concatenate(rows)


def _estimate(point: float | None, draws: Sequence[float | None], visits: NDArray[np.int64]) -> Estimate | None:
    """The percentiles of the draws, spread about the estimate by what resampling few visits comes short of.

    That is the root of n / (n - 1) for the spread, and Student's t over the normal for the tails.
    """
    if point is None:
        return None
    found = np.array([draw for draw in draws if draw is not None], np.float64)
    if visits.min() < 2 or len(found) < ENOUGH * len(draws):
        return Estimate(point, None, None)
    degrees = int((visits - 1).sum())
    factor = float((visits.sum() / degrees) ** 0.5 * t_quantile(0.975, degrees) / normal_quantile(0.975))
    low, high = (float(end) for end in np.percentile(found, [2.5, 97.5]))
    return Estimate(point, max(0.0, point - factor * max(0.0, point - low)), point + factor * max(0.0, high - point))
