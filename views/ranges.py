"""A part of a run: whole windows, told in seconds since its start, so that it means the same wherever it is read."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from clickhouse_connect.driver.client import Client

from schemas.durations import parse_duration_s
from schemas.errors import UserError
from views import queries
from views.runs import unknown_run
from views.web import texts

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
        found = queries.fetch(client, queries.RUN, run=run).to_pylist()
        if not found:
            raise unknown_run(client, run)
        window_us = int(found[0]["window_us"]) or 1_000_000
        started_us = round(found[0]["started_at"].timestamp() * 1e6) // window_us * window_us
        (reach,) = queries.fetch(client, texts.REACH, run=run).to_pylist()
        if not reach["windows"]:
            return cls(run, started_us, window_us, 1, 0)
        return cls(run, started_us, window_us, int(reach["first"]), int(reach["last"]))

    @property
    def is_empty(self) -> bool:
        """Whether the store holds no window yet."""
        return self.last < self.first

    def seconds_of(self, window: int) -> float:
        """When a window starts, in seconds since the start of the run."""
        return (window * self.window_us - self.started_us) / 1e6

    def span(self, from_s: float | None = None, to_s: float | None = None) -> "Span":
        """The windows that start in [from_s, to_s); all of the run's where an end is not named. Raises RangeError."""
        first, last = self.first, self.last
        if from_s is not None:
            first = max(first, self._window_at(from_s))
        if to_s is not None:
            last = min(last, self._window_at(to_s) - 1)
        if from_s is not None and to_s is not None and to_s <= from_s:
            raise RangeError(f"the range {from_s:g}-{to_s:g} s ends before it starts")
        return Span(self, first, last)

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
class Span:
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

    def step(self, most: int) -> int:
        """Windows a bucket so that there are at most `most` of them, of 1, 2, 5, 10, 15, 30, 60 and so on."""
        least = -(-self.windows // most)
        for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600):
            if step >= least:
                return step
        return least

    @property
    def parameters(self) -> dict[str, int | str]:
        """As the texts of `views.web.texts` take it."""
        return {"run": self.clock.run, "first": self.first, "last": max(self.last, 0)}
