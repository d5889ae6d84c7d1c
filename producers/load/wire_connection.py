"""One connection of the `wire` engine: a request out, its answer in, byte by byte as RFC 9112 has them."""

import asyncio
from typing import Protocol, cast

import httptools

from producers.load.answers import HEAD_END, LONGEST_HEAD_BYTES, ends_with_connection
from producers.load.checking import MOST_BODY_BYTES
from producers.load.guard import KEEP_ALIVE_S
from producers.load.outcomes import error_name

_KEEP_ALIVE_US = round(KEEP_ALIVE_S * 1e6)
_INFORMATIONAL = range(100, 200)
_MOST_HEADERS = 200
_NO_HEADERS: dict[str, str] = {}


class Owner(Protocol):
    """What a connection asks and tells."""

    def sent(self) -> int:
        """A request was handed to its socket; gives the time, in Unix microseconds."""

    def has_no_body(self, endpoint: int) -> bool:
        """Whether answers end with their head."""

    def needs_body(self, endpoint: int) -> bool:
        """Whether somebody will look at the body."""

    def ended(self, connection: "Connection", status: int, error: str | None, *, reusable: bool) -> None:
        """A request has its answer, or `error`; a `reusable` connection may carry the next one, even now."""


class Connection(asyncio.Protocol):
    """One connection, and the request that it carries while `loaded`."""

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
        "request",
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
        self.request = b""
        self.arrival = self.endpoint = self.stage = self.due_us = self.dispatched_us = self.written_us = 0
        self.bytes_sent = self.bytes_received = self.idle_since_us = 0
        self.head = b""

    def fresh(self, now_us: int) -> bool:
        """Whether an idle connection may be used again; lets go of it if not.

        Servers close connections that were idle for some seconds, and a request that is just then on its way fails.
        """
        if self._transport is None:
            return False
        if now_us - self.idle_since_us < _KEEP_ALIVE_US and not self._transport.is_closing():
            return True
        self.drop()
        return False

    def begin(self, request: bytes, arrival: int, endpoint: int, stage: int, *, due_us: int, now_us: int) -> None:
        """Send a request: now, or as soon as there is a connection."""
        self.request = request
        self.endpoint, self.stage, self.due_us, self.dispatched_us = endpoint, stage, due_us, now_us
        self.arrival = arrival
        self.written_us = self.bytes_sent = self.bytes_received = self._messages = 0
        self.head = b""
        self.loaded = True
        if self._transport is not None:
            self._send()

    def take_over(self, waiting: "Connection") -> None:
        """Send the request of one that never was connected."""
        waiting.loaded = False
        number, due_us, now_us = waiting.arrival, waiting.due_us, waiting.dispatched_us
        self.begin(waiting.request, number, waiting.endpoint, waiting.stage, due_us=due_us, now_us=now_us)

    def _send(self) -> None:
        assert self._transport is not None
        self._transport.write(self.request)
        self.bytes_sent = len(self.request)
        self.written_us = self._engine.sent()

    def give_up(self, error: str) -> None:
        """End the request without an answer, and the connection with it."""
        self._end(0, error, reusable=False)
        self.drop()

    def drop(self) -> None:
        """Break the connection off."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _end(self, status: int, error: str | None, *, reusable: bool) -> None:
        self.loaded = False
        self._engine.ended(self, status, error, reusable=reusable)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what waited for the connection; nothing waits when that took too long."""
        self._transport = cast("asyncio.Transport", transport)
        if self.loaded:
            self._send()
        else:
            self.drop()

    def data_received(self, data: bytes) -> None:
        """Read on in the answer."""
        if not self.loaded:
            self.drop()  # bytes that nobody asked for
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
            self._break("too long" if self._messages else "bad answer")
            return
        if self._messages == 1:
            self._answered(reusable=self._keeps)
        elif self._messages:
            self._break("too long")
        elif HEAD_END in self.head and self._engine.has_no_body(self.endpoint):
            self._parser, parser = httptools.HttpResponseParser(self), self._parser
            self._end(parser.get_status_code(), None, reusable=parser.should_keep_alive())

    def _answered(self, *, reusable: bool) -> None:
        self._end(self._parser.get_status_code(), None, reusable=reusable)
        if not reusable and self._transport is not None:
            self._transport.close()

    def _break(self, error: str) -> None:
        self._end(self._parser.get_status_code(), error, reusable=False)
        self.drop()

    def connection_lost(self, error: Exception | None) -> None:
        """The target closed, or we did."""
        self._transport = None
        if not self.loaded:
            return
        status = self._parser.get_status_code() if self.head else 0
        if error is not None:
            self._end(status, error_name(error), reusable=False)
        elif ends_with_connection(self.head):
            self._end(status, None, reusable=False)
        else:
            self._end(status, "closed", reusable=False)

    # What the parser calls.

    def on_message_complete(self) -> None:
        """An answer is whole, or was one that only informs of another to come (RFC 9110, section 15.2)."""
        if self._parser.get_status_code() not in _INFORMATIONAL:
            self._messages += 1
            self._keeps = self._parser.should_keep_alive()  # the parser knows now, and no more when it goes on
        else:
            self.head = b""


class CheckedConnection(Connection):
    """One that keeps headers and body for checks: as much of it as they look at."""

    __slots__ = ("content", "headers")

    def begin(self, request: bytes, arrival: int, endpoint: int, stage: int, *, due_us: int, now_us: int) -> None:
        """See Connection."""
        self.headers, self.content = {}, bytearray()
        super().begin(request, arrival, endpoint, stage, due_us=due_us, now_us=now_us)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, of the answer or of one that only informs."""
        if len(self.headers) < _MOST_HEADERS:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._engine.needs_body(self.endpoint) and len(self.content) <= MOST_BODY_BYTES:
            self.content += body[: MOST_BODY_BYTES + 1 - len(self.content)]
