"""Sizes as people write them in a plan: `512B`, `64KiB`, `10MB`, `1GiB`; bytes inside."""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
PATTERN = r"^\s*(\d+(?:\.\d+)?)\s*(B|[kK]B|MB|GB|KiB|MiB|GiB)\s*$"
_LARGEST_BYTES = 1 << 40


def parse_bytes(value: object) -> int:
    """Bytes of `64KiB` and the like; whole numbers pass as bytes from Python code. Raises ValueError, one clause."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        match = re.match(PATTERN, value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"{value!r} is no size; write a number with its unit, like 512B, 64KiB, 10MB or 1GiB")
        size = round(float(match[1]) * _UNITS[match[2]])
    if not 0 <= size <= _LARGEST_BYTES:
        raise ValueError(f"{value!r} is out of range; a size lies between 0B and 1024GiB")
    return size


def format_bytes(size: int) -> str:
    """The shortest text that `parse_bytes` reads back as the same size."""
    return min((f"{size // of}{unit}" for unit, of in _UNITS.items() if size % of == 0), key=len)


SizeBytes = Annotated[
    int,
    BeforeValidator(parse_bytes),
    PlainSerializer(format_bytes, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["512B", "64KiB", "10MB", "1GiB"]}),
]
"""Bytes as a whole number; text with a unit in YAML and JSON."""
