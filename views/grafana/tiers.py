"""Rows of a run in a range of time: by windows over a short range, by minutes over a long one.

The store's views `..._over` have both, and read nothing of the one that the range is not for (see
`sinks/migrations/0006_ranges.sql`); here stand the ranges that dashboards ask for, and where minutes begin to answer.
Sums are the same by either. A window is in a range when it begins in it, both ends included, in whole seconds. Of
minutes all are that the range has a part of, so a long range is rounded out to whole minutes; the newest is made anew
every `processors.minutes.MOST_S` while its windows come. No minute is both in the chosen range and in the one before.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

from views.grafana.model import Panel
from views.web.span import RAW_US

RAW_S = RAW_US // 1_000_000
TOTALS_RAW_S = 300
"""Of what has no time axis: tables of two times 15 minutes take 140 ms by windows, flame graphs 240 ms."""
_ROUNDED = (
    "Over more than {minutes} minutes by whole minutes of the clock, all that the range has a part of; the newest may "
    "be 20 s behind."
)

THIS, OTHER = "${run:singlequote}", "${baseline:singlequote}"


What = Literal["load", "endpoints", "functions", "stacks"]


class Side(NamedTuple):
    """A run in a range, as arguments of the store's views: they take plain values, so Grafana puts its own in."""

    run: str
    before: int = 0
    later_us: str = "0"

    def over(self, what: What, raw_s: int = RAW_S) -> str:
        """SQL of its rows. `at`, where they have it, is their time on the axis of the dashboard."""
        return (
            f"{what}_over(run = {self.run}, from_s = ${{__from:date:seconds}}, "
            f"to_s = ${{__to:date:seconds}}, raw_s = {raw_s}, "
            f"before = {self.before}, later_us = {self.later_us})"
        )


CHOSEN = Side(THIS)
"""The chosen run in the chosen range."""
BEFORE = Side(THIS, before=1)
"""In the range before it, as long as it."""
BASELINE = Side(OTHER, later_us="${later:singlequote}")
"""Its baseline, in the chosen range by the time since each began; see `comparison_sql.LATER_US`."""


def rounded(panels: Iterable[Panel]) -> Iterator[Panel]:
    """Panels of such rows, with a word on how far they are rounded."""
    for panel in panels:
        raw_s = RAW_S if panel.kind == "timeseries" else TOTALS_RAW_S
        yield replace(panel, description=f"{panel.description} {_ROUNDED.format(minutes=raw_s // 60)}")
