"""Access logs of JSON objects, one a line: nginx with `escape=json`, Caddy, Traefik, and what services write.

{"time": "2026-11-27T16:41:27+00:00", "method": "GET", "path": "/search", "status": 200, "request_time": "0.012"}

Names of fields are looked for in the object itself, in the objects in it, and with dots. A duration is believed where
its name says the unit (`duration_ms`, `latency_us`) or is one whose unit is known; any other only in the unit that
somebody said. Sources: nginx, "ngx_http_log_module"; Caddy, "Logging"; Traefik, "Access logs"; Elastic Common Schema.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from producers.natural.entry import Entry, LineError, Unit
from producers.natural.moments import Moment, duration_us, moment_of, unix_moment

STATUS = (
    *("status", "status_code", "statuscode", "response_status", "downstreamstatus", "response_code"),
    *("http.response.status_code", "response.status", "response.statuscode", "res.statuscode", "code"),
)
METHOD = ("method", "request_method", "requestmethod", "http.request.method", "request.method", "req.method", "verb")
TARGET = (
    *("path", "uri", "request_uri", "requestpath", "url.path", "request.uri", "request.path", "req.url", "request.url"),
    *("url.original", "url", "target"),
)
TIME = (
    *("time_iso8601", "@timestamp", "timestamp", "time", "ts", "msec", "time_local", "datetime", "date"),
    *("startutc", "event.created"),
)
SENT = ("body_bytes_sent", "bytes_sent", "size", "bytes", "response_size", "downstreamcontentsize", "response_bytes")
# With the unit of each; for `duration` see `_unit_by_writer`.
DURATION: dict[str, Unit] = {
    "request_time": "s",  # nginx
    "responsetime": "ms",  # pino-http
    "event.duration": "ns",  # Elastic Common Schema
}
_OF_NO_UNIT = ("duration", "latency", "elapsed", "response_time", "took", "time_taken", "request_duration")
_UNITS: dict[str, Unit] = {
    "_s": "s", "_sec": "s", "_secs": "s", "_seconds": "s", "_ms": "ms", "_msec": "ms", "_millis": "ms",
    "_milliseconds": "ms", "_us": "us", "_usec": "us", "_micros": "us", "_microseconds": "us", "_ns": "ns",
    "_nanos": "ns", "_nanoseconds": "ns",
}  # fmt: skip
_TIMED = ("request_duration", "response_time", "request_time", "time_taken", "duration", "latency", "elapsed", "took")
_TEXT = 8192


def entry_of(line: str, unit: Unit | None) -> Entry:
    """Read a line; `unit` is that of a duration which does not say it. Raises LineError."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise LineError("is not whole JSON") from None
    if not isinstance(record, dict):
        raise LineError("is no JSON object")
    found = dict(_flat(record))
    status = _number(_first(found, STATUS))
    if status is None or not 0 < status < 1000 or status != int(status):
        raise LineError("has no status of a request")
    method, target = _request(found)
    at_us, grain_us = _moment(_first(found, TIME)) or (None, 0)
    sent = _number(_first(found, SENT))
    return Entry(
        method=method,
        target=target,
        status=int(status),
        at_us=at_us,
        grain_us=grain_us,
        latency_us=_latency_us(found, unit),
        bytes_sent=int(sent) if sent is not None and 0 <= sent < 1 << 52 else 0,
    )


def _flat(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Fields by their names in small letters, and those of the objects in it, two deep, with dots."""
    for name, value in record.items():
        if not isinstance(value, dict):
            yield name.lower(), value
            continue
        for second, inner in value.items():
            if isinstance(inner, dict):
                yield from ((f"{name}.{second}.{third}".lower(), leaf) for third, leaf in inner.items())
            else:
                yield f"{name}.{second}".lower(), inner


def _first(found: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((found[name] for name in names if found.get(name) not in (None, "", "-")), None)


def _request(found: Mapping[str, Any]) -> tuple[str, str]:
    """Method and target, also from a line like nginx's $request; both empty for what was no request."""
    method, target = _first(found, METHOD), _first(found, TARGET)
    line = found.get("request")
    if (method is None or target is None) and isinstance(line, str) and len(parts := line[:_TEXT].split(" ")) >= 2:
        method, target = parts[0], parts[1]
    if not isinstance(method, str) or not isinstance(target, str) or not method.isalpha():
        return "", ""
    return method.upper()[:16], target[:_TEXT]


def _moment(value: Any) -> Moment | None:
    if isinstance(value, str):
        return moment_of(value)
    number = _number(value)
    return None if number is None else unix_moment(number, is_fine=number != int(number))


def _latency_us(found: Mapping[str, Any], unit: Unit | None) -> int | None:
    for name, value in found.items():
        own = _unit_of(name) or ((unit or _unit_by_writer(found)) if name in _OF_NO_UNIT else None)
        number = _number(value) if own is not None else None
        if own is not None and number is not None:
            return duration_us(number, own)
    return None


def _unit_of(name: str) -> Unit | None:
    """The unit that the name of a field says; None for a field that is no duration of a request."""
    if name in DURATION:
        return DURATION[name]
    return next((unit for end, unit in _UNITS.items() if name.endswith(end) and name.removesuffix(end) in _TIMED), None)


def _unit_by_writer(found: Mapping[str, Any]) -> Unit | None:
    """Of a plain `duration`: Traefik's counts nanoseconds, Caddy's seconds; both are known by their other fields."""
    if "downstreamstatus" in found:
        return "ns"
    return "s" if "request.uri" in found else None


def _number(value: Any) -> float | None:
    """A finite number, or the text of one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value[:40] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e20 else None
