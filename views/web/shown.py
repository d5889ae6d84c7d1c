"""What a query of the page is: its text, for each tier if it is over time, and its columns in order.

A text over time exists for each tier, with the same columns; `Span` says which one answers and brings `first`, `last`
and `step`. A bucket is `step` units of the tier (windows of the run, minutes of the Unix clock), counted from `first`;
what nobody heard of is missing, not zero. Columns in `_us` are microseconds, of CPU unless they say otherwise; rates
are a count over `window_us` (and CPU over `watched_us`, the part of it that had a profile). Sums of windows and sums of
minutes are the same sums.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from views.queries import Query
from views.web.span import Tier


class Column(NamedTuple):
    """Its name, its type as ClickHouse writes it, and what it says."""

    name: str
    type: str
    says: str


@dataclass(frozen=True, slots=True)
class Shown(Query):
    """A query with its columns in order."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Over:
    """A query over time."""

    windows: Shown
    minutes: Shown

    def at(self, tier: Tier) -> Shown:
        """The text of a tier."""
        return self.windows if tier == "windows" else self.minutes


class Source(NamedTuple):
    """Where the rows of a tier stand between `first` and `last`, and how it says what only minutes have columns for."""

    windows: str
    endpoints: str
    functions: str
    stacks: str
    unit: str
    watched_us: str
    watched_requests: str
    late: str
    incomplete: str
    joined: str
    unwatched: str


_WITHIN = "(run = {run:String}, first = {first:UInt64}, last = {last:UInt64})"
_MINUTES = "WHERE run = {run:String} AND minute BETWEEN {first:UInt64} AND {last:UInt64}"
_WINDOWS = Source(
    windows="windows AS one WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}",
    endpoints=f"endpoints_within{_WITHIN} WHERE true",
    functions=f"functions_within{_WITHIN} WHERE true",
    stacks=f"stacks_within{_WITHIN} WHERE true",
    unit="window",
    watched_us="sumIf(one.window_us, one.instances > 0)",
    watched_requests="sumIf(one.completed + one.failed, one.instances > 0)",
    late="countIf(closed_by = 'late')",
    incomplete="countIf(closed_by = 'grace')",
    joined="count()",
    unwatched="countIf(one.instances = 0)",
)
_OF_MINUTES = Source(
    windows=f"minutes AS one {_MINUTES}",
    endpoints=f"minute_endpoints {_MINUTES}",
    functions=f"minute_functions {_MINUTES}",
    stacks=f"minute_stacks {_MINUTES}",
    unit="minute",
    watched_us="sum(one.watched_us)",
    watched_requests="sum(one.watched_requests)",
    late="sum(one.late)",
    incomplete="sum(one.incomplete)",
    joined="sum(one.windows)",
    unwatched="sum(one.unwatched)",
)
SOURCES = (_WINDOWS, _OF_MINUTES)
RUN: dict[str, Any] = {"run": "run-1"}
SPAN: dict[str, Any] = {**RUN, "first": 1_790_000_000, "last": 1_790_000_600}
STEPS: dict[str, Any] = {**SPAN, "step": 1}
UNIX_US = "toUnixTimestamp64Micro"
_TOLD = tuple[str, str, str]


def once(name: str, sql: str, parameters: dict[str, Any], *columns: _TOLD) -> Shown:
    """A query that is not over time, or of one tier."""
    return Shown(name, sql.strip(), parameters, tuple(Column(*column) for column in columns))


def over(name: str, text: Callable[[Source], str], parameters: dict[str, Any], *columns: _TOLD) -> Over:
    """A query for both tiers."""
    return Over(*(once(f"{name} by {one.unit}", text(one), parameters, *columns) for one in SOURCES))


def bucket(source: Source) -> str:
    """SQL of the bucket that a row belongs to."""
    return f"toUInt64(intDiv({source.unit} - {{first:UInt64}}, {{step:UInt64}}))"
