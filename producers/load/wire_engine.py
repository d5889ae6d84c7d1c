"""The fast engine: HTTP/1.1 on bare transports, requests rendered once, answers parsed in C and never held.

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
from producers.load.feeds import FeedOverError
from producers.load.files import allow_files
from producers.load.outcomes import error_name
from producers.load.rendering import rendering
from producers.load.setup import Setup
from producers.load.wire_connection import CheckedConnection, Connection

_TICKS_A_TIMEOUT = 20
_MOST_BETWEEN_TICKS_S = 0.02
_CONNECTING_AT_ONCE = 32
"""A burst of arrivals waits for these, or for an answer: to connect costs as much as dozens of requests."""


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
        self._connection = CheckedConnection if any(checks.needs_head for checks in self._checks) else Connection
        self._origin = urlsplit(requests[0].target)
        self._ssl = ssl.create_default_context() if self._origin.scheme == "https" else None
        self._addresses: list[str] = []
        self._timeout_us = round(setup.timeout_s * 1e6)
        self._tick_s = min(setup.timeout_s / _TICKS_A_TIMEOUT, _MOST_BETWEEN_TICKS_S)
        self._follower = AiohttpEngine(setup)
        self._idle: list[Connection] = []
        self._busy: dict[Connection, None] = {}
        """About in the order of their dispatch, so the first is the next to time out; see `_serve_waiting`."""
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting: deque[Connection] = deque()
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
            if len(self._connecting) < _CONNECTING_AT_ONCE:
                self._start(connection)
            else:
                self._waiting.append(connection)
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
        for requests in (self._busy, self._idle, self._waiting):
            requests.clear()
        await self._follower.close()

    def _start(self, connection: "Connection") -> None:
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: "asyncio.Task[None]") -> None:
        self._connecting.discard(task)
        self._serve_waiting(self._clock.now_us())

    def _serve_waiting(self, now_us: int) -> None:
        """Give requests that wait for a connection one that is idle, or else begin to connect for them."""
        while self._waiting and not self._closing:
            if not self._waiting[0].loaded:  # it took too long meanwhile
                self._waiting.popleft()
            elif self._idle:
                connection = self._idle.pop()
                if connection.fresh(now_us):
                    waiting = self._waiting.popleft()
                    del self._busy[waiting]
                    self._busy[connection] = None
                    connection.take_over(waiting)
            elif len(self._connecting) < _CONNECTING_AT_ONCE:
                self._start(self._waiting.popleft())
            else:
                return

    async def _connect(self, connection: "Connection") -> None:
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

    def ended(self, connection: "Connection", status: int, error: str | None, *, reusable: bool) -> None:
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
                self._serve_waiting(now_us)
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
        if self._waiting:
            self._serve_waiting(now_us)
        self.when_ended(now_us)

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
