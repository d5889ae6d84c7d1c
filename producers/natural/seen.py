"""One request of plain traffic, as somebody beside the service saw it end."""

from dataclasses import dataclass, field

NO_HTTP = "(no HTTP)"
"""The endpoint of what came and was no request: a TLS handshake to a plain port, a connection without a word."""
GAVE_UP = 499
"""nginx's status of a request whose client closed the connection before there was an answer."""
MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that ended. Times are microseconds, of the Unix epoch where absolute.

    `latency_us` counts from when the service (or what stands before it) took the request up: None where nobody timed
    it, which is not 0. `error` is None when the service did its work.
    """

    ended_at_us: int
    latency_us: int | None
    status: int
    error: str | None
    endpoint: str
    bytes_received: int = 0


@dataclass(slots=True)
class Tally:
    """What became of all that was told: `told` = `requests` + `others` + `unknown`.

    `others` are understood and not counted: those that ended before the run began, or that were not asked for. Of the
    requests some are `untimed`, and some `late`: told of after their window was handed on, so they count in another.
    `lost` says how many the teller itself gave up; `examples` are the first of the unknown, and why.
    """

    told: int = 0
    requests: int = 0
    others: int = 0
    unknown: int = 0
    untimed: int = 0
    late: int = 0
    lost: int = 0
    examples: list[str] = field(default_factory=list)

    def refuse(self, why: str) -> None:
        """Count what was not understood."""
        self.unknown += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(why)


def counted(number: int, noun: str) -> str:
    """`1 line`, `2,000 lines`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def error_of(status: int) -> str | None:
    """Whether the service failed: by its own fault (5xx), or so slow that its client gave up.

    What clients ask wrongly (404, 401 and their kin) the service answers rightly; crawlers ask for it all day.
    """
    if status >= 500 or status == GAVE_UP:
        return f"http {status}"
    return None
