"""Locust: what the listener in `locust_listener.py` writes, one JSON object a line.

    {"start_time": 1790000000.123456, "response_time": 12.5, "method": "GET", "name": "/search", "status": 200,
     "error": "", "response_length": 512}

`start_time` is in seconds of the Unix epoch, `response_time` in milliseconds, `error` what was raised. `status` is 0
without an answer, and null in protocols that have none. Locust's own `_stats_history.csv` has no single requests.
"""

from collections.abc import Iterable, Iterator

from producers.imports import fields
from producers.imports.outcome import Line, Outcome, Tally
from producers.imports.reading import each_line

_SECONDS_MOST = 1 << 33


def outcomes(lines: Iterable[Line], tally: Tally) -> Iterator[Outcome]:
    """The requests of the file, counted in `tally`; a bad line never stops it."""
    return each_line(lines, tally, _outcome)


def _outcome(line: str) -> Outcome:
    record = fields.json_object(line)
    started_s = fields.number(record.get("start_time"), "start_time", most=_SECONDS_MOST)
    said = fields.text(record.get("error"), 400)
    status = record.get("status")
    code = (0 if said else fields.SUCCESS) if status is None else fields.whole(status, "status", most=999)
    return Outcome(
        sent_at_us=round(started_s * 1e6),
        latency_us=fields.latency_us(record.get("response_time"), "response_time", us_per_unit=1e3),
        status=code,
        error=fields.error_of(code, said, failed=bool(said) or code == 0),
        endpoint=fields.endpoint_of(record.get("name"), record.get("method")),
        bytes_received=fields.whole(record.get("response_length") or 0, "response_length", most=fields.MOST_BYTES),
    )
