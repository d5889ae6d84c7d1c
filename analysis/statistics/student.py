"""Quantiles and tails of Student's t and of the normal distribution.

Straight from scipy.special: importing scipy.stats takes a second of CPU, which every report and run would pay.
"""

from scipy.special import ndtr, ndtri, stdtr, stdtrit


def t_quantile(probability: float, degrees: float) -> float:
    """The value below which Student's t with so many degrees of freedom stays with that probability."""
    return float(stdtrit(degrees, probability))


def t_above(value: float, degrees: float) -> float:
    """How probable a larger value than `value` is."""
    return float(stdtr(degrees, -value))


def normal_quantile(probability: float) -> float:
    """The value below which a standard normal stays with that probability."""
    return float(ndtri(probability))


def normal_above(value: float) -> float:
    """How probable a larger value than `value` is."""
    return float(ndtr(-value))
