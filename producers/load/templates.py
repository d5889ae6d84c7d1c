"""Text that is another for every request: `{{counter}}` and its kin. Pure but for the dice.

| written               | becomes                                                                  |
|-----------------------|--------------------------------------------------------------------------|
| {{counter}}           | 0, 1, 2, ...: another for every request of the run                       |
| {{uuid}}              | a random UUID (RFC 9562, version 4), another wherever it stands          |
| {{int(1, 100)}}       | a random whole number, both ends included                                |
| {{choice(red, blue)}} | one of these, blanks around them left out                                |
| {{users.name}}        | the column `name` of the feed `users`: row after row, by the arrival     |

Everything of one request sees the same arrival, so `{{counter}}` and a feed's row are the same in path and body.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from producers.load.plan_errors import PlanError

_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_CALL = re.compile(r"(int|choice)\((.*)\)$", re.DOTALL)
_COLUMN = re.compile(r"([A-Za-z_]\w*)\.(.+)$", re.DOTALL)
_HINT = "known are counter, uuid, int(FROM, TO), choice(A, B, ...) and FEED.COLUMN"

_MOST_OF_FLOAT = 1 << 32
"""Numbers in a range of which a float between 0 and 1 chooses evenly, and three times as fast as `randint`."""
Value = Callable[[int], str]
"""From an arrival's number."""


class Rows(Protocol):
    """What a template needs of a feed."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names."""

    def value(self, column: str, arrival: int) -> str:
        """The column in the row that an arrival gets. Raises FeedOverError behind the last."""


@dataclass(frozen=True, slots=True)
class Template:
    """Text between values, in turn."""

    pieces: tuple[str | Value, ...]

    @property
    def varies(self) -> bool:
        """Whether it is another text for every arrival."""
        return any(not isinstance(piece, str) for piece in self.pieces)

    def text(self, arrival: int) -> str:
        """The text for an arrival. Raises FeedOverError."""
        return "".join([piece if isinstance(piece, str) else piece(arrival) for piece in self.pieces])


def parse_template(text: str, feeds: Mapping[str, Rows], escape: Callable[[str], str] = str) -> Template:
    """Read a template; `escape` makes a value fit for where it is put. Raises PlanError."""
    parts = _PLACE.split(text)
    pieces: list[str | Value] = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            pieces += [part] if part else []
            continue
        pieces.append(_value(part, feeds, escape))
    return Template(tuple(pieces))


def _value(name: str, feeds: Mapping[str, Rows], escape: Callable[[str], str]) -> Value:
    """Digits and hyphens are fit for everywhere; the rest is escaped, once where that is enough."""
    if name == "counter":
        return str
    if name == "uuid":
        return _uuid
    if call := _CALL.match(name):
        arguments = [argument.strip() for argument in call[2].split(",")]
        return _int(name, arguments) if call[1] == "int" else _choice(name, arguments, escape)
    if column := _COLUMN.match(name):
        return _column(column[1], column[2], feeds, escape)
    raise PlanError(f"the template {{{{{name}}}}} is not known; {_HINT}")


def _uuid(_: int) -> str:
    bits = random.getrandbits(128) & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62  # version 4, variant 10
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _int(name: str, arguments: list[str]) -> Value:
    try:
        low, high = map(int, arguments)
    except ValueError:
        low, high = 1, 0
    if low > high:
        raise PlanError(
            f"the template {{{{{name}}}}} needs two whole numbers, the lower first, as in {{{{int(1, 100)}}}}"
        )
    span, fraction = high - low + 1, random.random
    if span > _MOST_OF_FLOAT:
        return lambda _: str(random.randint(low, high))  # noqa: S311  traffic, no secret
    return lambda _: str(low + int(fraction() * span))


def _choice(name: str, arguments: list[str], escape: Callable[[str], str]) -> Value:
    if not all(arguments):
        raise PlanError(f"the template {{{{{name}}}}} has nothing to choose from; write {{{{choice(red, blue)}}}}")
    options, count, fraction = [escape(argument) for argument in arguments], len(arguments), random.random
    return lambda _: options[int(fraction() * count)]


def _column(feed: str, column: str, feeds: Mapping[str, Rows], escape: Callable[[str], str]) -> Value:
    if feed not in feeds:
        there = f"there are {', '.join(feeds)}" if feeds else "the plan has no `feeds`"
        raise PlanError(f"the template {{{{{feed}.{column}}}}} names no feed of the plan; {there}")
    rows = feeds[feed]
    if column not in rows.columns:
        raise PlanError(f"the feed {feed} has no column {column!r}; there are {', '.join(rows.columns)}")
    return lambda arrival: escape(rows.value(column, arrival))
