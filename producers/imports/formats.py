"""Which tool wrote a file: told by its first lines, or by whoever asks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from producers.imports import fields, influx_line, jmeter, k6, locust, vegeta
from producers.imports.outcome import Dropped, Line, LineError, Outcome, Tally
from producers.imports.reading import ImportFileError, open_lines, split_record

Tool = Literal["k6", "vegeta", "locust", "jmeter"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
_LOOK_AT = 20


@dataclass(frozen=True, slots=True)
class Format:
    """How one tool's files are read. `outcomes` yields what a file's lines tell and never raises for a line."""

    tool: Tool
    outcomes: Callable[[Iterable[Line], Tally], Iterator[Outcome | Dropped]]
    says: Callable[[str], bool]
    """Whether a line looks like this tool's."""


def _with_keys(*keys: str) -> Callable[[str], bool]:
    def says(line: str) -> bool:
        try:
            return fields.json_object(line).keys() >= set(keys)
        except LineError:
            return False

    return says


def _is_k6(line: str) -> bool:
    if line.startswith("{"):
        return _with_keys("type", "metric", "data")(line)
    try:
        return "value" in influx_line.parse(line).values
    except LineError:
        return False


def _is_vegeta(line: str) -> bool:
    if line.startswith("{"):
        return _with_keys("timestamp", "latency", "code", "attack")(line)
    try:
        record = split_record(line, ",")
    except LineError:
        return False
    return len(record) == len(vegeta.COLUMNS) and all(one.isdigit() for one in record[:5])


FORMATS: dict[Tool, Format] = {
    "k6": Format("k6", k6.outcomes, _is_k6),
    "vegeta": Format("vegeta", vegeta.outcomes, _is_vegeta),
    "locust": Format("locust", locust.outcomes, _with_keys("start_time", "response_time", "name")),
    "jmeter": Format("jmeter", jmeter.outcomes, lambda line: jmeter.header_of(line) is not None),
}
# Files that people have at hand instead, known by how they begin, and what to do about them.
_OTHERS = (
    ("metric_name,timestamp", "k6's CSV knows whole seconds only: run k6 with --out json=FILE"),
    (
        "Type,Name,Request Count",
        "Locust's statistics hold no single requests: see producers/imports/locust_listener.py",
    ),
    ("Timestamp,User Count", "Locust's statistics hold no single requests: see producers/imports/locust_listener.py"),
    ("<?xml", "JMeter's XML is not read: run jmeter with -Jjmeter.save.saveservice.output_format=csv"),
)
_UNKNOWN = (
    "say with --from which tool wrote it, and write it with `k6 run --out json=FILE`, `vegeta encode --to json`, "
    "producers/imports/locust_listener.py or `jmeter -l FILE.jtl`"
)


def find_format(path: Path, tool: str | None = None) -> Format:
    """The format of a file, by the tool's name or by its first lines. Raises ImportFileError with what to do."""
    for one in FORMATS.values():
        if one.tool == tool:
            return one
    if tool is not None:
        raise ImportFileError(f"no tool {tool!r:.40} is known; give --from one of {', '.join(TOOLS)}")
    with open_lines(path) as lines:
        head = [line.text for line in islice(lines, _LOOK_AT)]
    for line in head:
        for one in FORMATS.values():
            if one.says(line):
                return one
    raise ImportFileError(f"{path} {_what_is_wrong(head)}")


def _what_is_wrong(head: list[str]) -> str:
    if not head:
        return "is empty; give the file that the load generator wrote"
    for start, remedy in _OTHERS:
        if head[0].startswith(start):
            return f"cannot be imported: {remedy}"
    if any("\ufffd" in line for line in head):
        return "is no text; of vegeta's own binary form make JSON by `vegeta encode --to json`"
    return f"is of no known form; {_UNKNOWN}"
