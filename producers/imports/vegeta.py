"""vegeta: `vegeta encode --to json` or `--to csv` of what `vegeta attack` wrote.

A CSV record has no header and twelve columns: sent (Unix nanoseconds), status, latency (nanoseconds), bytes out, bytes
in, error, body (base64), attack name, sequence number, method, URL, headers (base64). JSON has the same by name, with
the time as text (RFC 3339). The latency runs from before the request is built until its answer is read. Source: the
README of vegeta 12, "encode".
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice

from producers.imports import fields
from producers.imports.outcome import Line, LineError, Outcome, Tally
from producers.imports.reading import each_line, each_record
from schemas.precision import LONGEST_US

COLUMNS = (
    *("timestamp", "code", "latency", "bytes_out", "bytes_in", "error"),
    *("body", "attack", "seq", "method", "url", "headers"),
)
_LOOK_AT = 20


def outcomes(lines: Iterable[Line], tally: Tally) -> Iterator[Outcome]:
    """The requests of the file, counted in `tally`; a bad line never stops it."""
    source = iter(lines)
    head = list(islice(source, _LOOK_AT))
    every = chain(head, source)
    if 2 * sum(line.text.startswith("{") for line in head) > len(head):
        return each_line(every, tally, _of_json)
    return each_record(every, tally, _of_record)


def _of_json(line: str) -> Outcome:
    row = fields.json_object(line)
    return _request(fields.rfc3339_us(row.get("timestamp"), "timestamp"), row)


def _of_record(record: list[str]) -> Outcome:
    if len(record) != len(COLUMNS):
        raise LineError(f"has {len(record)} columns, not the {len(COLUMNS)} of vegeta")
    row = dict(zip(COLUMNS, record, strict=True))
    return _request(fields.whole(row["timestamp"], "timestamp", most=1 << 63) // 1000, row)


def _request(sent_at_us: int, row: Mapping[str, object]) -> Outcome:
    status = fields.whole(row.get("code"), "code", most=999)
    said = fields.text(row.get("error"), 400)
    error = fields.error_of(status, said, failed=True)
    if 200 <= status < 400:  # then an error is what broke the reading of the body
        error = fields.error_name(said) if said else None
    return Outcome(
        sent_at_us=sent_at_us,
        latency_us=fields.whole(row.get("latency"), "latency", most=LONGEST_US * 1000) // 1000,
        status=status,
        error=error,
        endpoint=fields.endpoint_of(row.get("url"), row.get("method")),
        bytes_sent=fields.whole(row.get("bytes_out"), "bytes_out", most=fields.MOST_BYTES),
        bytes_received=fields.whole(row.get("bytes_in"), "bytes_in", most=fields.MOST_BYTES),
    )
