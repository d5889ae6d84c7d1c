"""The fast engine: bare HTTP/1.1, requests rendered once, answers parsed in C and never held.

What a request costs decides what rate one core can hold, so nothing here is made per request but a few numbers: no
task, no future, no header object. A connection carries one request at a time (no pipelining: servers answer in order,
so a request behind a slow one would be measured as slow itself).
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from producers.load.aiohttp_engine import AiohttpEngine, Hop
from producers.load.answers import redirected
from producers.load.connecting import AT_ONCE, TLS_AT_ONCE, counted_for_a_moment
from producers.load.feeds import FeedOverError
from producers.load.files import allow_files
from producers.load.guard import KEEP_ALIVE_S
from producers.load.outcomes import error_name
from producers.load.rendering import rendering
from producers.load.setup import Setup
from producers.load.sockets import Sockets, are_at_hand
from producers.load.wire_connection import MOST_KNOWN_BYTES, CheckedConnection, Connection

_TICKS_A_TIMEOUT = 20
_MOST_BETWEEN_TICKS_S = 0.02
_KEEP_ALIVE_US = round(KEEP_ALIVE_S * 1e6)
"""Servers close connections that were idle for some seconds, and a request that is just then on its way fails."""
_MOST_KNOWN = 16
"""Answers of an endpoint that are kept: services give the same few for a second, until their Date changes."""

Waiting = tuple[bytes, int, int, int, int, int]
"""The arguments of `Connection.begin`."""


class WireEngine:
    """See Engine. As many connections as requests are in flight at once; idle ones are used again, the latest first."""

    name = "wire"

    def __init__(self, setup: Setup) -> None:
        requests = setup.requests
        self._setup = setup
        self._record, self._was_sent = setup.recorder.ended, setup.recorder.was_sent
        self._now_us = setup.clock.now_us
        self._context = setup.context
        self._arrivals, self._shards = setup.shard.index, setup.shard.count
        self._renderings = [rendering(request) for request in requests]
        self._answers_without_body = [request.method == "HEAD" for request in requests]
        self._checks = [request.checks for request in requests]
        self.known: list[dict[bytes, tuple[int, str | None]]] = [{} for _ in requests]
        self._connection = CheckedConnection if any(checks.needs_head for checks in self._checks) else Connection
        self._origin = urlsplit(requests[0].target)
        self._ssl = ssl.create_default_context() if self._origin.scheme == "https" else None
        self._at_once = TLS_AT_ONCE if self._ssl else AT_ONCE
        self._addresses: list[str] = []
        self._timeout_us = round(setup.timeout_s * 1e6)
        self._tick_s = min(setup.timeout_s / _TICKS_A_TIMEOUT, _MOST_BETWEEN_TICKS_S)
        self._follower = AiohttpEngine(setup)
        self._sockets: Sockets | None = None
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._beginning = 0
        self._waiting: deque[Waiting] = deque()
        """Requests without a connection, in the order of their dispatch."""
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self.in_flight = 0
        self.when_ended: Callable[[int], None] = lambda _: None
        self._follower.when_ended = self._followed

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
        if self._ssl is None and are_at_hand():
            self._sockets = Sockets(self._after_round)
        self._tick()

    @property
    def _port(self) -> int:
        return self._origin.port or (443 if self._ssl else 80)

    def fire(self, endpoint: int, stage: int, due_us: int, now_us: int) -> None:
        """See Engine."""
        arrival = self._arrivals
        self._arrivals = arrival + self._shards
        try:
            lines = "" if self._context is None else self._context_lines(endpoint, stage)
            request = self._renderings[endpoint](arrival, lines)
        except FeedOverError:
            self._record(endpoint, stage, due_us, now_us, now_us, now_us, 0, "feed is over", 0, 0)
            return
        self.in_flight += 1
        connection = self._idle_one(now_us)
        if connection is None:
            self._waiting.append((request, arrival, endpoint, stage, due_us, now_us))
            self._connect_for_waiting()
            return
        connection.begin(request, arrival, endpoint, stage, due_us, now_us)
        connection.written_us = now_us = self._now_us()
        self._was_sent(now_us)

    async def close(self) -> None:
        """See Engine."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in tuple(self._connections):
            connection.drop()
        if self._sockets is not None:
            self._sockets.close()
        await self._follower.close()

    def _idle_one(self, now_us: int) -> "Connection | None":
        """The connection that was used last; those that were idle for too long are let go."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if now_us - connection.idle_since_us < _KEEP_ALIVE_US:
                return connection
            connection.drop()
        return None

    def _serve_waiting(self, now_us: int) -> None:
        """Give requests that wait for a connection one that is idle, or else begin to connect for them."""
        while self._waiting and not self._closing:
            connection = self._idle_one(now_us)
            if connection is None:
                self._connect_for_waiting()
                return
            self._send_waiting(connection)

    def _send_waiting(self, connection: "Connection") -> None:
        connection.begin(*self._waiting.popleft())
        connection.written_us = self._now_us()
        self._was_sent(connection.written_us)

    def _connect_for_waiting(self) -> None:
        while self._beginning < self._at_once and len(self._connecting) < len(self._waiting) and not self._closing:
            self._beginning += 1
            task = self._loop.create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting_ended)

    def _begun(self) -> None:
        self._beginning -= 1
        self._connect_for_waiting()

    def _connecting_ended(self, task: "asyncio.Task[None]") -> None:
        self._connecting.discard(task)
        self._connect_for_waiting()

    async def _connect(self) -> None:
        with counted_for_a_moment(self._begun):
            await self._try_addresses()

    async def _try_addresses(self) -> None:
        """Connect to one of the target's addresses; the one that works goes to the front."""
        error = ""
        for address in tuple(self._addresses):
            try:
                async with asyncio.timeout(self._setup.timeout_s):
                    await self._connect_to(address, self._connection(self))
            except Exception as raised:  # noqa: BLE001  whatever it is, it is the outcome of a request
                error = error_name(raised)
            else:
                self._addresses.sort(key=lambda one: one != address)
                return
        if self._waiting:
            self._never_sent(self._waiting.popleft(), error)

    async def _connect_to(self, address: str, connection: "Connection") -> None:
        if self._sockets is not None:
            await self._sockets.connect(connection, address, self._port)
            return
        name = self._origin.hostname if self._ssl else None
        await self._loop.create_connection(lambda: connection, address, self._port, ssl=self._ssl, server_hostname=name)

    def _context_lines(self, endpoint: int, stage: int) -> str:
        assert self._context is not None
        return "".join(f"{name}: {value}\r\n" for name, value in self._context.headers(endpoint, stage).items())

    def _tick(self) -> None:
        """Give up what takes too long."""
        limit_us = self._now_us() - self._timeout_us
        while self._waiting and self._waiting[0][-1] <= limit_us:
            self._never_sent(self._waiting.popleft(), "timeout")
        for connection in [one for one in self._connections if one.loaded and one.dispatched_us <= limit_us]:
            connection.give_up("timeout")
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def _never_sent(self, waiting: Waiting, error: str) -> None:
        _, _, endpoint, stage, due_us, dispatched_us = waiting
        now_us = self._now_us()
        self.in_flight -= 1
        self._record(endpoint, stage, due_us, dispatched_us, now_us, now_us, 0, error, 0, 0)
        self.when_ended(now_us)

    # What connections call.

    def connected(self, connection: "Connection") -> None:
        """A connection has come about."""
        if self._closing:
            connection.drop()
            return
        self._connections.add(connection)
        if self._waiting:
            self._send_waiting(connection)
        else:
            connection.idle_since_us = self._now_us()
            self._idle.append(connection)

    def lost(self, connection: "Connection") -> None:
        """A connection is no more; an idle one is found out when its turn comes."""
        self._connections.discard(connection)

    def needs_body(self, endpoint: int) -> bool:
        """Whether somebody will look at the body."""
        return self._checks[endpoint].needs_body

    def has_no_body(self, endpoint: int) -> bool:
        """Whether answers end with their head."""
        return self._answers_without_body[endpoint]

    def ended(
        self, connection: "Connection", status: int, error: str | None, *, reusable: bool, whole: bytes = b""
    ) -> None:
        """A request has its outcome, or a redirect to follow."""
        if self._closing:
            return  # broken off by ourselves
        now_us = self._now_us()
        if reusable:
            connection.idle_since_us = now_us
            self._idle.append(connection)
        if error is None:
            if self._setup.redirects and status >= HTTPStatus.MULTIPLE_CHOICES and self._follow(connection, status):
                self._serve_waiting(now_us)
                return
            error = self._checks[connection.endpoint].error_of(status, connection.headers, connection.content)
            if whole and len(whole) <= MOST_KNOWN_BYTES:
                self._remember(connection.endpoint, whole, status, error)
        self._tell(connection, status, error, now_us)
        self._after(now_us)

    def ended_as_known(self, connection: "Connection", outcome: tuple[int, str | None]) -> None:
        """A request has its outcome, as it was found before."""
        if self._closing:
            return
        now_us = connection.idle_since_us = self._now_us()
        self._idle.append(connection)
        self._tell(connection, *outcome, now_us)
        if self._sockets is None:
            self._after(now_us)

    def _after_round(self) -> None:
        self._after(self._now_us())

    def _after(self, now_us: int) -> None:
        """Some requests have ended: others may go."""
        if self._waiting:
            self._serve_waiting(now_us)
        self.when_ended(now_us)

    def _followed(self, now_us: int) -> None:
        self.in_flight -= 1
        self.when_ended(now_us)

    def _tell(self, connection: "Connection", status: int, error: str | None, now_us: int) -> None:
        self.in_flight -= 1
        self._record(
            connection.endpoint,
            connection.stage,
            connection.due_us,
            connection.dispatched_us,
            connection.written_us,
            now_us,
            status,
            error,
            connection.bytes_sent,
            connection.bytes_received,
        )

    def _remember(self, endpoint: int, answer: bytes, status: int, error: str | None) -> None:
        """What the same bytes from the same endpoint will come to; so neither parsing nor checks need be done again."""
        known = self.known[endpoint]
        if len(known) == _MOST_KNOWN:
            known.clear()
        known[answer] = status, error

    def _follow(self, connection: "Connection", status: int) -> bool:
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
