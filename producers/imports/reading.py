"""From a file to lines, and from lines to outcomes: bounded, and never stopped by a bad line."""

import csv
import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from producers.imports.outcome import Dropped, Line, LineError, Outcome, Tally
from schemas.errors import UserError

LINE_BYTES = 1 << 20
FILE_BYTES = 64 << 30
"""After this many bytes, inflated, no more is read of a file."""
RECORD_LINES = 20
"""The lines that one CSV record may run over (an error message in quotes may hold line ends)."""
_GZIP = b"\x1f\x8b"
Parsed = TypeVar("Parsed", bound=Outcome | Dropped)

# For the whole process: a field (a body, as vegeta writes it) may be as long as a line.
csv.field_size_limit(LINE_BYTES)


class ImportFileError(UserError):
    """The file is not there, or it is not a result file of a known tool."""


@contextmanager
def open_lines(path: Path) -> Iterator[Iterator[Line]]:
    """The lines of a text file, of a gzip file too (known by its first bytes). Raises ImportFileError."""
    try:
        plain = path.open("rb")
    except OSError as error:
        raise ImportFileError(f"{path} cannot be read ({error.strerror}); check its name and rights") from None
    with plain:
        packed = plain.read(2) == _GZIP
        plain.seek(0)
        if not packed:
            yield read_lines(plain)
            return
        with gzip.open(plain) as inflated:
            yield read_lines(inflated)


def read_lines(file: BinaryIO | gzip.GzipFile) -> Iterator[Line]:
    """Lines that are not blank. One over 1 MiB, or a broken gzip stream, comes as a line that says why."""
    count = size = 0
    try:
        while raw := file.readline(LINE_BYTES):
            count += 1
            size += len(raw)
            if len(raw) == LINE_BYTES and not raw.endswith(b"\n"):
                size += _skip_rest(file)
                yield Line(count, "", f"longer than {LINE_BYTES >> 20} MiB")
            elif decoded := raw.decode(errors="replace").removeprefix("\ufeff").strip():
                yield Line(count, decoded)
            if size > FILE_BYTES:
                yield Line(count + 1, "", f"what follows after {FILE_BYTES >> 30} GiB is not read")
                return
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Line(count + 1, "", f"the gzip file breaks off here ({str(error)[:60]})")


def _skip_rest(file: BinaryIO | gzip.GzipFile) -> int:
    skipped = 0
    while raw := file.readline(LINE_BYTES):
        skipped += len(raw)
        if raw.endswith(b"\n") or skipped > FILE_BYTES:
            break
    return skipped


def each_line(lines: Iterable[Line], tally: Tally, parse: Callable[[str], Parsed | None]) -> Iterator[Parsed]:
    """What a file with one record a line tells. `parse` gives None for no request and raises LineError only."""
    for line in lines:
        tally.lines += 1
        try:
            told = parse(_readable(line))
            tally.take(told)
        except LineError as error:
            tally.refuse(line.number, str(error))
            continue
        if told is not None:
            yield told


def each_record(
    lines: Iterable[Line], tally: Tally, parse: Callable[[list[str]], Outcome | None], *, delimiter: str = ","
) -> Iterator[Outcome]:
    """The outcomes of a CSV file (RFC 4180), as `each_line` does it.

    A record runs on while a quote is open. When that makes no sense, its first line alone is refused and the others
    are looked at again: a line that was cut short inside quotes must not swallow what follows it.
    """
    source = iter(lines)
    again: deque[Line] = deque()
    for line in _following(again, source):
        taken = [line, *_continued(line, again, source)]
        try:
            outcome = parse(split_record("\n".join(map(_readable, taken)), delimiter))
            tally.take(outcome)
        except LineError as error:
            tally.lines += 1
            tally.refuse(line.number, str(error))
            again.extendleft(reversed(taken[1:]))
            continue
        tally.lines += len(taken)
        if outcome is not None:
            yield outcome


def split_record(record: str, delimiter: str) -> list[str]:
    """The fields of one CSV record. Raises LineError."""
    try:
        return next(csv.reader([record], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise LineError(f"is no whole CSV record ({error})") from None


def _following(again: deque[Line], source: Iterator[Line]) -> Iterator[Line]:
    """What is to be looked at again comes before what is new."""
    while True:
        line = again.popleft() if again else next(source, None)
        if line is None:
            return
        yield line


def _continued(line: Line, again: deque[Line], source: Iterator[Line]) -> list[Line]:
    """The lines by which an open quote is closed; none when there are no such lines nearby."""
    if line.why or not line.text.count('"') % 2:
        return []
    more: list[Line] = []
    for following in _following(again, source):
        more.append(following)
        if following.why or len(more) == RECORD_LINES:
            break
        if following.text.count('"') % 2:
            return more
    again.extendleft(reversed(more))
    return []


def _readable(line: Line) -> str:
    if line.why:
        raise LineError(line.why)
    return line.text
