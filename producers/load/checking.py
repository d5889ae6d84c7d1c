"""Answers held against the checks of a plan. Pure."""

import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from producers.load.checks import Check
from producers.load.outcomes import error_of

MOST_BODY_BYTES = 1 << 20
"""Of a body that is checked, inflated; a longer one fails its checks."""

Test = Callable[[Mapping[str, str], "Body"], bool]


class Body:
    """A body that is inflated and read once, when the first check asks for it."""

    def __init__(self, content: bytes | bytearray, encoding: str) -> None:
        self._content = content
        self._encoding = encoding

    @cached_property
    def text(self) -> str:
        """As text. Raises ValueError when it is longer than what is checked, or not what its encoding says."""
        content = self._content
        if self._encoding in ("gzip", "deflate"):
            try:
                content = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, MOST_BODY_BYTES + 1)
            except zlib.error as error:
                raise ValueError("not inflatable") from error
        if len(content) > MOST_BODY_BYTES:
            raise ValueError("too long")
        return content.decode(errors="replace")

    @cached_property
    def document(self) -> Any:
        """As JSON. Raises ValueError."""
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one endpoint, in order."""

    statuses: frozenset[int] | None = None
    tests: tuple[tuple[str, Test], ...] = ()
    needs_body: bool = False

    def error_of(self, status: int, headers: Mapping[str, str], content: bytes | bytearray) -> str | None:
        """The name of the first check that an answer fails; None when it is as asked.

        `headers` by lower-case name; `content` as it came, at most one byte more than MOST_BODY_BYTES of it. Without a
        check of the status itself, 400 and above is an error.
        """
        if self.statuses is None:
            if error := error_of(status):
                return error
        elif status not in self.statuses:
            return "check status"
        if not self.tests:
            return None
        body = Body(content, headers.get("content-encoding", "").strip().lower())
        for name, test in self.tests:
            try:
                if not test(headers, body):
                    return name
            except (ValueError, RecursionError):
                return name
        return None

    @property
    def needs_head(self) -> bool:
        """Whether the status alone is not enough."""
        return bool(self.tests)


def checks_of(checks: Sequence[Check]) -> Checks:
    """Checks made ready; statuses of several checks must all fit."""
    listed = [
        {one.status} if isinstance(one.status, int) else {*one.status} for one in checks if one.status is not None
    ]
    return Checks(
        statuses=frozenset(set.intersection(*listed)) if listed else None,
        tests=tuple((one.name, _test(one)) for one in checks if one.status is None),
        needs_body=any(one.json_ is not None or one.body is not None for one in checks),
    )


def _test(check: Check) -> Test:
    if check.header is not None:
        name, has = check.header.name.lower(), check.header.has or ""
        return lambda headers, _: name in headers and has in headers[name]
    if check.json_ is not None:
        return lambda _, body, holds=check.json_.holds: holds(body.document)  # type: ignore[misc]
    assert check.body is not None
    if check.body.has is not None:
        return lambda _, body, has=check.body.has: has in body.text  # type: ignore[misc]
    pattern = re.compile(check.body.matches or "")
    return lambda _, body: pattern.search(body.text) is not None
