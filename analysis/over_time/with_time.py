"""Functions of a `levels` run that get dearer with time and not with the rate.

The growth fit has a column of time beside the logarithm of the throughput (`regression.design`). For growth its
coefficient is only in the way; here it is the answer. As with growth there are two witnesses, samples against the rest
of the process and CPU time against requests, and the smaller rise counts. Visits come in random order within rounds, so
time and rate are told apart; what grows with the requests served so far grows with time as well, and is told as such.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis import wording
from analysis.costs.growth import MIN_SAMPLES, Experiment
from analysis.evidence.stacks import StackCounts
from analysis.finding import Finding
from analysis.statistics.regression import Slope, holm, odds_slope, rate_slope

Floats = NDArray[np.float64]

FALSE_CLAIMS = 0.01
LEAST_RISE, LEAST_RISE_LOW = 0.15, 0.05
"""From the first visit to the last; visits are few, so that less is not told from a warm machine."""
WEIGHS_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class WithTime:
    """A function's cost at the first visit and at the last, `minutes` later, all rates alike: us per request.

    `rise` is from the one to the other, as a share, with its 95% interval.
    """

    function: str
    first_us: float
    last_us: float
    minutes: float
    rise: float
    low: float
    high: float


def growing_with_time(stacks: StackCounts, experiment: Experiment) -> tuple[WithTime, ...]:
    """The functions whose own code gets dearer with time, the dearest first; none unless the order was random."""
    if experiment.lacks or not experiment.randomised or experiment.columns.shape[1] < 3:
        return ()
    minutes = float(experiment.minutes.max() - experiment.minutes.min())
    # Time before rate: the coefficient that is asked for stands in column 1.
    columns = experiment.columns[:, [0, 2, 1]]
    own = _own(stacks)
    us_per_sample = experiment.cpu_us / np.maximum(stacks.total, 1)
    slopes = {
        name: _slope(counts, stacks.total - counts, us_per_sample, experiment, columns) for name, counts in own.items()
    }
    known = {name: slope for name, slope in slopes.items() if slope is not None}
    stands = holm(np.array([slope.p_above(0.0) for slope in known.values()]), FALSE_CLAIMS)
    cost_us = float(experiment.cpu_us.sum() / experiment.completed.sum())
    found = []
    for (name, slope), stand in zip(known.items(), stands, strict=True):
        rise, low, high = (float(np.expm1(one * minutes)) for one in (slope.value, *slope.interval()))
        mean_us = float((own[name] * us_per_sample).sum() / experiment.completed.sum())
        middle = experiment.minutes.min() + minutes / 2
        first_us = mean_us * float(np.exp(slope.value * (experiment.minutes.min() - middle)))
        one = WithTime(name, first_us, first_us * (1 + rise), minutes, rise, low, high)
        if stand and rise >= LEAST_RISE and low >= LEAST_RISE_LOW and one.last_us - first_us >= WEIGHS_SHARE * cost_us:
            found.append(one)
    return tuple(sorted(found, key=lambda one: one.first_us - one.last_us))


def told(found: WithTime) -> Finding:
    """As a finding of kind `drift`."""
    function, bracket, file = found.function.partition(" (")
    rise = wording.between(*(f"{share:.0%}" for share in (found.rise, found.low, found.high)))
    text = (
        f"`{function}`{bracket}{file}, in its own code, gets dearer with time and not with the rate: by {rise} within "
        f"{wording.hours(found.minutes / 60)}, from {wording.us(found.first_us)} to {wording.us(found.last_us)} per "
        "request: something fills up (a cache, a list, a table)."
    )
    evidence = {name: getattr(found, name) for name in WithTime.__slots__ if name != "function"}
    return Finding("drift", text, found.function, {"measure": "function", **evidence})


def _slope(
    counts: Floats, others: Floats, us_per_sample: Floats, experiment: Experiment, columns: Floats
) -> Slope | None:
    if counts.sum() < MIN_SAMPLES or others.sum() < MIN_SAMPLES:
        return None
    relative = odds_slope(counts, others, columns)
    absolute = rate_slope(
        us_per_sample * counts, experiment.completed, columns, least_dispersion=float(us_per_sample.mean())
    )
    if relative is None or absolute is None:
        return None
    smaller = min(relative, absolute, key=lambda slope: slope.value)
    return replace(smaller, standard_error=max(relative.standard_error, absolute.standard_error))


def _own(stacks: StackCounts) -> dict[str, Floats]:
    """Samples of each function in its own code, by block."""
    found: dict[str, Floats] = {}
    for place, label in enumerate(stacks.leaves):
        if label is not None:
            found[label] = found.get(label, 0.0) + stacks.counts[place]
    return found
