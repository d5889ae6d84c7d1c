"""Figures as people read them."""

from math import floor, log10


def us(value: float) -> str:
    """Microseconds with three significant digits: `1,450 us`, `24.6 us`."""
    return f"{_three_digits(value)} us"


def us_between(value: float, low: float | None, high: float | None) -> str:
    """Microseconds with their interval: `420 [400, 440] us`."""
    ends = (None if end is None else _three_digits(end) for end in (low, high))
    return f"{between(_three_digits(value), *ends)} us"


def milliseconds(us: float) -> str:
    """Microseconds as people say them of a latency: `8.4 ms`, `180 ms`, `1.3 s`."""
    if us >= 1e6:
        return f"{us / 1e6:,.1f} s"
    return f"{us / 1000:,.0f} ms" if us >= 10_000 else f"{us / 1000:.1f} ms"


def tps(value: float) -> str:
    """Requests per second, without a unit: `410`, `7.5`."""
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}".removesuffix(".0")


def between(value: str, low: str | None, high: str | None) -> str:
    """A value with its interval: `720 [650, 790]`."""
    return value if low is None or high is None else f"{value} [{low}, {high}]"


def growth(value: float, low: float, high: float) -> str:
    """`2.0 [1.8, 2.2]`."""
    return between(f"{value:.1f}", f"{low:.1f}", f"{high:.1f}")


def count(number: int, one: str, several: str | None = None) -> str:
    """`1 visit`, `16 visits`, `4 processes`."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def cores(value: float) -> str:
    """CPU cores: `0.82`, `3.4`, `12`."""
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:.0f}"


def hours(value: float) -> str:
    """`25 min`, `3.0 h`, `36 h`, `12 days`."""
    if value < 1.5:
        return f"{value * 60:.0f} min"
    if value < 72:
        return f"{value:.1f} h" if value < 10 else f"{value:.0f} h"
    return f"{value / 24:,.0f} days"


def _three_digits(value: float) -> str:
    if value <= 0:
        return "0"
    digits = max(0, 2 - floor(log10(value)))
    return f"{value:,.{min(digits, 2)}f}" if value < 1000 else f"{round(value, 2 - floor(log10(value))):,.0f}"
