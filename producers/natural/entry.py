"""What one line of an access log says, before it is set against the time at which it was read."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["s", "ms", "us", "ns"]
LINE_BYTES = 64 << 10


class LineError(Exception):
    """A line that is not understood, and why in a few words. Counted and shown, never fatal."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request as a log tells it. `at_us` is None where the line has no time, `latency_us` where it has no duration.

    The line's time stands for `grain_us` from `at_us` on: most logs write whole seconds.
    """

    method: str
    target: str
    status: int
    at_us: int | None = None
    grain_us: int = 0
    latency_us: int | None = None
    bytes_sent: int = 0
