"""A part of a run: whole windows, told in seconds since its start, so that it means the same wherever it is read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver.client import Client

from schemas.durations import parse_duration_s
from schemas.errors import UserError
from schemas.windows import WINDOW_US
from views.queries import fetch
from views.runs import unknown_run
from views.web import queries
from views.web.span import Span

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
EPOCH_MS = 1e11
"""A time above this is Unix milliseconds, as Grafana's links have it, not seconds since the start of a run."""


class RangeError(UserError):
    """A time that nobody can place in the run."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Places a run's windows: `started_us` is the start of the window of its first arrival, `window_us` their length.

    `first` to `last` are the windows in the store, `last < first` before the first one.
    """

    run: str
    started_us: int
    window_us: int
    first: int
    last: int

    @classmethod
    def of(cls, client: Client, run: str) -> "Clock":
        """Of a run in the store. Blocks; raises UnknownRunError or StoreError."""
        found = fetch(client, queries.RUN_HEAD, run=run).to_pylist()
        if not found:
            raise unknown_run(client, run)
        return cls.of_head(found[0])

    @classmethod
    def of_head(cls, row: Mapping[str, Any]) -> "Clock":
        """From a row of RUN_HEAD."""
        window_us = int(row["window_us"]) or WINDOW_US
        started_us = int(row["started_us"]) // window_us * window_us
        if not row["last"]:
            return cls(row["run"], started_us, window_us, 1, 0)
        return cls(row["run"], started_us, window_us, int(row["first"]), int(row["last"]))

    @property
    def is_empty(self) -> bool:
        """Whether the store holds no window yet."""
        return self.last < self.first

    def seconds_of(self, window: int) -> float:
        """When a window starts, in seconds since the start of the run."""
        return (window * self.window_us - self.started_us) / 1e6

    def part(self, from_s: float | None = None, to_s: float | None = None) -> "Part":
        """The windows that start in [from_s, to_s); all of the run's where an end is not named. Raises RangeError."""
        first, last = self.first, self.last
        if from_s is not None:
            first = max(first, self._window_at(from_s))
        if to_s is not None:
            last = min(last, self._window_at(to_s) - 1)
        if from_s is not None and to_s is not None and to_s <= from_s:
            raise RangeError(f"the range {from_s:g}-{to_s:g} s ends before it starts")
        return Part(self, first, last)

    def _window_at(self, at_s: float) -> int:
        """The window that holds a time, or the next one when it lies between two (within a microsecond)."""
        if at_s > EPOCH_MS:
            at_s = at_s / 1e3 - self.started_us / 1e6
        return -((-round(at_s * 1e6) - self.started_us) // self.window_us)

    def parse(self, text: str) -> float:
        """Seconds since the start of `90`, `90s`, `1m`, or of a time of day like 2026-01-31T12:00:05 (UTC).

        Raises RangeError, one sentence.
        """
        if _NUMBER.fullmatch(text.strip()):
            return float(text)
        try:
            return parse_duration_s(text)
        except ValueError:
            pass
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise RangeError(
                f"{text!r} is no time; write seconds since the start of the run, as 90, 90s or 1m, or a time like "
                "2026-01-31T12:00:05"
            ) from None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - self.started_us / 1e6


@dataclass(frozen=True, slots=True)
class Part:
    """The windows from `first` to `last` of a run, both included; empty when `last < first`."""

    clock: Clock
    first: int
    last: int

    @property
    def from_s(self) -> float:
        """Its start, in seconds since the start of the run."""
        return self.clock.seconds_of(self.first)

    @property
    def to_s(self) -> float:
        """Its end."""
        return self.clock.seconds_of(max(self.last, self.first - 1) + 1)

    @property
    def windows(self) -> int:
        """How many windows it could hold."""
        return max(0, self.last - self.first + 1)

    def span(self, points: int) -> Span:
        """As the texts of `views.web.queries` take it, in at most `points` buckets.

        When minutes answer for it, it is rounded out to whole ones.
        """
        window_us = self.clock.window_us
        return Span.of(self.first * window_us, (self.last + 1) * window_us, window_us, points=points)

    def times_s(self, span: Span, buckets: Iterable[int]) -> tuple[float, ...]:
        """Where buckets of a span begin, in seconds since the start of the run."""
        start_us = span.first * span.unit_us - self.clock.started_us
        return tuple((start_us + bucket * span.bucket_us) / 1e6 for bucket in buckets)
