"""How a service scales with its users: the Universal Scalability Law, from users who wait for their answers.

X(N) = N g / (1 + a (N - 1) + b N (N - 1)): throughput of N users at once; `a` is contention (what goes one after the
other), `b` what all must agree on (coherence). Source: Gunther, "Guerrilla Capacity Planning", Springer 2007, chapters
4-6. N / X is linear in 1/g, a/g and b/g, and is fitted by non-negative least squares of relative errors.

Only the closed model has N. With arrivals at given rates the law would fit queueing noise: a plain M/M/1 queue gives a
contention of 0.5. And only past the peak the two coefficients are told apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.nonnegative import nonnegative
from analysis.statistics.student import normal_quantile, t_quantile

Floats = NDArray[np.float64]

LEAST_LEVELS, LEAST_PAST_PEAK = 6, 2
RESAMPLES = 400
_COEFFICIENTS = 3


@dataclass(frozen=True, slots=True)
class Scalability:
    """`peak_users` give the highest throughput, `peak_tps`; both with 95% intervals. `single_tps` is one user's."""

    contention: float
    coherence: float
    single_tps: float
    peak_users: float
    peak_users_low: float
    peak_users_high: float
    peak_tps: float
    peak_tps_low: float
    peak_tps_high: float
    levels: int


def scalability(points: Sequence[tuple[int, float]]) -> Scalability | str:
    """From pairs (users, answers per second), a number of users more than once where it was visited more than once.

    Else what is missing, in words: 6 numbers of users, two of them past the peak, all without time to think.
    """
    users, tps = (np.array(column, np.float64) for column in zip(*points, strict=True)) if points else (_NONE, _NONE)
    levels = np.unique(users)
    if len(levels) < LEAST_LEVELS:
        return f"{len(levels)} numbers of users, and the scalability law needs {LEAST_LEVELS}"
    means = np.array([tps[users == level].mean() for level in levels])
    past = len(levels) - 1 - int(means.argmax())
    if past < LEAST_PAST_PEAK:
        return f"{past} numbers of users past the peak, and the scalability law needs {LEAST_PAST_PEAK}"
    fitted = _fit(users, tps)
    at_peak = _peak(fitted)
    if at_peak is None:
        return "no peak in the fitted law"
    model = _throughput(fitted, users)
    degrees = len(users) - _COEFFICIENTS
    errors = tps / model - 1
    spread = float(np.sqrt(errors @ errors / degrees)) * t_quantile(0.975, degrees) / normal_quantile(0.975)
    random = np.random.default_rng(1)
    draws = [_peak(_fit(users, model * (1 + random.normal(0, spread, len(users))))) for _ in range(RESAMPLES)]
    known = np.array([draw for draw in draws if draw is not None])
    (users_low, tps_low), (users_high, tps_high) = np.percentile(known, [2.5, 97.5], axis=0)
    inverse, contention, coherence = fitted
    return Scalability(
        contention=contention / inverse,
        coherence=coherence / inverse,
        single_tps=1 / inverse,
        peak_users=at_peak[0],
        peak_users_low=float(users_low),
        peak_users_high=float(users_high),
        peak_tps=at_peak[1],
        peak_tps_low=float(tps_low),
        peak_tps_high=float(tps_high),
        levels=len(levels),
    )


_NONE = np.zeros(0)


def _fit(users: Floats, tps: Floats) -> tuple[float, float, float]:
    """1/g, a/g and b/g."""
    each = users / tps
    columns = np.column_stack([np.ones_like(users), users - 1, users * (users - 1)])
    inverse, contention, coherence = nonnegative(columns / each[:, None], np.ones_like(users)).tolist()
    return inverse, contention, coherence


def _throughput(fitted: tuple[float, float, float], users: Floats) -> Floats:
    inverse, contention, coherence = fitted
    return users / (inverse + contention * (users - 1) + coherence * users * (users - 1))


def _peak(fitted: tuple[float, float, float]) -> tuple[float, float] | None:
    """Users and throughput at the peak."""
    inverse, contention, coherence = fitted
    if coherence <= 0 or inverse <= contention:
        return None
    users = ((inverse - contention) / coherence) ** 0.5
    return users, float(_throughput(fitted, np.array([users]))[0])
