"""Differences between two groups of runs, with the variance between runs shrunk over many figures.

A run is one observation: seconds of one run share its memory layout, its neighbours and its time of day. Five runs a
side leave eight degrees of freedom for each function, which is little to find its variance by, but there are many
functions: an empirical Bayes estimate draws each one's variance towards what the others show ("moderated t").
Source: Smyth, "Linear models and empirical Bayes methods for assessing differential expression in microarray
experiments", Stat. Appl. Genet. Mol. Biol. 3, 2004. Two things are not as there:

- The variance that all are drawn to is not the same for all. A function with few samples has their noise on top, whose
  variance (of a logarithm: one over the samples) is known: `s0^2 = scale * (between + sampling)`.
- Functions of one process are not independent: a run in which everything is 2% dearer is so for all of them, and a
  hundred functions then tell no more about the spread between runs than one does. The degrees of freedom are therefore
  bounded by how many independent figures there seem to be, from the traces of the residuals' covariance and of its
  square (unbiased: Srivastava, "Some tests concerning the covariance matrix in high dimensional data", J. Japan
  Statist. Soc. 35, 2005). Without that bound a spread that all share would pass for one that is well known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from analysis.statistics.student import t_above, t_quantile

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

DRIFT_FROM = 8
"""With so many runs a straight line in time is fitted beside the sides; with fewer it costs more than it mends."""
INTERLEAVED_BELOW = 0.35
"""Correlation of side and time up to which the order counts as interleaved; ABBA has at most 0.29."""
FEWEST_FIGURES = 5
"""Fewer say too little of each other's variance."""
_ROUNDS = 20
_LARGEST_DEGREES = 1e6
POWER = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """New less base, of shape (figures,), and what is left in the runs: `residuals` (figures, runs).

    The variance of an effect is `per_variance` times the variance of a run. `interleaved`: time and side can be told
    apart; `drift_removed`: they were.
    """

    effect: Floats
    middle: Floats
    variance: Floats
    residuals: Floats
    per_variance: float
    degrees: int
    interleaved: bool
    drift_removed: bool

    @classmethod
    def of(cls, values: Floats, is_new: Mask, at: Floats) -> "Contrast":
        """From values of shape (figures, runs); `at` is when each run began, in any unit. Least squares.

        `middle` is the mean of the two sides. Needs a run a side; without a second one `degrees` are 0.
        """
        runs = len(is_new)
        side, time = is_new - 0.5, at - at.mean()
        spread = float(np.sqrt((time**2).sum()))
        related = 0.0
        if spread:
            centred = side - side.mean()
            related = float(abs(centred @ time)) / (spread * float(np.sqrt((centred**2).sum())))
        interleaved = related <= INTERLEAVED_BELOW
        removes = interleaved and spread > 0 and runs >= DRIFT_FROM
        columns = np.column_stack([np.ones(runs), side, *([time / spread] if removes else [])])
        inverse = np.linalg.inv(columns.T @ columns)
        fitted = values @ columns @ inverse
        residuals = values - fitted @ columns.T
        degrees = runs - columns.shape[1]
        return cls(
            effect=fitted[:, 1],
            middle=fitted[:, 0],
            variance=(residuals**2).sum(axis=1) / max(degrees, 1),
            residuals=residuals,
            per_variance=float(inverse[1, 1]),
            degrees=degrees,
            interleaved=interleaved,
            drift_removed=removes,
        )


@dataclass(frozen=True, slots=True)
class Prior:
    """What the figures together say of a run's variance: `scale * (between + sampling)`, worth `degrees`.

    `pooled` bounds the degrees of freedom of all figures together.
    """

    between: float
    scale: float
    degrees: float
    pooled: float

    def variance(self, sampling: Floats) -> Floats:
        """Of a run, for figures whose samples alone have the variance `sampling`."""
        return self.scale * (self.between + sampling)

    def bound(self, sampling: Floats) -> Floats:
        """The most degrees of freedom that a figure may have: of its variance only `between` had to be estimated."""
        shared = self.between / np.maximum(self.between + sampling, 1e-300)
        return np.asarray(self.pooled / np.maximum(shared**2, 1e-6))


@dataclass(frozen=True, slots=True, eq=False)
class Moderated:
    """Effects with their standard errors and degrees of freedom, all of shape (figures,)."""

    effect: Floats
    standard_error: Floats
    degrees: Floats
    prior: Prior | None

    def p_values(self, at_least: float = 0.0) -> Floats:
        """Two-sided: how probable so large an effect is where the true one is no larger than `at_least`."""
        beyond = np.maximum(np.abs(self.effect) - at_least, 0.0)
        pairs = zip(beyond, self.standard_error, self.degrees, strict=True)
        return np.array([min(1.0, 2 * _t_above(far, error, degrees)) for far, error, degrees in pairs])

    def half_widths(self, level: float = 0.95) -> Floats:
        """Half of each two-sided interval; says nothing where there are no degrees of freedom."""
        pairs = zip(self.standard_error, self.degrees, strict=True)
        return np.array([_t_quantile((1 + level) / 2, degrees) * error for error, degrees in pairs])

    def detectable(self, threshold: float, at_least: float = 0.0) -> Floats:
        """The true effects that a two-sided test at `threshold` finds in four of five such comparisons."""
        pairs = zip(self.standard_error, self.degrees, strict=True)
        return np.array([at_least + detectable(error, degrees, threshold) for error, degrees in pairs])


def detectable(standard_error: float, degrees: float, threshold: float) -> float:
    """The true effect that a two-sided test at `threshold` finds with a probability of 0.8 (`POWER`)."""
    return standard_error * (_t_quantile(1 - threshold / 2, degrees) + _t_quantile(POWER, degrees))


def moderate(contrast: Contrast, sampling: Floats) -> Moderated:
    """Shrink the variances of a contrast; `sampling` is what samples alone add to each (0 where that is not known).

    With fewer than five figures, or nothing to estimate a variance by, they stay what they are.
    """
    plain = np.full(len(contrast.effect), float(contrast.degrees))
    if contrast.degrees < 1 or len(contrast.effect) < FEWEST_FIGURES:
        return Moderated(contrast.effect, np.sqrt(contrast.variance * contrast.per_variance), plain, None)
    prior = fit_prior(contrast, sampling)
    expected = prior.variance(sampling)
    weight = min(prior.degrees, _LARGEST_DEGREES)
    variance = (weight * expected + contrast.degrees * contrast.variance) / (weight + contrast.degrees)
    # The prior is worth its own degrees, but never more than there are independent figures behind it.
    degrees = np.minimum(contrast.degrees + weight, prior.bound(sampling))
    degrees = np.maximum(degrees, contrast.degrees)
    return Moderated(contrast.effect, np.sqrt(variance * contrast.per_variance), degrees, prior)


def fit_prior(contrast: Contrast, sampling: Floats) -> Prior:
    """The prior by the moments of log variances (Smyth 2004, section 6.2), `between` and `scale` by bisection."""
    half = contrast.degrees / 2
    least = 1e-5 * max(float(np.median(contrast.variance)), 1e-300)
    logs = np.log(np.maximum(contrast.variance, least)) - digamma(half) + np.log(half)
    degrees, shift, between, scale = np.inf, 0.0, 0.0, 1.0
    for _ in range(_ROUNDS):
        between, scale = _level(logs - shift, sampling)
        left = logs - np.log(scale * (between + sampling))
        excess = float(left.var(ddof=1)) - float(polygamma(1, half))
        before, degrees = degrees, 2 * _inverse_trigamma(excess) if excess > 0 else np.inf
        shift = 0.0 if np.isinf(degrees) else float(np.log(degrees / 2) - digamma(degrees / 2))
        if degrees == before or abs(degrees - before) < 1e-6 * degrees:
            break
    # The figures in which the samples' noise counts least tell most of what is between runs.
    shared = between / np.maximum(between + sampling, 1e-300) if between else np.ones(len(sampling))
    standard = contrast.residuals * (shared / np.sqrt(scale * (between + sampling)))[:, None]
    return Prior(between, scale, degrees, contrast.degrees * _independent(standard, contrast.degrees))


def _level(logs: Floats, sampling: Floats) -> tuple[float, float]:
    """`between` and `scale` so that log(scale * (between + sampling)) is right on average. The scale is 1 wherever
    there is more than the samples' noise, and less where they are more regular than independent ones.
    """
    wanted = float(logs.mean())
    if sampling.min() <= 0:
        return float(np.exp(wanted)), 1.0
    if np.log(sampling).mean() >= wanted:
        return 0.0, float(np.exp(wanted - np.log(sampling).mean()))
    low, high = 0.0, float(np.exp(wanted))
    while np.log(high + sampling).mean() < wanted:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.log(middle + sampling).mean() < wanted else (low, middle)
    return high, 1.0


def _independent(standard: Floats, degrees: int) -> float:
    """How many independent figures the standardised residuals, shape (figures, runs), are worth: (tr S)^2 / tr S^2."""
    figures = len(standard)
    if degrees < 2:
        return 1.0
    gram = standard.T @ standard / degrees
    trace, squares = float(np.trace(gram)), float((gram**2).sum())
    unbiased = degrees**2 / ((degrees - 1) * (degrees + 2)) * (squares - trace**2 / degrees)
    return figures * 1.0 if unbiased <= 0 else float(np.clip(trace**2 / unbiased, 1.0, figures))


def _inverse_trigamma(value: float) -> float:
    """The x with trigamma(x) = value, by Newton's method on 1/trigamma (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        there = float(polygamma(1, x))
        step = there * (1 - there / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x


def _t_above(value: float, error: float, degrees: float) -> float:
    if degrees < 1:
        return 1.0
    if not error:
        return 0.0 if value > 0 else 0.5
    return t_above(value / error, degrees)


def _t_quantile(probability: float, degrees: float) -> float:
    return t_quantile(probability, max(degrees, 1.0))
