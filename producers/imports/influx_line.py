"""One line of the InfluxDB line protocol: `measurement,tag=text field=value,other="text" time`, time in nanoseconds.

Source: InfluxDB documentation, "Line protocol". A backslash lets a comma, a space or an equals sign stand in a name or
tag, and a quote in a quoted field.
"""

import re
from dataclasses import dataclass

from producers.imports.fields import whole
from producers.imports.outcome import LineError

_PARTS = re.compile(r"((?:\\.|[^\\ ])+) (.+) (\d{1,19})")
_TAG = re.compile(r",((?:\\.|[^\\,=])+)=((?:\\.|[^\\,])*)")
_FIELD = re.compile(r'((?:\\.|[^\\,="])+)=("(?:\\.|[^\\"])*"|[^,"]*)(?:,|$)')
_NAME = re.compile(r"(?:\\.|[^\\,])+")
_ESCAPED = re.compile(r'\\([,= "\\])')


@dataclass(frozen=True, slots=True)
class Point:
    """One point. Tags are texts; so are values here, whatever their type in the line."""

    measurement: str
    tags: dict[str, str]
    values: dict[str, str]
    time_ns: int


def parse(line: str) -> Point:
    """Read a line. Raises LineError."""
    parts = _PARTS.fullmatch(line)
    if parts is None:
        raise LineError("is neither JSON nor a whole line of the InfluxDB line protocol")
    series, values, time_ns = parts.groups()
    name = _NAME.match(series)
    if name is None:
        raise LineError("names no measurement")
    return Point(
        _plain(name[0]),
        _pairs(_TAG, series, name.end()),
        _pairs(_FIELD, values, 0),
        whole(time_ns, "time", most=1 << 63),
    )


def _pairs(form: re.Pattern[str], text: str, start: int) -> dict[str, str]:
    found = {}
    while start < len(text):
        pair = form.match(text, start)
        if pair is None:
            raise LineError("has tags or fields that are cut short")
        value = pair[2].removeprefix('"').removesuffix('"') if pair[2].startswith('"') else pair[2]
        found[_plain(pair[1])] = _plain(value)
        start = pair.end()
    return found


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
