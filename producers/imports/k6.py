"""k6: `k6 run --out json=FILE`, and the messages of its Kafka output, one a line, as JSON or as InfluxDB lines.

k6 writes some nine points for each request. All that is wanted stands on one of them, `http_req_duration`: its value is
sending + waiting + receiving in milliseconds (no connecting), its time is the request's end. Bytes are counted by k6
for a whole iteration only, so they are 0 here. `dropped_iterations` are arrivals for which no virtual user was free;
each counts as one, however many requests it would have made. Sources: k6 documentation, "JSON output", "HTTP metrics"
and "Dropped iterations"; its Kafka extension xk6-output-kafka 0.x writes the same JSON, or with `format=influxdb` the
InfluxDB line protocol.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from producers.imports import fields, influx_line
from producers.imports.outcome import Dropped, Line, LineError, Outcome, Tally
from producers.imports.reading import each_line

DURATION, DROPPED = "http_req_duration", "dropped_iterations"
_MOST_DROPPED = 1e9
# k6's own numbers of errors (its documentation, "Error codes"), where they say more than the text.
_ERROR_OF_CODE = {"1050": "timeout", "1110": "not allowed", "1111": "not allowed", "1211": "timeout", "1212": "refused"}


def outcomes(lines: Iterable[Line], tally: Tally) -> Iterator[Outcome | Dropped]:
    """Requests and dropped arrivals of the file, counted in `tally`; a bad line never stops it."""
    return each_line(lines, tally, _told)


def _told(line: str) -> Outcome | Dropped | None:
    return _of_json(line) if line.startswith("{") else _of_influx(line)


def _of_json(line: str) -> Outcome | Dropped | None:
    record = fields.json_object(line)
    kind, metric = record.get("type"), record.get("metric")
    if kind == "Metric":
        return None
    if kind != "Point" or not isinstance(metric, str):
        raise LineError("is JSON, but no point or metric of k6")
    data = fields.mapping(record, "data")
    time_us = fields.rfc3339_us(data.get("time"), "time")
    if metric == DROPPED:
        return _dropped(time_us, data.get("value"))
    return _request(time_us, data.get("value"), fields.mapping(data, "tags")) if metric == DURATION else None


def _of_influx(line: str) -> Outcome | Dropped | None:
    point = influx_line.parse(line)
    time_us, value = point.time_ns // 1000, point.values.get("value")
    if point.measurement == DROPPED:
        return _dropped(time_us, value)
    return _request(time_us, value, {**point.tags, **point.values}) if point.measurement == DURATION else None


def _dropped(time_us: int, value: object) -> Dropped:
    return Dropped(time_us, round(fields.number(value, "value", most=_MOST_DROPPED)))


def _request(ended_at_us: int, value: object, tags: Mapping[str, Any]) -> Outcome:
    latency_us = fields.latency_us(value, "value", us_per_unit=1e3)
    status = fields.whole(tags.get("status", "0"), "status", most=999)
    expected = tags.get("expected_response")
    failed = not 200 <= status < 400 if expected is None else expected not in ("true", True)
    said = _ERROR_OF_CODE.get(str(tags.get("error_code"))) or fields.error_name(str(tags.get("error", "")))
    return Outcome(
        sent_at_us=ended_at_us - latency_us,
        latency_us=latency_us,
        status=status,
        error=fields.error_of(status, said, failed=failed),
        endpoint=fields.endpoint_of(tags.get("name") or tags.get("url"), tags.get("method")),
    )
