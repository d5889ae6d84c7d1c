"""How a function's cost per request changes with the throughput: 1 says it stays, 2 that it doubles with the rate.

Two witnesses, both regressions over the visits on log(throughput) with a time term; growth = 1 + the coefficient:

- *relative*: samples of the function against samples of the rest of its process. A sampler whose recall drifts with
  the load does to one what it does to all, so it cannot fake growth here.
- *absolute*: the kernel's CPU time of the process, given to the function by its share of the samples, against the
  requests answered. Recall cannot fake this either, but what makes all code dearer (a busy neighbour) can.

The smaller of the two counts. Relative alone has a blind side: where a good part of a process is fixed work (timers,
polling) the rest shrinks per request as the rate rises, and honest linear functions seem to grow: simulated with 40% of
fixed work at the lowest rate they measure 1.3 by it, and 1.0 by the smaller of the two.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.evidence.blocks import Selection
from analysis.evidence.limits import Windows
from analysis.statistics.regression import Slope, design, odds_slopes, rate_slope, rate_slopes

Floats = NDArray[np.float64]
Shape = Literal["superlinear", "linear", "sublinear", "unclear"]

SUPERLINEAR_ABOVE = 1.15
SUBLINEAR_BELOW = 0.85
LINEAR_WIDTH = 0.7
CONFIDENCE = 0.95
MIN_SAMPLES = 60
MIN_LEVELS, MIN_BLOCKS, MIN_RANGE = 3, 6, 2.5


@dataclass(frozen=True, eq=False)
class Experiment:
    """The blocks as columns of shape (blocks,): the throughput, and what the kernel says it cost.

    `randomised` when the levels were visited in random order, so that rate and time are told apart.
    """

    tps: Floats
    level_tps: Floats
    minutes: Floats
    seconds: Floats
    completed: Floats
    cpu_us: Floats
    randomised: bool

    @classmethod
    def of(cls, windows: Windows, selection: Selection) -> "Experiment":
        """From the selected blocks of a run."""
        blocks = selection.blocks
        mid_us = np.array([block.mid_us for block in blocks])
        return cls(
            tps=np.array([block.tps for block in blocks]),
            level_tps=np.array([block.level_tps for block in blocks]),
            minutes=(mid_us - mid_us.min(initial=0.0 if not len(mid_us) else mid_us[0])) / 60e6,
            seconds=np.array([block.seconds for block in blocks]),
            completed=np.array([float(block.completed) for block in blocks]),
            cpu_us=np.array([float(windows.cpu_us[block.rows].sum()) for block in blocks]),
            randomised=selection.design == "levels",
        )

    def at(self, rows: NDArray[np.bool_]) -> "Experiment":
        """Some of the blocks."""
        columns = (one.name for one in fields(self) if one.name != "randomised")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    @cached_property
    def lacks(self) -> str | None:
        """What is missing before growth can be judged at all, in words; None when nothing is."""
        levels = len(set(self.level_tps.tolist()))
        if levels < MIN_LEVELS:
            return f"{levels} usable {'rate' if levels == 1 else 'rates'}, and growth needs {MIN_LEVELS}"
        if len(self.tps) < MIN_BLOCKS:
            return f"{len(self.tps)} usable visits, and growth needs {MIN_BLOCKS}"
        span = float(self.tps.max() / self.tps.min())
        return f"the rates span {span:.1f}x, and growth needs {MIN_RANGE}x" if span < MIN_RANGE else None

    @cached_property
    def columns(self) -> Floats:
        """The design matrix: with a time term only when the order was random (along a ramp both are one)."""
        return design(np.log(self.tps), self.minutes if self.randomised else None)


@dataclass(frozen=True, slots=True)
class Fit:
    """Growth with its 95% interval, from the smaller witness; `relative` and `absolute` are what each of them says."""

    growth: float
    low: float
    high: float
    p_superlinear: float
    samples: int
    relative: float | None = None
    absolute: float | None = None

    @property
    def seems_superlinear(self) -> bool:
        """Before the correction for having looked at many functions."""
        return self.low > SUPERLINEAR_ABOVE


def fit_growth(counts: Floats, others: Floats, total: Floats, experiment: Experiment) -> Fit | None:
    """`fit_growths` of one function."""
    return fit_growths(counts[None], others[None], total, experiment)[0]


def fit_growths(counts: Floats, others: Floats, total: Floats, experiment: Experiment) -> list[Fit | None]:
    """Growth of functions with `counts` samples a block beside `others`, both (functions, blocks), out of `total` busy
    samples of the process (blocks,).

    None where there are under 60 samples of either, or the blocks cannot tell.
    """
    found: list[Fit | None] = [None] * len(counts)
    enough = np.flatnonzero((counts.sum(axis=1) >= MIN_SAMPLES) & (others.sum(axis=1) >= MIN_SAMPLES))
    if experiment.lacks or not len(enough):
        return found
    counts, others = counts[enough], others[enough]
    us_per_sample = experiment.cpu_us / np.maximum(total, 1)
    amounts_us = us_per_sample * counts
    # The process's CPU time is the kernel's and exact: only how it is divided rests on samples, as a binomial does.
    divided = us_per_sample * (1 - counts / np.maximum(total, 1))
    least = (divided * amounts_us).sum(axis=1) / np.maximum(amounts_us.sum(axis=1), 1e-9)
    relatives = odds_slopes(counts, others, experiment.columns)
    absolutes = rate_slopes(amounts_us, experiment.completed, experiment.columns, least_dispersion=least)
    for place, samples, relative, absolute in zip(
        enough.tolist(), counts.sum(axis=1).tolist(), relatives, absolutes, strict=True
    ):
        if relative is not None:
            smaller = relative if absolute is None or relative.value <= absolute.value else absolute
            found[place] = _fit(smaller, int(samples), relative, absolute)
    return found


def fit_process(experiment: Experiment) -> Fit | None:
    """Growth of the whole process's CPU time per request, from the kernel's figures alone."""
    if experiment.lacks:
        return None
    slope = rate_slope(experiment.cpu_us, experiment.completed, experiment.columns)
    return None if slope is None else _fit(slope, 0, None, slope)


def _fit(slope: Slope, samples: int, relative: Slope | None, absolute: Slope | None) -> Fit:
    low, high = slope.interval(CONFIDENCE)
    return Fit(
        growth=1 + slope.value,
        low=1 + low,
        high=1 + high,
        p_superlinear=slope.p_above(SUPERLINEAR_ABOVE - 1),
        samples=samples,
        relative=None if relative is None else 1 + relative.value,
        absolute=None if absolute is None else 1 + absolute.value,
    )


def shape_of(fit: Fit | None, *, superlinear: bool) -> Shape:
    """The word for a growth. `superlinear` says whether that claim survived the correction for many functions.

    linear: the interval lies within 0.85 to 1.15, or holds 1 and is at most 0.7 wide, so that a growth of 1.7 would
    have been told from it. sublinear: it ends below 0.85. Everything else, and too little data, is unclear.
    """
    if fit is None:
        return "unclear"
    if superlinear:
        return "superlinear"
    if fit.high < SUBLINEAR_BELOW:
        return "sublinear"
    if fit.low >= SUBLINEAR_BELOW and fit.high <= SUPERLINEAR_ABOVE:
        return "linear"
    return "linear" if fit.low <= 1 <= fit.high and fit.high - fit.low <= LINEAR_WIDTH else "unclear"
