"""Times and durations as access logs write them. Each function gives None for what it does not understand."""

import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from schemas.precision import LONGEST_US

SECOND_US = 1_000_000
UNITS_US = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLF = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_FINE = re.compile(r":\d\d[.,]\d")
_LENGTH = 40
Moment = tuple[int, int]
"""Microseconds of the Unix epoch, and how many from there on the text stands for: a second, or less."""


def moment_of(text: str) -> Moment | None:
    """`27/Nov/2026:16:41:27 +0000`, RFC 3339 with a zone, or Unix seconds as text; None for anything else."""
    return _moment_of(text[:_LENGTH].strip())


@lru_cache(maxsize=4096)  # a second's lines have one text
def _moment_of(text: str) -> Moment | None:
    try:
        if (match := _CLF.fullmatch(text)) is not None:
            day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
            ahead = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
            # A leap second is the one before it.
            at = datetime(
                int(year), 1 + _MONTHS.index(month), int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC
            )
            return (at - ahead - _EPOCH) // _MICROSECOND, SECOND_US
        if text.replace(".", "", 1).isdecimal():
            return unix_moment(float(text), is_fine="." in text)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        return None  # of which zone it is would be a guess, by hours
    return (at - _EPOCH) // _MICROSECOND, 1000 if _FINE.search(text) else SECOND_US


def unix_moment(value: float, *, is_fine: bool) -> Moment | None:
    """Unix seconds, milliseconds, microseconds or nanoseconds: told by their size, which is a thousandfold apart."""
    if not (math.isfinite(value) and value > 0):
        return None
    for most, us_per_unit in ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (1e20, 1e-3)):
        if value < most:
            return int(value * us_per_unit), SECOND_US if us_per_unit == 1e6 and not is_fine else 1000
    return None


def duration_us(value: float, unit: str) -> int | None:
    """Microseconds of a number in `s`, `ms`, `us` or `ns`; None for what no request can take (over 71 minutes)."""
    us = value * UNITS_US[unit]
    return round(us) if math.isfinite(us) and 0 <= us <= LONGEST_US else None
