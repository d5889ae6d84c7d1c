"""The fast engine: HTTP/1.1 on bare transports, requests rendered once, answers parsed in C and never held.

What a request costs decides what rate one core can hold, so nothing here is made per request but a few numbers: no
task, no future, no header object. A connection carries one request at a time (no pipelining: servers answer in order,
so a request behind a slow one would be measured as slow itself).
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

import httptools

from producers.load.aiohttp_engine import AiohttpEngine, Hop
from producers.load.answers import HEAD_END, LONGEST_HEAD_BYTES, ends_with_connection, redirected
from producers.load.checking import MOST_BODY_BYTES
from producers.load.feeds import FeedOverError
from producers.load.files import allow_files
from producers.load.guard import KEEP_ALIVE_S
from producers.load.outcomes import error_name
from producers.load.rendering import rendering
from producers.load.setup import Setup

_KEEP_ALIVE_US = round(KEEP_ALIVE_S * 1e6)
_TICKS_A_TIMEOUT = 20
_MOST_BETWEEN_TICKS_S = 0.02
_INFORMATIONAL = range(100, 200)
_MOST_HEADERS = 200
_NO_HEADERS: dict[str, str] = {}


class WireEngine:
    """See Engine. As many connections as requests are in flight at once; idle ones are used again, the latest first."""

    name = "wire"

    def __init__(self, setup: Setup) -> None:
        requests = setup.requests
        self._setup = setup
        self._recorder = setup.recorder
        self._clock = setup.clock
        self._arrivals = setup.shard.index
        self._renderings = [rendering(request) for request in requests]
        self._answers_without_body = [request.method == "HEAD" for request in requests]
        self._checks = [request.checks for request in requests]
        self._connection = _CheckedConnection if any(checks.needs_head for checks in self._checks) else _Connection
        self._origin = urlsplit(requests[0].target)
        self._ssl = ssl.create_default_context() if self._origin.scheme == "https" else None
        self._addresses: list[str] = []
        self._timeout_us = round(setup.timeout_s * 1e6)
        self._tick_s = min(setup.timeout_s / _TICKS_A_TIMEOUT, _MOST_BETWEEN_TICKS_S)
        self._follower = AiohttpEngine(setup)
        self._idle: list[_Connection] = []
        self._busy: dict[_Connection, None] = {}
        """In the order of their dispatch, so the first is the next to time out."""
        self._connecting: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self.when_ended: Callable[[int], None] = lambda _: None

    @property
    def in_flight(self) -> int:
        """See Engine."""
        return len(self._busy) + self._follower.in_flight

    async def open(self) -> None:
        """See Engine. The target's name is resolved and checked once, here."""
        allow_files(self._setup.max_in_flight)
        self._loop = asyncio.get_running_loop()
        found = await self._loop.getaddrinfo(self._origin.hostname, self._port, type=socket.SOCK_STREAM)
        for *_, address in found:
            self._setup.guard.resolved(self._origin.hostname or "", str(address[0]))
            self._setup.guard.check(str(address[0]))
            self._addresses.append(str(address[0]))
        await self._follower.open()
        self._tick()

    @property
    def _port(self) -> int:
        return self._origin.port or (443 if self._ssl else 80)

    def fire(self, endpoint: int, stage: int, due_us: int, now_us: int) -> None:
        """See Engine."""
        arrival, self._arrivals = self._arrivals, self._arrivals + self._setup.shard.count
        try:
            request = self._renderings[endpoint](arrival, self._context_lines(endpoint, stage))
        except FeedOverError:
            self._recorder.ended(endpoint, stage, due_us, now_us, now_us, now_us, 0, "feed is over", 0, 0)
            return
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.fresh(now_us):
                break
        else:
            connection = self._connection(self)
            task = self._loop.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        self._busy[connection] = None
        connection.begin(request, arrival, endpoint, stage, due_us=due_us, now_us=now_us)

    async def close(self) -> None:
        """See Engine."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in (*self._busy, *self._idle):
            connection.drop()
        self._busy.clear()
        self._idle.clear()
        await self._follower.close()

    async def _connect(self, connection: "_Connection") -> None:
        """Try the target's addresses; the one that works goes to the front."""
        for place, address in enumerate(self._addresses):
            try:
                await self._loop.create_connection(
                    lambda: connection,
                    address,
                    self._port,
                    ssl=self._ssl,
                    server_hostname=self._origin.hostname if self._ssl else None,
                )
            except Exception as error:  # noqa: BLE001  whatever it is, it is this request's outcome
                if place == len(self._addresses) - 1:
                    connection.give_up(error_name(error))
            else:
                if place:
                    self._addresses.insert(0, self._addresses.pop(place))
                return

    def _context_lines(self, endpoint: int, stage: int) -> str:
        if self._setup.context is None:
            return ""
        return "".join(f"{name}: {value}\r\n" for name, value in self._setup.context.headers(endpoint, stage).items())

    def _tick(self) -> None:
        """Give up what takes too long."""
        now_us = self._clock.now_us()
        while self._busy and next(iter(self._busy)).dispatched_us <= now_us - self._timeout_us:
            next(iter(self._busy)).give_up("timeout")
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    # What connections call.

    def sent(self) -> int:
        """A request was handed to its socket; gives the time."""
        now_us = self._clock.now_us()
        self._recorder.was_sent(now_us)
        return now_us

    def needs_body(self, endpoint: int) -> bool:
        """Whether somebody will look at the body."""
        return self._checks[endpoint].needs_body

    def has_no_body(self, endpoint: int) -> bool:
        """Whether answers end with their head."""
        return self._answers_without_body[endpoint]

    def ended(self, connection: "_Connection", status: int, error: str | None, *, reusable: bool) -> None:
        """A request has its outcome, or a redirect to follow."""
        if self._closing:
            return  # broken off by ourselves
        del self._busy[connection]
        now_us = self._clock.now_us()
        if reusable:
            connection.idle_since_us = now_us
            self._idle.append(connection)
        if error is None:
            if self._setup.redirects and status >= HTTPStatus.MULTIPLE_CHOICES and self._follow(connection, status):
                return
            error = self._checks[connection.endpoint].error_of(status, connection.headers, connection.content)
        self._recorder.ended(
            connection.endpoint,
            connection.stage,
            connection.due_us,
            connection.dispatched_us,
            connection.written_us or now_us,
            now_us,
            status,
            error,
            connection.bytes_sent,
            connection.bytes_received,
        )
        self.when_ended(now_us)

    def _follow(self, connection: "_Connection", status: int) -> bool:
        """Hand a redirect over to the engine that follows it anywhere; False when it leads nowhere."""
        request = self._setup.requests[connection.endpoint]
        try:
            target = redirected(request.method, request.url(connection.arrival), status, connection.head)
        except ValueError:
            target = None
        if target is None:
            return False
        method, url = target
        body = request.body_for(connection.arrival) if method == request.method else None
        headers = request.headers_for(connection.arrival)
        hop = Hop(method, url, headers, body, connection.written_us, connection.bytes_sent, connection.bytes_received)
        self._follower.follow(hop, connection.endpoint, connection.stage, connection.due_us, connection.dispatched_us)
        return True


class _Connection(asyncio.Protocol):
    """One connection, and the request that it carries while `_loaded`."""

    __slots__ = (
        "_engine",
        "_keeps",
        "_loaded",
        "_messages",
        "_parser",
        "_request",
        "_transport",
        "arrival",
        "bytes_received",
        "bytes_sent",
        "dispatched_us",
        "due_us",
        "endpoint",
        "head",
        "idle_since_us",
        "stage",
        "written_us",
    )

    headers: dict[str, str] = _NO_HEADERS
    content: bytes | bytearray = b""

    def __init__(self, engine: WireEngine) -> None:
        self._engine = engine
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._loaded = self._keeps = False
        self._messages = 0
        self._request = b""
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
        self._request = request
        self.endpoint, self.stage, self.due_us, self.dispatched_us = endpoint, stage, due_us, now_us
        self.arrival = arrival
        self.written_us = self.bytes_sent = self.bytes_received = self._messages = 0
        self.head = b""
        self._loaded = True
        if self._transport is not None:
            self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._transport.write(self._request)
        self.bytes_sent = len(self._request)
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
        self._loaded = False
        self._engine.ended(self, status, error, reusable=reusable)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what waited for the connection; nothing waits when that took too long."""
        self._transport = cast("asyncio.Transport", transport)
        if self._loaded:
            self._send()
        else:
            self.drop()

    def data_received(self, data: bytes) -> None:
        """Read on in the answer."""
        if not self._loaded:
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
        if not self._loaded:
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


class _CheckedConnection(_Connection):
    """One that keeps headers and body for checks: as much of it as they look at."""

    __slots__ = ("content", "headers")

    def begin(self, request: bytes, arrival: int, endpoint: int, stage: int, *, due_us: int, now_us: int) -> None:
        """See _Connection."""
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
