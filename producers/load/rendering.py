"""Requests as the bytes that go over the wire: HTTP/1.1 (RFC 9112), made once where nothing varies. Pure."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import cast
from urllib.parse import urlsplit

from producers.load.plan import Request
from producers.load.prepared import PreparedRequest
from producers.load.templates import Template, Value
from producers.load.trace_context import BAGGAGE, lines_with_baggage

_FRAMING = {"connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"}
"""Headers that change how a connection is used, which is the engine's own affair."""
_WITH_LENGTH = {"POST", "PUT", "PATCH"}
"""Methods whose servers expect a length even of nothing (RFC 9110, section 8.6)."""

Render = Callable[[int, str], bytes]
"""A request's bytes, from the arrival's number and whole header lines to be added. Raises FeedOverError."""


def cannot_render(request: Request) -> str | None:
    """Why a request cannot be sent as bytes; None if it can."""
    if request.scenario is not None:
        return f"request {request.name} is a scenario"
    if request.body_file is not None or request.body_size is not None:
        return f"request {request.name} streams its body"
    framing = next((name for name in request.headers if name.lower() in _FRAMING), None)
    return f"request {request.name} sets the header {framing}" if framing else None


def rendering(request: PreparedRequest) -> Render:
    """How to make the bytes of a request."""
    head, baggage = _head(request), _own_baggage(request)
    sized = request.body is not None or request.method in _WITH_LENGTH

    def render(arrival: int, lines: str) -> bytes:
        content = request.body_for(arrival) or b""
        length = f"Content-Length: {len(content)}\r\n\r\n" if sized else "\r\n"
        added = lines_with_baggage(baggage.text(arrival), lines) if baggage else lines
        return (head.text(arrival) + added + length).encode() + content

    if request.varies:
        return render
    constant = render(0, "")
    return lambda _, lines: render(0, lines) if lines else constant


def _head(request: PreparedRequest) -> Template:
    """Request line and headers, without baggage, length and end; as few pieces as can be."""
    pieces: list[str | Value] = [f"{request.method} ", *request.path.pieces, " HTTP/1.1\r\n"]
    if not any(name.lower() == "host" for name in request.headers):
        pieces.append(f"Host: {urlsplit(request.target).netloc}\r\n")
    for name, value in request.headers.items():
        if name.lower() != BAGGAGE:
            pieces += [f"{name}: ", *value.pieces, "\r\n"]
    joined: list[str | Value] = []
    for are_text, some in groupby(pieces, lambda piece: isinstance(piece, str)):
        run = list(some)
        joined += ["".join(cast("Iterable[str]", run))] if are_text else run
    return Template(tuple(joined))


def _own_baggage(request: PreparedRequest) -> Template | None:
    """What the plan puts into this header, which is last so that more can be appended; None when it is nothing."""
    own = [value for name, value in request.headers.items() if name.lower() == BAGGAGE and value.pieces]
    between = [piece for value in own for piece in (",", *value.pieces)]
    return Template(tuple(between[1:])) if own else None
