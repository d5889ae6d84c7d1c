"""One connection of the `wire` engine: a request out, its answer in, byte by byte as RFC 9112 has them."""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Protocol, cast

import httptools

from producers.load.answers import HEAD_END, LONGEST_HEAD_BYTES, ends_with_connection, status_of
from producers.load.checking import MOST_BODY_BYTES
from producers.load.outcomes import error_name

_NEVER_USABLE = -(1 << 62)
_INFORMATIONAL = range(100, 200)
_MOST_HEADERS = 200
MOST_KNOWN_BYTES = 1024
"""Of an answer that is looked up whole: to hash a longer one takes longer than to parse it."""
Known = Mapping[bytes, tuple[int, str | None]]
"""Answers as they came, and what came of each: its status, and the error that it stands for."""
_NO_HEADERS: dict[str, str] = {}


class Owner(Protocol):
    """What a connection asks and tells."""

    @property
    def known(self) -> Sequence[Known]:
        """Of each endpoint, answers that came whole and left the connection whole, byte for byte."""

    def connected(self, connection: "Connection") -> None:
        """A connection has come about; it may be given a request."""

    def lost(self, connection: "Connection") -> None:
        """A connection is no more."""

    def has_no_body(self, endpoint: int) -> bool:
        """Whether answers end with their head."""

    def needs_body(self, endpoint: int) -> bool:
        """Whether somebody will look at the body."""

    def ended(
        self, connection: "Connection", status: int, error: str | None, *, reusable: bool, whole: bytes = b""
    ) -> None:
        """A request has its answer, or `error`; a `reusable` connection may carry the next one, even now.

        `whole` is the answer when it came in one piece and nothing else with it.
        """

    def ended_as_known(self, connection: "Connection", outcome: tuple[int, str | None]) -> None:
        """A request has an answer that is one of `known`; the connection may carry the next one."""


class Connection(asyncio.Protocol):
    """One connection, and the request that it carries while `loaded`. `idle_since_us` is long ago once it is broken."""

    __slots__ = (
        "_engine",
        "_keeps",
        "_messages",
        "_parser",
        "_transport",
        "arrival",
        "bytes_received",
        "bytes_sent",
        "dispatched_us",
        "due_us",
        "endpoint",
        "head",
        "idle_since_us",
        "loaded",
        "stage",
        "written_us",
    )

    headers: dict[str, str] = _NO_HEADERS
    content: bytes | bytearray = b""

    def __init__(self, engine: Owner) -> None:
        self._engine = engine
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.loaded = self._keeps = False
        self._messages = 0
        self.arrival = self.endpoint = self.stage = self.due_us = self.dispatched_us = self.written_us = 0
        self.bytes_sent = self.bytes_received = self.idle_since_us = 0
        self.head = b""

    def begin(  # noqa: PLR0917  by place, as `Recorder.ended`
        self, request: bytes, arrival: int, endpoint: int, stage: int, due_us: int, dispatched_us: int
    ) -> None:
        """Send a request. All times are Unix microseconds; who calls sets `written_us`."""
        self.arrival = arrival
        self.endpoint, self.stage, self.due_us, self.dispatched_us = endpoint, stage, due_us, dispatched_us
        self.bytes_received = self._messages = 0
        self.head = b""
        self.loaded = True
        self.bytes_sent = len(request)
        assert self._transport is not None, "who is idle, or has just come about, has a transport"
        self._transport.write(request)

    def give_up(self, error: str) -> None:
        """End the request without a whole answer, and the connection with it."""
        self._end(status_of(self.head), error, reusable=False)
        self.drop()

    def drop(self) -> None:
        """Break the connection off. It must not be used again, also where it still counts among the idle ones."""
        self.idle_since_us = _NEVER_USABLE
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _end(self, status: int, error: str | None, *, reusable: bool) -> None:
        self.loaded = False
        self._engine.ended(self, status, error, reusable=reusable)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._engine.connected(self)

    def data_received(self, data: bytes) -> None:
        """Read on in the answer."""
        if not self.loaded:
            self.drop()  # bytes that nobody asked for
            return
        if not self.bytes_received and len(data) <= MOST_KNOWN_BYTES:
            outcome = self._engine.known[self.endpoint].get(data)
            if outcome is not None:
                self.bytes_received = len(data)
                self.loaded = False
                self._engine.ended_as_known(self, outcome)
                return
        self.bytes_received += len(data)
        if HEAD_END not in self.head:
            self.head = (self.head + data)[:LONGEST_HEAD_BYTES]
            if len(self.head) == LONGEST_HEAD_BYTES and HEAD_END not in self.head:
                self.give_up("bad answer")
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.give_up("too long" if self._messages else "bad answer")
            return
        if self._messages == 1:
            self._answered(data)
        elif self._messages:
            self.give_up("too long")
        elif HEAD_END in self.head and self._engine.has_no_body(self.endpoint):
            self._parser, parser = httptools.HttpResponseParser(self), self._parser
            self._end(parser.get_status_code(), None, reusable=parser.should_keep_alive())

    def _answered(self, last: bytes) -> None:
        whole = last if self._keeps and len(last) == self.bytes_received else b""
        self.loaded = False
        self._engine.ended(self, self._parser.get_status_code(), None, reusable=self._keeps, whole=whole)
        if not self._keeps and self._transport is not None:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The target closed, or we did."""
        self._transport = None
        self.idle_since_us = _NEVER_USABLE
        self._engine.lost(self)
        if not self.loaded:
            return
        status = status_of(self.head)
        if error is not None:
            self._end(status, error_name(error), reusable=False)
        elif ends_with_connection(self.head):
            self._end(status, None, reusable=False)
        else:
            self._end(status, "closed", reusable=False)

    def eof_received(self) -> None:
        """The target closes: an idle connection is not to be used again."""
        self.idle_since_us = _NEVER_USABLE

    # What the parser calls.

    def on_message_complete(self) -> None:
        """An answer is whole, or was one that only informs of another to come (RFC 9110, section 15.2)."""
        status = self._parser.get_status_code()
        if status not in _INFORMATIONAL:
            self._messages += 1
            self._keeps = self._parser.should_keep_alive()  # the parser knows now, and no more when it goes on
        elif status != HTTPStatus.SWITCHING_PROTOCOLS:  # that is the last one
            self.head = b""


class CheckedConnection(Connection):
    """One that keeps headers and body for checks: as much of it as they look at."""

    __slots__ = ("content", "headers")

    def begin(  # noqa: PLR0917  as above
        self, request: bytes, arrival: int, endpoint: int, stage: int, due_us: int, dispatched_us: int
    ) -> None:
        """See Connection."""
        self.headers, self.content = {}, bytearray()
        super().begin(request, arrival, endpoint, stage, due_us, dispatched_us)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, of the answer or of one that only informs."""
        if len(self.headers) < _MOST_HEADERS:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._engine.needs_body(self.endpoint) and len(self.content) <= MOST_BODY_BYTES:
            self.content += body[: MOST_BODY_BYTES + 1 - len(self.content)]
