"""Rows of a run in a range of time: by windows over a short range, by minutes over a long one.

The store has a view of each (`..._by_window`, `..._by_minute`; see `sinks/migrations/0006_ranges.sql`), and a dashboard
chooses between them once, by two hidden choices that follow its range: a text that held both would be planned for both,
which takes longer than reading the one that answers. Here stand the ranges that dashboards ask for, and where minutes
begin to answer. Sums are the same by either. A window is in a range when it begins in it, both ends included, in whole
seconds. Of minutes all are that the range has a part of, so a long range is rounded out to whole minutes; the newest is
made anew every `processors.minutes.MOST_S` while its windows come. No minute is both in the chosen range and in the one
before.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from views.grafana.choices import Choice
from views.grafana.model import Panel
from views.web.span import RAW_US

_ROUNDED = (
    "Over more than {minutes} minutes by whole minutes of the clock, all that the range has a part of; the newest may "
    "be 20 s behind."
)
_FROM_S, _TO_S = "${__from:date:seconds}", "${__to:date:seconds}"

THIS, OTHER = "${run:singlequote}", "${baseline:singlequote}"


What = Literal["load", "endpoints", "functions", "stacks", "sketches"]


class Tier(NamedTuple):
    """A hidden choice of a dashboard: windows answer for ranges up to `raw_s` seconds, and minutes for longer ones."""

    name: str
    raw_s: int

    @property
    def sql(self) -> str:
        """What Grafana asks whenever the range changes."""
        return f"SELECT if({_TO_S} - {_FROM_S} > {self.raw_s}, 'minute', 'window') AS tier"

    @property
    def choice(self) -> Choice:
        """As a dashboard has it."""
        return Choice(self.name, self.name, self.sql, follows_range=True, hidden=True)


POINTS = Tier("tier_of_points", RAW_US // 1_000_000)
"""Of what has a time axis."""
TOTALS = Tier("tier_of_totals", 300)
"""Of what has none: tables of two times 15 minutes take 140 ms by windows, flame graphs more."""
TIERS = (POINTS, TOTALS)
SKETCHES = Choice(
    "rows_of_sketches",
    "rows_of_sketches",
    "SELECT if($__conditionalAll(1=0, $endpoint), 'load', 'endpoints') AS rows",
    follows_range=True,
    hidden=True,
)
"""Where latencies are read: of all endpoints together a window knows the sketch already, which is a row instead of one
an endpoint. Chosen once as well, so that a text is planned for one of them.
"""
HIDDEN = (*(tier.choice for tier in TIERS), SKETCHES)


class Range(NamedTuple):
    """The chosen run in the chosen range, and what is beside it, as arguments of the store's views: they take plain
    values, so Grafana puts its own in. Rows of what is beside have `is_beside`.
    """

    kind: Literal["over", "before", "beside"]
    other: str = "''"

    def rows(self, what: What, tier: Tier) -> str:
        """SQL of its rows. `at`, where they have it, is their time on the axis of the dashboard. Of sketches, whatever
        they stand for, the columns are those of load and endpoints alike, and `endpoint` where one is chosen.

        The tier is one of two words that our own text gave, and no URL can change: it needs no quotes, and is a part of
        a name. So is what has the sketches.
        """
        given = {"run": THIS, "from_s": _FROM_S, "to_s": _TO_S}
        if self.kind == "beside":
            given |= {"other": self.other, "later_us": "${later:singlequote}"}
        rows = f"${{{SKETCHES.name}:raw}}" if what == "sketches" else what
        return f"{rows}_{self.kind}_by_${{{tier.name}:raw}}({_listed(given)})"

    @property
    def runs(self) -> str:
        """SQL of the runs that it reads."""
        return f"({THIS}, {self.other})"


CHOSEN = Range("over")
"""With nothing beside it."""
BEFORE = Range("before")
"""Beside the range before it, as long as it."""
BASELINE = Range("beside", OTHER)
"""Beside its baseline, in the chosen range by the time since each began; see `comparison_sql.LATER_US`."""


def _listed(arguments: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in arguments.items())


def rounded(panels: Iterable[Panel]) -> Iterator[Panel]:
    """Panels of such rows, with a word on how far they are rounded."""
    for panel in panels:
        tier = POINTS if panel.kind == "timeseries" else TOTALS
        yield replace(panel, description=f"{panel.description} {_ROUNDED.format(minutes=tier.raw_s // 60)}")
