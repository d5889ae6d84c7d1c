"""Two small regressions with honest intervals: how a ratio, and how a rate, changes with its explaining columns.

Both are fitted by iteratively reweighted least squares, with the variance scaled by the dispersion that the data show
(quasi-likelihood) and intervals from Student's t. Source: McCullagh, Nelder, "Generalized Linear Models", 2nd ed.,
chapters 4, 6 and 9.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.student import normal_above, normal_quantile, t_above, t_quantile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ITERATIONS = 60
_CONVERGED = 1e-9
_RIDGE = 1e-10
_LARGEST_EXPONENT = 40.0


@dataclass(frozen=True, slots=True)
class Slope:
    """A fitted coefficient, and its error as the data show it, with the degrees of freedom left to judge that by.

    `least_error` is what counting alone makes it: no data are quieter, however smooth they look. It is known, not
    estimated, so the normal distribution goes with it and Student's with the other; the wider of the two holds.
    """

    value: float
    standard_error: float
    degrees: int
    least_error: float = 0.0

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided interval that holds the true value in `level` of all cases."""
        tail = (1 + level) / 2
        shown = t_quantile(tail, self.degrees) * self.standard_error
        half = max(shown, normal_quantile(tail) * self.least_error)
        return self.value - half, self.value + half

    def p_above(self, bound: float) -> float:
        """How probable so large a value is, or a larger one, when the true value is `bound` (one-sided)."""
        above = self.value - bound
        if self.standard_error == self.least_error == 0:
            return 0.0 if above > 0 else 1.0
        shown = t_above(above / self.standard_error, self.degrees) if self.standard_error else 0.0
        return max(shown, normal_above(above / self.least_error) if self.least_error else 0.0)


def design(log_tps: Floats, minutes: Floats | None = None) -> Floats:
    """Explaining columns, shape (n, 2 or 3): one, the logarithm of the throughput, and, when given, the time.

    The time column is left out when it says nothing that the others do not.
    """
    columns = [np.ones_like(log_tps), log_tps - log_tps.mean()]
    if minutes is not None:
        columns.append(minutes - minutes.mean())
        if np.linalg.matrix_rank(np.column_stack(columns)) < len(columns):
            columns.pop()
    return np.column_stack(columns)


def odds_slope(counts: Floats, others: Floats, columns: Floats) -> Slope | None:
    """`odds_slopes` of one."""
    return odds_slopes(counts[None], others[None], columns)[0]


def odds_slopes(counts: Floats, others: Floats, columns: Floats) -> list[Slope | None]:
    """Change of log(counts / others) with column 1 of `columns`; both are sample counts of shape (series, n).

    Two overdispersed Poisson counts side by side, compared by the ratio of their rates. Given their sum the one is
    quasi-binomial, so this is the quasi-Poisson regression with `others` as exposure, except that the noise of the
    exposure is counted too (taking it as exact is biased as soon as the function outweighs the rest). The error is
    never put below that of independent samples. None where the data cannot tell.
    """
    size = counts + others
    sums, sizes = counts.sum(axis=1), size.sum(axis=1)
    tells = (sums > 0) & (sums < sizes)

    def step(beta: Floats, some: Ints) -> tuple[Floats, Floats]:
        share = 1 / (1 + np.exp(-np.clip(beta @ columns.T, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)))
        weight = np.where(size[some] > 0, np.maximum(size[some] * share * (1 - share), 1e-9), 0.0)
        return counts[some] - size[some] * share, weight

    start = np.log((sums + 0.5) / (sizes - sums + 0.5))
    return _slopes(step, start, columns, size > 0, tells, least_dispersion=np.ones(len(counts)))


def rate_slope(amounts: Floats, exposure: Floats, columns: Floats, *, least_dispersion: float = 0.0) -> Slope | None:
    """`rate_slopes` of one."""
    return rate_slopes(amounts[None], exposure, columns, least_dispersion=np.array([least_dispersion]))[0]


def rate_slopes(amounts: Floats, exposure: Floats, columns: Floats, *, least_dispersion: Floats) -> list[Slope | None]:
    """Change of log(amounts / exposure) with column 1 of `columns`: any amounts (CPU time, say) of shape (series, n),
    over one exposure (n,).

    The variance is taken as proportional to the mean, and the factor from the data, but not below `least_dispersion`
    (series,) (for amounts that are independent counts times a unit: the unit). None where the data cannot tell.
    """
    known = exposure > 0
    amounts, exposure, columns = amounts[:, known], exposure[known], columns[known]
    sums = amounts.sum(axis=1)

    def step(beta: Floats, some: Ints) -> tuple[Floats, Floats]:
        mean = exposure * np.exp(np.clip(beta @ columns.T, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
        return amounts[some] - mean, mean

    start = np.log(np.maximum(sums, 1e-300) / max(float(exposure.sum()), 1e-300))
    every = np.ones(amounts.shape, np.bool_)
    return _slopes(step, start, columns, every, sums > 0, least_dispersion=least_dispersion)


def holm(p_values: Floats, level: float) -> NDArray[np.bool_]:
    """Which of several hypotheses fall, with at most `level` probability of any false one among them.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979.
    """
    order = np.argsort(p_values)
    falls = p_values[order] <= level / np.arange(len(p_values), 0, -1)
    fallen = np.zeros(len(p_values), dtype=bool)
    fallen[order[: len(p_values) if falls.all() else int(np.argmin(falls))]] = True  # until the first that stands
    return fallen


def _slopes(
    step: Callable[[Floats, Ints], tuple[Floats, Floats]],
    start: Floats,
    columns: Floats,
    known: NDArray[np.bool_],
    tells: NDArray[np.bool_],
    *,
    least_dispersion: Floats,
) -> list[Slope | None]:
    """Fit each series by itself, all at once: an iteration of one takes as long as one of a thousand.

    `step(beta, some)` gives residuals and weights of some of the series, shape (some, n); rows that are not `known`
    weigh nothing. `start` is the constant that a series begins with.
    """
    size, width = columns.shape
    degrees = known.sum(axis=1) - width
    found: list[Slope | None] = [None] * len(start)
    left = np.flatnonzero(tells & (degrees >= 1))
    beta = np.zeros((len(left), width))
    beta[:, 0] = start[left]
    for _ in range(_ITERATIONS if size else 0):
        residual, weight = step(beta, left)
        information = _information(columns, weight)
        # A long step from a far-off start overshoots; a shorter one gets there.
        change = np.clip(np.linalg.solve(information, (residual @ columns)[..., None])[..., 0], -2.0, 2.0)
        beta = beta + change
        done = np.abs(change).max(axis=1) < _CONVERGED
        for at in np.flatnonzero(done).tolist():
            one = int(left[at])
            of = known[one]
            dispersion = float((residual[at][of] ** 2 / weight[at][of]).sum() / degrees[one])
            variance = float(np.linalg.inv(information[at])[1, 1])
            if np.isfinite(variance):
                shown, least = (float(np.sqrt(variance * factor)) for factor in (dispersion, least_dispersion[one]))
                found[one] = Slope(float(beta[at, 1]), shown, int(degrees[one]), least)
        left, beta = left[~done], beta[~done]
        if not len(left):
            break
    return found


def _information(columns: Floats, weight: Floats) -> Floats:
    """Of each series: shape (series, columns, columns)."""
    ridge = _RIDGE * np.eye(columns.shape[1])
    return np.asarray(np.matmul(columns.T[None] * weight[:, None, :], columns) + ridge, np.float64)
