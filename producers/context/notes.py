"""What a service's middleware tells in a datagram, read within limits (the form stands in `loadflame_middleware`).

Whoever may write to the socket may send anything: each value is checked, and nothing but NoteError is raised.
"""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

from producers.endpoint_names import printable
from schemas.precision import LONGEST_US

DATAGRAM_BYTES = 128 << 10
MOST_REQUESTS = 1000
MOST_STRETCHES = 128
"""Of one request in one datagram."""
_TEXT = 256
_TIMES_END_US = 1 << 53
_TRACE = 32
_BAGGAGE = 1024


class NoteError(Exception):
    """A datagram that is not understood, and why in a few words. Counted and shown, never fatal."""


@dataclass(frozen=True, slots=True)
class Note:
    """One request that ended. `thread` is as the kernel counts, `task` names an asyncio task, 0 where there is none.

    `began_us` is of the Unix epoch, by the service's clock; `trace` is the W3C trace id, empty where there is none.
    """

    trace: str
    thread: int
    task: int
    began_us: int
    took_us: int
    endpoint: str
    status: int


class Stretch(NamedTuple):
    """From `begin_us` until before `end_us` a thread ran for a request of an endpoint; of the Unix epoch.

    `asked` are a run and its plan's name of the endpoint, where the load of that run sent the request.
    """

    thread: int
    begin_us: int
    end_us: int
    endpoint: str
    asked: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One datagram: the requests of one process that ended, and how many it has dropped since it began.

    `ran` is what threads did for requests, those that are under way as well. The same may be told more than once.
    """

    pid: int
    dropped: int
    notes: tuple[Note, ...]
    ran: tuple[Stretch, ...] = ()


def told_of(data: bytes) -> Told:
    """Read a datagram. Raises NoteError, whatever is in it."""
    if len(data) > DATAGRAM_BYTES:
        raise NoteError(f"has over {DATAGRAM_BYTES >> 10} KiB")
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        raise NoteError("is not whole JSON") from None
    if not isinstance(said, dict) or said.get("v") != 1:
        raise NoteError("is of another version: take the middleware of this loadflame")
    notes = tuple(map(_note, _rows(said, "requests")))
    # A thread without tasks serves one request at a time, from its beginning to its end.
    ran = [Stretch(one.thread, one.began_us, one.began_us + one.took_us, one.endpoint) for one in notes if not one.task]
    if "ran" in said:  # the first versions of the middleware do not tell it
        ahead_ns = said.get("ahead")
        if isinstance(ahead_ns, bool) or not isinstance(ahead_ns, int) or abs(ahead_ns) >= 1 << 63:
            raise NoteError("has a counter that cannot be")
        for row in _rows(said, "ran"):
            ran += _stretches(row, ahead_ns)
    return Told(
        _whole(said.get("pid"), "pid", 1 << 32),
        _whole(said.get("dropped"), "dropped", _TIMES_END_US),
        notes,
        tuple(ran),
    )


def _rows(said: dict[str, Any], name: str) -> list[Any]:
    rows = said.get(name)
    if not isinstance(rows, list) or len(rows) > MOST_REQUESTS:
        raise NoteError(f"has no list of {name}, or too many")
    return rows


def _note(row: Any) -> Note:
    if not isinstance(row, list) or len(row) != 7:
        raise NoteError("has a request that is no list of seven")
    trace, thread, task, began, took, endpoint, status = row
    if not isinstance(trace, str):
        raise NoteError("has a request whose trace is no text")
    return Note(
        trace=trace if len(trace) == _TRACE and trace.isascii() and trace.isalnum() else "",
        thread=_whole(thread, "thread", 1 << 64),
        task=_whole(task, "task", 1 << 64),
        began_us=_whole(began, "begin", _TIMES_END_US),
        took_us=min(_whole(took, "duration", _TIMES_END_US), LONGEST_US),
        endpoint=_endpoint(endpoint),
        status=_whole(status, "status", 1000),
    )


def _stretches(row: Any, ahead_ns: int) -> list[Stretch]:
    """Of one request: thread, endpoint, pairs of nanoseconds of a counter that Unix time is ahead of, and baggage."""
    if not isinstance(row, list) or len(row) not in (3, 4) or not isinstance(row[2], list):
        raise NoteError("has what ran in no list of three or four")
    thread, endpoint, counted = _whole(row[0], "thread", 1 << 64), _endpoint(row[1]), row[2]
    if len(counted) % 2 or len(counted) > 2 * MOST_STRETCHES:
        raise NoteError("has stretches without an end, or too many")
    times_us = [(_whole(one, "stretch", 1 << 63) + ahead_ns) // 1000 for one in counted]
    pairs = list(zip(times_us[::2], times_us[1::2], strict=True))
    if not all(0 <= begin <= end < _TIMES_END_US for begin, end in pairs):
        raise NoteError("has a stretch that cannot be")
    asked = _asked(row[3]) if len(row) == 4 else None
    return [Stretch(thread, *pair, endpoint, asked) for pair in pairs]


def _asked(baggage: Any) -> tuple[str, str] | None:
    """What the load says of a request (see `producers.load.trace_context`), None for what is not the load's."""
    if not isinstance(baggage, str) or len(baggage) > _BAGGAGE:
        raise NoteError("has baggage that is no text, or is too long")
    said = dict(part.strip().partition("=")[::2] for part in baggage.split(","))
    run, endpoint = (unquote(said.get(f"loadflame.{name}", ""))[:_TEXT] for name in ("run", "endpoint"))
    return (run, printable(endpoint)) if run and endpoint else None


def _endpoint(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT:
        raise NoteError("has a request whose endpoint is no text, or is too long")
    return value


def _whole(value: Any, name: str, end: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < end:
        raise NoteError(f"has a {name} that cannot be")
    return value
