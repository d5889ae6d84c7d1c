"""Answers in the compression that the reader asked for."""

import re
from typing import Any

import cramjam

_NOT_WANTED = re.compile(r"q=0(\.0*)?")
_LEAST_BYTES = 1024
_KNOWN = ("lz4", "zstd", "gzip")
"""The cheapest first: the gateway's processor is the pipeline's."""


def chosen_encoding(accepted: str) -> str | None:
    """Of an Accept-Encoding header the one to use, if any; one with q=0 is not wanted. Source: RFC 9110, 12.5.3."""
    wanted = set()
    for one in accepted.split(","):
        name, _, weight = one.partition(";")
        if not _NOT_WANTED.fullmatch(weight.strip()):
            wanted.add(name.strip().lower())
    return next((name for name in _KNOWN if name in wanted), None)


def compressed(data: memoryview, encoding: str | None) -> tuple[memoryview, str | None]:
    """The bytes to send and what they are compressed with; little is left as it is. Blocks."""
    if encoding is None or len(data) < _LEAST_BYTES:
        return data, None
    codec: Any = getattr(cramjam, encoding)
    # The quickest of each: readers are mostly on this machine.
    return memoryview(codec.compress(data, level=1)), encoding
