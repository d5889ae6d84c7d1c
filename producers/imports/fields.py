"""Single values of other tools' records, checked: each function raises LineError and nothing else."""

import json
import math
import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from producers.imports.outcome import LineError
from schemas.precision import LONGEST_US

MOST_BYTES = 1 << 52
ENDPOINT_LENGTH, ERROR_LENGTH = 200, 60
_SAID_LENGTH = 400
SUCCESS = 200
"""Stands as the status of what succeeded in a protocol that has none: 0 would say that no answer came."""
CHECK_FAILED = "check failed"
"""The error of an answer below 400 that the tool itself did not accept (an assertion, a check)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SHOWN = 40
# The first that fits counts. The names are those of `producers.load.outcomes`.
_ERRORS = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"timeout|timed out|deadline exceeded", "timeout"),
        (r"refused|HttpHostConnect", "refused"),
        (r"reset by peer|connection reset|broken pipe|connection aborted", "reset"),
        (r"no such host|UnknownHost|name resolution|name or service not known|getaddrinfo", "unresolvable"),
        (r"no route to host|network is unreachable|host is unreachable", "unreachable"),
        (r"x509|certificate|\btls\b|\bssl", "tls"),
        (r"too many open files", "no file handles"),
        (r"cannot assign requested address", "no ports"),
        (r"redirects", "redirects"),
        (r"\bEOF\b|NoHttpResponse|closed|disconnected|incomplete ?read", "closed"),
        (r"malformed HTTP|bad status ?line|protocol error", "bad answer"),
    )
)
_ADDRESS = re.compile(r"\S*://\S*")


def json_object(text: str) -> dict[str, Any]:
    """A line that is one JSON object."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise LineError("nested too deep") from None
    except ValueError:
        raise LineError("is not whole JSON") from None
    if not isinstance(value, dict):
        raise LineError("is no JSON object")
    return value


def mapping(record: dict[str, Any], name: str) -> dict[str, Any]:
    """A JSON object in a record; an empty one for null or nothing."""
    value = record.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise LineError(f"{name} is no object")
    return value


def number(value: object, name: str, *, most: float) -> float:
    """A finite number from 0 to `most`, or the text of one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise LineError(f"{name} is missing" if value is None else f"{name} is no number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise LineError(f"{name} is {_shown(value)}, no number") from None
    if not (math.isfinite(found) and 0 <= found <= most):
        raise LineError(f"{name} is {_shown(value)}, which cannot be")
    return found


def whole(value: object, name: str, *, most: int) -> int:
    """A whole number from 0 to `most`, or the text of one; never rounded through a float."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise LineError(f"{name} is missing" if value is None else f"{name} is {_shown(value)}, no whole number")
    if not 0 <= value <= most:
        raise LineError(f"{name} is {_shown(value)}, which cannot be")
    return value


def text(value: object, length: int) -> str:
    """A text that can be stored and shown: cut, without half surrogates or control characters; empty for no text."""
    if not isinstance(value, str):
        return ""
    if not value.isprintable():
        value = "".join(letter if letter.isprintable() else " " for letter in value[: 4 * length])
    return value.strip()[:length]


def latency_us(value: object, name: str, *, us_per_unit: float) -> int:
    """A duration in microseconds, of at most what a row can hold (71 minutes)."""
    return round(number(value, name, most=LONGEST_US / us_per_unit) * us_per_unit)


def rfc3339_us(value: object, name: str) -> int:
    """A time with its zone as microseconds of the Unix epoch; digits beyond are cut off."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise LineError(f"{name} is {_shown(value)}, no time with a zone (RFC 3339)")
    try:
        return (at - _EPOCH) // _MICROSECOND
    except OverflowError:
        raise LineError(f"{name} is {_shown(value)}, which cannot be") from None


def endpoint_of(name: object, method: object = "") -> str:
    """What a request is called: its name, or `METHOD /path` of an address, whose query is left out."""
    called = text(name, 4 * ENDPOINT_LENGTH)
    if "://" in called:
        path = called.partition("://")[2].partition("/")[1:]
        called = "".join(path) or "/"
    if called.startswith("/"):
        called = re.split(r"[?#]", called, maxsplit=1)[0]
        called = f"{text(method, 16)} {called}".strip()
    return called[:ENDPOINT_LENGTH] or "(unnamed)"


def error_name(said: str) -> str:
    """The short name of what a tool says went wrong; addresses in it, which may hold secrets, are left out."""
    said = said[:_SAID_LENGTH]
    for pattern, name in _ERRORS:
        if pattern.search(said):
            return name
    return text(_ADDRESS.sub("…", said), ERROR_LENGTH) or "error"


def error_of(status: int, said: str, *, failed: bool) -> str | None:
    """The error of a request whose tool counts it as failed and says `said` of it; None when it did not fail."""
    if not failed:
        return None
    if status >= HTTPStatus.BAD_REQUEST:
        return f"http {status}"
    return CHECK_FAILED if status else error_name(said)


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN] if not isinstance(value, int) or abs(value) < 10**20 else "a number of many digits"
