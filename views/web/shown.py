"""What a query of the page is: its text, for each tier if it is over time, and its columns in order.

A text over time exists for each tier, with the same columns; `Span` says which one answers and brings `first`, `last`
and `step`. A bucket is `step` units of the tier (windows of the run, minutes of the Unix clock), counted from `first`;
what nobody heard of is missing, not zero. Columns in `_us` are microseconds, of CPU unless they say otherwise; rates
are a count over `window_us` (and CPU over `watched_us`, the part of it that had a profile). Sums of windows and sums of
minutes are the same sums.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

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


Way = Tier | Literal["both"]


@dataclass(frozen=True, slots=True)
class Summed(Over):
    """A query of sums over a stretch: `both` reads whole minutes and windows beside them (see `views.web.summed`)."""

    both: Shown

    def at(self, tier: Way) -> Shown:
        """The text of a tier, or of both."""
        return self.both if tier == "both" else self.windows if tier == "windows" else self.minutes


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


_INNER = {"from_minute": 29_833_334, "to_minute": 29_833_340, "inner_first": 1_790_000_040, "inner_last": 1_790_000_459}
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
_SUMMED = ", ".join(
    f"{name} = {{{name}:{kind}}}"
    for name, kind in (("run", "String"), *((one, "UInt64") for one in ("first", "last", *_INNER)))
)
_BOTH = _WINDOWS._replace(
    unit="minute and window",
    endpoints=f"endpoints_summed_within({_SUMMED}) WHERE true",
    stacks=f"stacks_summed_within({_SUMMED}) WHERE true",
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


def summed(name: str, text: Callable[[Source], str], parameters: dict[str, Any], *columns: _TOLD) -> Summed:
    """A query of sums, for both tiers, each by itself and together; of a source it takes endpoints or stacks alone."""
    by = over(name, text, parameters, *columns)
    both = once(f"{name} by {_BOTH.unit}", text(_BOTH), {**parameters, **_INNER}, *columns)
    return Summed(by.windows, by.minutes, both)


def bucket(source: Source) -> str:
    """SQL of the bucket that a row belongs to."""
    return f"toUInt64(intDiv({source.unit} - {{first:UInt64}}, {{step:UInt64}}))"
