"""What every reader hands on, and the rules that hold for all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import JsonValue, ValidationError

from producers.load.plan import Request
from schemas.errors import UserError

Kind = Literal["openapi", "har", "log", "k6"]
SAFE_METHODS = ("GET", "HEAD")
"""Methods that change nothing (RFC 9110, 9.2.1) and that a plan may send without being asked to."""
MOST_REQUESTS = 1000
_NAME_LENGTH = 64


class DraftError(UserError):
    """The source holds nothing that a plan can be made of; one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class SeenRate:
    """Requests per second, over the seconds in which there was at least one."""

    median_tps: float
    peak_tps: float


@dataclass(frozen=True, slots=True)
class Draft:
    """Requests out of a document, and short notes on what was left out or guessed.

    `target` is the origin that the document names, "" if none; `service` likewise its title.
    """

    requests: tuple[Request, ...]
    notes: tuple[str, ...] = ()
    target: str = ""
    service: str = ""
    seen: SeenRate | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A request that is yet to get a name of its own and to pass the plan's own checks."""

    name: str
    method: str
    path: str
    weight: float = 1.0
    headers: tuple[tuple[str, str], ...] = ()
    json: JsonValue = None
    body: str | None = None


def requests_of(candidates: Iterable[Candidate], notes: list[str]) -> tuple[Request, ...]:
    """Requests with different names, as many as a plan takes; adds a note for what does not fit."""
    fitting: list[Request] = []
    taken: set[str] = set()
    refused = surplus = templates = 0
    for candidate in candidates:
        if len(fitting) == MOST_REQUESTS:
            surplus += 1
        elif "{{" in f"{candidate.body}{candidate.json}":
            templates += 1
        elif (request := _request(replace(candidate, name=_free_name(candidate.name, taken)))) is None:
            refused += 1
        else:
            taken.add(request.name)
            fitting.append(request)
    if surplus:
        notes.append(f"{counted(surplus, 'request')} left out: a plan takes {MOST_REQUESTS}")
    if templates:
        notes.append(f"{counted(templates, 'request')} left out: a body with {{{{ would be read as a template")
    if refused:
        notes.append(f"{counted(refused, 'request')} left out that a plan cannot hold (a strange method or path)")
    return tuple(fitting)


def _request(candidate: Candidate) -> Request | None:
    try:
        return Request.model_validate(
            {
                "name": candidate.name,
                "method": candidate.method,
                "path": candidate.path,
                "weight": candidate.weight,
                "headers": dict(candidate.headers),
                "json": candidate.json,
                "body": candidate.body,
            }
        )
    except ValidationError:
        return None


def _free_name(wanted: str, taken: set[str]) -> str:
    plain = printable(wanted).strip() or "request"
    name, number = plain[:_NAME_LENGTH].strip(), 1
    while name in taken:
        number += 1
        ending = f" {number}"
        name = plain[: _NAME_LENGTH - len(ending)].strip() + ending
    return name


def printable(text: str) -> str:
    """One line without control characters and lone surrogates: what may be shown on a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def counted(number: int, noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Iterable[str], most: int = 5) -> str:
    """A few different names, and how many more there are."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - most} more" if len(different) > most else ""
    return ", ".join(printable(name)[:40] for name in different[:most]) + more


def changing_note(methods: Counter[str]) -> list[str]:
    """The note on requests that were left out because they may change state, counted by method."""
    if not methods:
        return []
    number = counted(methods.total(), "request")
    return [f"{number} left out that may change state ({listed(sorted(methods))}); --all takes them in"]


def counted_notes(counts: Mapping[str, int]) -> list[str]:
    """`3 lines ...` for every ending that was counted at least once; an ending begins with a noun in the singular."""
    return [
        f"{counted(number, noun)} {rest}"
        for ending, number in counts.items()
        if number
        for noun, _, rest in [ending.partition(" ")]
    ]
