"""JMeter: a JTL file in CSV form (`jmeter -n -t plan.jmx -l FILE.jtl`), whose header line names its columns.

`timeStamp` is the start of the sample in milliseconds (`sampleresult.timestamp.start=true`, as JMeter ships it) and
`elapsed` runs until the last byte. A transaction, which sums up samples that have lines of their own, is passed over.
Sources: JMeter user's manual, "Listeners: CSV Log format", and its `jmeter.properties`.
"""

import re
from collections.abc import Iterable, Iterator

from producers.imports import fields
from producers.imports.outcome import Line, LineError, Outcome, Tally
from producers.imports.reading import each_record, split_record

NEEDED = frozenset({"timeStamp", "elapsed", "label"})
_HEADER = re.compile(r'"?timeStamp"?([,;|\t])')
_TRANSACTION = "Number of samples in transaction"


def outcomes(lines: Iterable[Line], tally: Tally) -> Iterator[Outcome]:
    """The requests of the file, counted in `tally`; a bad line never stops it."""
    source = iter(lines)
    for line in source:
        tally.lines += 1
        found = header_of(line.text)
        if found is None:
            tally.refuse(line.number, line.why or "comes before a header line with timeStamp, elapsed and label")
            continue
        tally.take(None)
        delimiter, names = found
        yield from each_record(source, tally, _Columns(names).outcome, delimiter=delimiter)


def header_of(line: str) -> tuple[str, list[str]] | None:
    """Delimiter and column names of a header line; None when it is none of JMeter's."""
    start = _HEADER.match(line)
    if start is None:
        return None
    try:
        names = split_record(line, start[1])
    except LineError:
        return None
    return (start[1], names) if set(names) >= NEEDED else None


class _Columns:
    """Reads records by the names of their columns."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def outcome(self, record: list[str]) -> Outcome | None:
        if record == self._names:
            return None
        if len(record) != len(self._names):
            raise LineError(f"has {len(record)} columns where the header names {len(self._names)}")
        row = dict(zip(self._names, record, strict=True))
        if row.get("responseMessage", "").startswith(_TRANSACTION):
            return None
        return _request(row)


def _request(row: dict[str, str]) -> Outcome:
    if not row["timeStamp"].isdigit():
        raise LineError("timeStamp is not in milliseconds: set jmeter.save.saveservice.timestamp_format=ms")
    code = row.get("responseCode", "")
    status = int(code) if code.isascii() and code.isdigit() and len(code) == 3 else 0
    failed = row["success"].lower() != "true" if "success" in row else not 200 <= status < 400
    if not failed and not status:
        status = fields.SUCCESS
    said = " ".join((code, row.get("responseMessage", ""), row.get("failureMessage", "")))
    return Outcome(
        sent_at_us=fields.whole(row["timeStamp"], "timeStamp", most=1 << 53) * 1000,
        latency_us=fields.latency_us(row["elapsed"], "elapsed", us_per_unit=1e3),
        status=status,
        error=fields.error_of(status, said, failed=failed),
        endpoint=fields.endpoint_of(row["label"]),
        bytes_sent=fields.whole(row.get("sentBytes") or "0", "sentBytes", most=fields.MOST_BYTES),
        bytes_received=fields.whole(row.get("bytes") or "0", "bytes", most=fields.MOST_BYTES),
    )
