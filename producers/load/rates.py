"""Rates as people write them in a plan: `200` requests per second, or `50MB/s` of what the requests move."""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from producers.load.sizes import PATTERN, format_bytes, parse_bytes

HIGHEST_TPS = 1_000_000.0
AWAY_TPS = 1_000.0
"""The highest rate for another machine than this one unless somebody says more, for a slip of the pen is an attack."""


@dataclass(frozen=True, slots=True)
class BytesPerS:
    """So many bytes per second, which are so many requests once it is known what each moves; see `settled`."""

    size: int

    def __str__(self) -> str:
        return f"{format_bytes(self.size)}/s"


def parse_rate(value: object) -> float | BytesPerS:
    """Requests per second of a number, bytes per second of `50MB/s`. Raises ValueError, one clause."""
    if isinstance(value, BytesPerS):
        return value
    if isinstance(value, str) and value.rstrip().endswith("/s"):
        return BytesPerS(parse_bytes(value.rstrip().removesuffix("/s")))
    try:
        rate = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else inf
    except ValueError:
        rate = inf
    if not (isfinite(rate) and 0 <= rate <= HIGHEST_TPS):
        raise ValueError(
            f"{value!r} is no rate; write requests per second, a number from 0 to 1000000, or bytes, like 50MB/s"
        )
    return rate


def parse_level(value: object) -> float | BytesPerS:
    """A rate that is not zero. Raises ValueError, one clause."""
    rate = parse_rate(value)
    if rate in (0, BytesPerS(0)):
        raise ValueError("a level of no requests has nothing to measure; leave it out")
    return rate


def plain_number(value: float) -> float:
    """Without a fraction where it has none, so that it is written without one."""
    return int(value) if value == int(value) else value


def _written(rate: float | BytesPerS) -> Any:
    return str(rate) if isinstance(rate, BytesPerS) else plain_number(rate)


_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": HIGHEST_TPS},
        {"type": "string", "pattern": f"{PATTERN.rstrip('$')}/s$", "examples": ["50MB/s", "1GiB/s"]},
    ],
    "description": "Requests per second; or bytes per second of what the requests move, like 50MB/s.",
}
_written_plainly = PlainSerializer(_written, return_type=Any, when_used="json")
Rate = Annotated[float | BytesPerS, PlainValidator(parse_rate), _written_plainly, WithJsonSchema(_SCHEMA)]
Level = Annotated[float | BytesPerS, PlainValidator(parse_level), _written_plainly, WithJsonSchema(_SCHEMA)]
