"""A stretch of a run as a page shows it: which tier answers for it, and how many of its units make a point."""

from dataclasses import dataclass
from typing import Any, Literal

from schemas.minutes import MINUTE_US

Tier = Literal["windows", "minutes"]

MOST_POINTS = 1_500
"""Of one series: more than a screen has columns."""
RAW_US = 1_800 * 1_000_000
"""Longer stretches are read from the minutes: half an hour of windows of 200 functions is 360,000 rows, and reading
those takes up to 250 ms.
"""
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1_440)


@dataclass(frozen=True, slots=True)
class Span:
    """`first` and `last` are indexes of the tier's units, windows of the run or minutes of the Unix clock, both
    included; a unit is `unit_us` long. `step` units make a bucket, which is a point of a series.
    """

    tier: Tier
    first: int
    last: int
    step: int
    unit_us: int

    @classmethod
    def of(cls, from_us: int, to_us: int, window_us: int, *, points: int = MOST_POINTS, raw_us: int = RAW_US) -> "Span":
        """From `from_us` up to `to_us`, in us since the Unix epoch, rounded out to whole units, in at most `points`
        buckets.

        By windows up to `raw_us`, and always when windows are as long as minutes.
        """
        tier: Tier = "windows" if to_us - from_us <= raw_us or window_us >= MINUTE_US else "minutes"
        unit_us = window_us if tier == "windows" else MINUTE_US
        first = from_us // unit_us
        last = max(first, (to_us - 1) // unit_us)
        least = -(-(last - first + 1) // points)
        step = next((step for step in _STEPS if step >= least), least)
        return cls(tier, first, last, step, unit_us)

    @property
    def bucket_us(self) -> int:
        """The width of a point in us."""
        return self.step * self.unit_us

    @property
    def whole_minutes(self) -> range:
        """Minutes of the Unix clock of which it holds all."""
        start_us, end_us = self.first * self.unit_us, (self.last + 1) * self.unit_us
        return range(-(-start_us // MINUTE_US), end_us // MINUTE_US)

    @property
    def parameters(self) -> dict[str, Any]:
        """Of a query over time."""
        return {"first": self.first, "last": self.last, "step": self.step}
