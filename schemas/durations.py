"""Times as people write them in a plan: `500ms`, `30s`, `2m`, `1h`; seconds as a number inside."""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PATTERN = r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*$"
_LONGEST_S = 30 * 86400.0


def parse_duration_s(value: object) -> float:
    """Seconds of `30s` and the like; numbers pass as seconds from Python code. Raises ValueError, one clause."""
    if isinstance(value, float):
        seconds = value
    else:
        match = re.match(_PATTERN, value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"{value!r} is no time; write a number with its unit, like 500ms, 30s, 2m or 1h")
        seconds = float(match[1]) * _UNITS_S[match[2]]
    if not 1e-3 <= seconds <= _LONGEST_S:
        raise ValueError(f"{value!r} is out of range; a time lies between 1ms and 720h")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration_s` reads back as the same seconds."""
    for unit in ("h", "m", "s", "ms"):
        text = f"{seconds / _UNITS_S[unit]:.10g}{unit}"
        if seconds >= _UNITS_S[unit] and "." not in text and "e" not in text and parse_duration_s(text) == seconds:
            return text
    return f"{seconds!r}s"


DurationS = Annotated[
    float,
    BeforeValidator(parse_duration_s),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["500ms", "30s", "2m", "1h"]}),
]
"""Seconds as a float; text with a unit in YAML and JSON."""
