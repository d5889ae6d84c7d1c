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
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from producers.load.plan_errors import PlanError

_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_CALL = re.compile(r"(int|choice)\((.*)\)$", re.DOTALL)
_COLUMN = re.compile(r"([A-Za-z_]\w*)\.(.+)$", re.DOTALL)
_HINT = "known are counter, uuid, int(FROM, TO), choice(A, B, ...) and FEED.COLUMN"

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
        value = _value(part, feeds)
        pieces.append(value if escape is str else _escaped(value, escape))
    return Template(tuple(pieces))


def _escaped(value: Value, escape: Callable[[str], str]) -> Value:
    return lambda arrival: escape(value(arrival))


def _value(name: str, feeds: Mapping[str, Rows]) -> Value:
    if name == "counter":
        return str
    if name == "uuid":
        return lambda _: str(uuid.UUID(int=random.getrandbits(128), version=4))
    if call := _CALL.match(name):
        arguments = [argument.strip() for argument in call[2].split(",")]
        return _int(name, arguments) if call[1] == "int" else _choice(name, arguments)
    if column := _COLUMN.match(name):
        return _column(column[1], column[2], feeds)
    raise PlanError(f"the template {{{{{name}}}}} is not known; {_HINT}")


def _int(name: str, arguments: list[str]) -> Value:
    try:
        low, high = map(int, arguments)
    except ValueError:
        low, high = 1, 0
    if low > high:
        raise PlanError(
            f"the template {{{{{name}}}}} needs two whole numbers, the lower first, as in {{{{int(1, 100)}}}}"
        )
    return lambda _: str(random.randint(low, high))  # noqa: S311  traffic, no secret


def _choice(name: str, arguments: list[str]) -> Value:
    if not all(arguments):
        raise PlanError(f"the template {{{{{name}}}}} has nothing to choose from; write {{{{choice(red, blue)}}}}")
    return lambda _: random.choice(arguments)  # noqa: S311  traffic, no secret


def _column(feed: str, column: str, feeds: Mapping[str, Rows]) -> Value:
    if feed not in feeds:
        there = f"there are {', '.join(feeds)}" if feeds else "the plan has no `feeds`"
        raise PlanError(f"the template {{{{{feed}.{column}}}}} names no feed of the plan; {there}")
    rows = feeds[feed]
    if column not in rows.columns:
        raise PlanError(f"the feed {feed} has no column {column!r}; there are {', '.join(rows.columns)}")
    return lambda arrival: rows.value(column, arrival)
