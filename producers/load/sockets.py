"""Plain TCP connections by the hundred, behind one file: epoll(7) tells of all that are readable in a single call.

An event loop's own transports are made for few connections with much to do: each readable one costs a callback of the
loop and each write is put off to the loop's end, some ten microseconds a request in all. Here a write is a send(2) on
the spot and a read a recv(2), and the loop is woken once for all of them, since an epoll file is readable itself as
soon as one of those in it is.
"""

import asyncio
import select
import socket
from collections.abc import Callable

_READ_BYTES = 1 << 16
_MOST_EVENTS = 256


def are_at_hand() -> bool:
    """Whether this system has epoll: Linux does."""
    return hasattr(select, "epoll")


class Sockets:
    """All the sockets of one engine. Every method is called on the event loop; close it when done.

    `after_round` is called when those that were readable have been read.
    """

    def __init__(self, after_round: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._after_round = after_round
        self._transports: dict[int, SocketTransport] = {}
        self._over: list[socket.socket] = []
        self._is_serving = False
        self._loop.add_reader(self._epoll.fileno(), self._serve)

    async def connect(self, protocol: asyncio.Protocol, address: str, port: int) -> None:
        """Connect to an IP address and let the protocol know. Raises OSError when nobody answers there."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(sock, (address, port))
        except BaseException:
            sock.close()
            raise
        SocketTransport(sock, protocol, self)

    def close(self) -> None:
        """Watch no more; the connections are closed by who made them."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _serve(self) -> None:
        self._is_serving = True
        transports = self._transports
        try:
            for file, event in self._epoll.poll(0, _MOST_EVENTS):
                transport = transports.get(file)
                if transport is None:
                    continue  # one before it in this round has ended it
                if event != select.EPOLLIN:
                    transport.ready(event)
                    continue
                try:
                    data = transport.recv(_READ_BYTES)
                except OSError as error:
                    transport.failed(error)
                    continue
                if data:
                    transport.received(data)
                else:
                    transport.failed(None)
        finally:
            self._is_serving = False
            for sock in self._over:
                sock.close()
            self._over.clear()
        self._after_round()

    # What transports call.

    def add(self, sock: socket.socket, transport: "SocketTransport") -> None:
        """Read the socket for its transport from now on."""
        self._transports[sock.fileno()] = transport
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def watch(self, sock: socket.socket, *, writable: bool) -> None:
        """Ask for readable, and for writable too if so."""
        self._epoll.modify(sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if writable else 0))

    def discard(self, sock: socket.socket) -> None:
        """Close a socket: now, or behind the round, so that its number stands for no other one within it."""
        if self._transports.pop(sock.fileno(), None) is None:
            return
        if self._is_serving:
            if not self._epoll.closed:
                self._epoll.unregister(sock.fileno())
            self._over.append(sock)
        else:
            sock.close()

    def later(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call it from the event loop."""
        self._loop.call_soon(callback, *arguments)


class SocketTransport(asyncio.Transport):
    """A connected socket as a protocol of asyncio knows its transport; what the wire engine needs of one."""

    __slots__ = ("_protocol", "_send", "_sock", "_sockets", "_unsent", "received", "recv")

    def __init__(self, sock: socket.socket, protocol: asyncio.Protocol, sockets: Sockets) -> None:
        super().__init__()
        self._sock: socket.socket | None = sock
        self._sockets = sockets
        self._protocol = protocol
        self.received = protocol.data_received
        self.recv, self._send = sock.recv, sock.send
        self._unsent = b""
        sockets.add(sock, self)
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send now; what the kernel does not take at once goes as soon as it does."""
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._sockets.later(self.failed, error)  # never in the middle of who writes
            return
        if sent < len(data):
            self._keep(bytes(data)[sent:])

    def abort(self) -> None:
        """Close at once; the protocol hears of it."""
        if self._sock is not None:
            self._end()
            self._sockets.later(self._protocol.connection_lost, None)

    def close(self) -> None:
        """As abort: nothing is closed here that has something left to say."""
        self.abort()

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._sock is None

    def ready(self, events: int) -> None:
        """Go on with writing, or find out what is wrong; what there is to read is read in the next round."""
        if events & select.EPOLLOUT:
            self._go_on()
        if events & (select.EPOLLHUP | select.EPOLLERR) and self._sock is not None:
            error: OSError | None = None
            try:
                while not self.is_closing() and (data := self.recv(_READ_BYTES)):
                    self.received(data)
            except OSError as raised:
                error = raised
            self.failed(error)

    def failed(self, error: OSError | None) -> None:
        """The connection is over: in order when there is no error. One that only tells to wait is none."""
        if self._sock is not None and not isinstance(error, BlockingIOError):
            self._end()
            self._protocol.connection_lost(error)

    def _keep(self, unsent: bytes) -> None:
        self._unsent = unsent
        assert self._sock is not None
        self._sockets.watch(self._sock, writable=bool(unsent))

    def _go_on(self) -> None:
        if self._sock is None:
            return
        try:
            sent = self._send(self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self.failed(error)
            return
        if sent == len(self._unsent):
            self._keep(b"")
        else:
            self._unsent = self._unsent[sent:]

    def _end(self) -> None:
        assert self._sock is not None
        self._sockets.discard(self._sock)
        self._sock = None
        self._unsent = b""
