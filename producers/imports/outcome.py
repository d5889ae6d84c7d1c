"""What a line of another tool's file says of one request, and what became of all the lines."""

from dataclasses import dataclass, field

SPAN_US = 3 * 86_400 * 1_000_000
"""How far from a file's first request another one may lie: one damaged time must not make a run of a decade."""
MOST_EXAMPLES = 5


class LineError(Exception):
    """A line that is not understood, and why in a few words. Counted and shown, never fatal."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request that ended, as another tool tells it. Times are microseconds, of the Unix epoch where absolute.

    `latency_us` counts from `sent_at_us`, since these tools write down no schedule. `status` is 0 when no answer came;
    `error` is None when nothing went wrong. Bytes are 0 where the tool does not tell them per request.
    """

    sent_at_us: int
    latency_us: int
    status: int
    error: str | None
    endpoint: str
    bytes_sent: int = 0
    bytes_received: int = 0

    @property
    def ended_at_us(self) -> int:
        """When its answer was whole, or was given up."""
        return self.sent_at_us + self.latency_us


@dataclass(frozen=True, slots=True)
class Dropped:
    """So many arrivals that fell due at a time, microseconds of the Unix epoch, and that the tool never sent."""

    due_at_us: int
    count: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, counted from 1, without its end; `why` says why it could not be read, empty if it was."""

    number: int
    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A line that was not understood."""

    number: int
    why: str


@dataclass(slots=True)
class Tally:
    """What became of the lines of a file: `lines` = those of `requests` + `others` + `unknown`.

    `others` are understood but tell of no request (a header, another metric, a transaction), some of them of arrivals
    that were `dropped`; `examples` are the first of the `unknown`. Requests that end after `until_us` are not believed.
    """

    until_us: int
    lines: int = 0
    requests: int = 0
    others: int = 0
    dropped: int = 0
    unknown: int = 0
    examples: list[Unknown] = field(default_factory=list)
    _first_us: int | None = None

    def take(self, told: Outcome | Dropped | None) -> None:
        """Count what a record says. Raises LineError when its figures cannot be."""
        match told:
            case Outcome():
                self._believe(told.sent_at_us, told.ended_at_us)
                self.requests += 1
            case Dropped():
                self._believe(told.due_at_us, told.due_at_us)
                self.others += 1
                self.dropped += told.count
            case None:
                self.others += 1

    def _believe(self, began_us: int, ended_us: int) -> None:
        if not 0 < began_us <= self.until_us or ended_us > self.until_us:
            raise LineError("its time lies before 1970 or in the future: is the clock or the unit right?")
        if self._first_us is None:
            self._first_us = began_us
        if abs(began_us - self._first_us) > SPAN_US:
            raise LineError(f"its time is over {SPAN_US // 86_400_000_000} days from that of the file's first request")

    def refuse(self, number: int, why: str) -> None:
        """Count a line that was not understood."""
        self.unknown += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(Unknown(number, why))
