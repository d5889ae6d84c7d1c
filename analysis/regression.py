"""Two small regressions with honest intervals: how a ratio, and how a rate, changes with its explaining columns.

Both are fitted by iteratively reweighted least squares, with the variance scaled by the dispersion that the data show
(quasi-likelihood) and intervals from Student's t. Source: McCullagh, Nelder, "Generalized Linear Models", 2nd ed.,
chapters 4, 6 and 9.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.student import normal_above, normal_quantile, t_above, t_quantile

Floats = NDArray[np.float64]

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
    """Change of log(counts / others) with column 1 of `columns`; both are sample counts of shape (n,).

    Two overdispersed Poisson counts side by side, compared by the ratio of their rates. Given their sum the one is
    quasi-binomial, so this is the quasi-Poisson regression with `others` as exposure, except that the noise of the
    exposure is counted too (taking it as exact is biased as soon as the function outweighs the rest). The error is
    never put below that of independent samples. None when the data cannot tell.
    """
    size = counts + others
    known = size > 0
    counts, size, columns = counts[known], size[known], columns[known]
    degrees = len(counts) - columns.shape[1]
    if degrees < 1 or counts.sum() == 0 or counts.sum() == size.sum():
        return None
    beta = np.zeros(columns.shape[1])
    beta[0] = np.log((counts.sum() + 0.5) / ((size - counts).sum() + 0.5))
    for _ in range(_ITERATIONS):
        share = 1 / (1 + np.exp(-np.clip(columns @ beta, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)))
        weight = np.maximum(size * share * (1 - share), 1e-9)
        change = _solve(columns, weight, counts - size * share)
        beta = beta + change
        if np.abs(change).max() < _CONVERGED:
            break
    else:
        return None
    dispersion = float(((counts - size * share) ** 2 / weight).sum() / degrees)
    return _slope(beta, columns, weight, dispersion, degrees, least_dispersion=1.0)


def rate_slope(amounts: Floats, exposure: Floats, columns: Floats, *, least_dispersion: float = 0.0) -> Slope | None:
    """Change of log(amounts / exposure) with column 1 of `columns`: any amounts (CPU time, say), of shape (n,).

    The variance is taken as proportional to the mean, and the factor from the data, but not below `least_dispersion`
    (for amounts that are independent counts times a unit: the unit). None when the data cannot tell.
    """
    known = exposure > 0
    amounts, exposure, columns = amounts[known], exposure[known], columns[known]
    degrees = len(amounts) - columns.shape[1]
    if degrees < 1 or amounts.sum() <= 0:
        return None
    beta = np.zeros(columns.shape[1])
    beta[0] = np.log(amounts.sum() / exposure.sum())
    for _ in range(_ITERATIONS):
        mean = exposure * np.exp(np.clip(columns @ beta, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
        change = _solve(columns, mean, amounts - mean)
        beta = beta + change
        if np.abs(change).max() < _CONVERGED:
            break
    else:
        return None
    dispersion = float(((amounts - mean) ** 2 / mean).sum() / degrees)
    return _slope(beta, columns, mean, dispersion, degrees, least_dispersion=least_dispersion)


def holm(p_values: Floats, level: float) -> NDArray[np.bool_]:
    """Which of several hypotheses fall, with at most `level` probability of any false one among them.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979.
    """
    order = np.argsort(p_values)
    falls = p_values[order] <= level / np.arange(len(p_values), 0, -1)
    fallen = np.zeros(len(p_values), dtype=bool)
    fallen[order[: len(p_values) if falls.all() else int(np.argmin(falls))]] = True  # until the first that stands
    return fallen


def _information(columns: Floats, weight: Floats) -> Floats:
    return np.asarray(columns.T @ (columns * weight[:, None]) + _RIDGE * np.eye(columns.shape[1]), np.float64)


def _solve(columns: Floats, weight: Floats, residual: Floats) -> Floats:
    change = np.linalg.solve(_information(columns, weight), columns.T @ residual)
    # A long step from a far-off start overshoots; a shorter one gets there.
    return np.asarray(np.clip(change, -2.0, 2.0), np.float64)


def _slope(
    beta: Floats, columns: Floats, weight: Floats, dispersion: float, degrees: int, *, least_dispersion: float
) -> Slope | None:
    variance = float(np.linalg.inv(_information(columns, weight))[1, 1])
    if not np.isfinite(variance):
        return None
    shown, least = (float(np.sqrt(variance * factor)) for factor in (dispersion, least_dispersion))
    return Slope(float(beta[1]), shown, degrees, least)
