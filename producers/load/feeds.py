"""Feeds: rows of a CSV or JSONL file, one for each arrival."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from producers.load.plan_errors import PlanError

MOST_BYTES = 256 << 20
MOST_ROWS = 1_000_000


class FeedOverError(Exception):
    """A feed that is not begun again has no row for this arrival: the request fails as `feed is over`."""


@dataclass(frozen=True, slots=True)
class FeedRows:
    """A feed's rows, held in memory. `again` begins it anew behind its last row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    again: bool

    def value(self, column: str, arrival: int) -> str:
        """See `templates.Rows`."""
        if arrival >= len(self.rows) and not self.again:
            raise FeedOverError
        return self.rows[arrival % len(self.rows)][self.columns.index(column)]


def read_feed(path: Path, *, again: bool) -> FeedRows:
    """Read a feed: CSV with a line of names, or one JSON object a line (.jsonl, .ndjson). Raises PlanError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PlanError(f"feed {path}: is over {MOST_BYTES >> 20} MiB; give a smaller sample of it")
        found = _json_lines(path) if path.suffix in (".jsonl", ".ndjson") else _csv(path)
    except OSError as error:
        raise PlanError(f"feed {path}: cannot be read ({error.strerror}); paths are relative to the plan's") from error
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise PlanError(f"feed {path}: is neither CSV nor JSON lines in UTF-8 ({error})") from error
    columns, rows = found
    if not rows:
        raise PlanError(f"feed {path}: holds no rows; it needs a line of names and a line for each row")
    if len(rows) > MOST_ROWS:
        raise PlanError(f"feed {path}: has over {MOST_ROWS:,} rows; give a smaller sample of it")
    return FeedRows(columns, tuple(rows), again)


def _csv(path: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file)
        columns = tuple(next(lines, ()))
        rows = [tuple(line) for line in lines if line]
    uneven = next((number for number, row in enumerate(rows, 2) if len(row) != len(columns)), None)
    if uneven is not None:
        raise ValueError(f"row {uneven} has not as many fields as the first line has names")
    return columns, rows


def _json_lines(path: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    with path.open(encoding="utf-8") as file:
        objects = [json.loads(line) for line in file if line.strip()]
    columns = tuple(objects[0]) if objects and isinstance(objects[0], dict) else ()
    if not all(isinstance(one, dict) and columns == tuple(one) for one in objects):
        raise ValueError("every line is to be an object with the same keys in the same order")
    return columns, [tuple(_text(value) for value in one.values()) for one in objects]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
