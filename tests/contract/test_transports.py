"""What the wire engine expects of a connection, held to both kinds: the loop's own, and sockets behind one file."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from producers.load.sockets import Sockets, are_at_hand
from tests.support.polling import until

MUCH = bytes(range(256)) * 40_000
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Notes(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self):
        self.transport = None
        self.received = b""
        self.lost = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data

    def connection_lost(self, error):
        self.lost.append(error)


class Peer:
    """The other side, by hand: a listening socket, and the one that it accepted."""

    def __init__(self, listener):
        self.listener = listener
        self.port = listener.getsockname()[1]

    async def accept(self):
        accepted, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        return accepted


@pytest.fixture
def peer():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Peer(listener)


@pytest.fixture(params=["sockets", "the loop"])
async def connect(request) -> AsyncIterator[object]:
    if request.param == "sockets" and not are_at_hand():
        pytest.skip("no epoll on this system")
    loop, made = asyncio.get_running_loop(), []
    rounds = []
    sockets = Sockets(lambda: rounds.append(1)) if request.param == "sockets" else None

    async def open_one(port):
        protocol = Notes()
        if sockets is not None:
            await sockets.connect(protocol, "127.0.0.1", port)
        else:
            await loop.create_connection(lambda: protocol, "127.0.0.1", port)
        made.append(protocol)
        return protocol

    yield open_one
    for protocol in made:
        protocol.transport.abort()
    if sockets is not None:
        sockets.close()
    await until(lambda: all(protocol.lost for protocol in made), 60, "every connection's end")
    assert [len(protocol.lost) for protocol in made] == [1] * len(made), "an end is told once"


async def test_both_sides_are_heard(connect, peer):
    notes = await connect(peer.port)
    with await peer.accept() as other:
        notes.transport.write(b"question")
        assert await asyncio.get_running_loop().sock_recv(other, 100) == b"question"
        await asyncio.get_running_loop().sock_sendall(other, b"answer")
        await until(lambda: notes.received == b"answer", 60, "the answer")


async def test_what_the_kernel_does_not_take_at_once_follows_in_order(connect, peer):
    notes = await connect(peer.port)
    with await peer.accept() as other:
        notes.transport.write(MUCH)
        notes.transport.write(b"the end")
        heard = b""
        while len(heard) < len(MUCH) + 7:
            heard += await asyncio.get_running_loop().sock_recv(other, 1 << 20)
    assert heard == MUCH + b"the end"


async def test_much_is_received_whole(connect, peer):
    notes = await connect(peer.port)
    with await peer.accept() as other:
        await asyncio.get_running_loop().sock_sendall(other, MUCH)
        await until(lambda: len(notes.received) >= len(MUCH), 60, "all of it")
    assert notes.received == MUCH


async def test_a_peer_that_closes_in_order_is_no_error_and_its_last_words_are_heard(connect, peer):
    notes = await connect(peer.port)
    with await peer.accept() as other:
        await asyncio.get_running_loop().sock_sendall(other, b"goodbye")
    await until(lambda: notes.lost, 60, "the end")
    assert (notes.received, notes.lost) == (b"goodbye", [None])
    assert notes.transport.is_closing()


async def test_a_peer_that_breaks_off_is_an_error(connect, peer):
    notes = await connect(peer.port)
    with await peer.accept() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    await until(lambda: notes.lost, 60, "the end")
    assert isinstance(notes.lost[0], ConnectionResetError)


async def test_writing_to_a_peer_that_is_gone_is_told_later_and_never_raised(connect, peer):
    notes = await connect(peer.port)
    with await peer.accept() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    for _ in range(3):
        notes.transport.write(b"anybody?")
    assert not notes.lost, "not in the middle of who writes"
    await until(lambda: notes.lost, 60, "the end")
    assert isinstance(notes.lost[0], ConnectionError)


async def test_one_that_is_broken_off_by_ourselves_is_told_so_in_order(connect, peer):
    notes = await connect(peer.port)
    with await peer.accept():
        notes.transport.abort()
        assert notes.transport.is_closing()
        await until(lambda: notes.lost, 60, "the end")
    assert notes.lost == [None]


async def test_where_nobody_listens_connecting_raises(connect, peer):
    peer.listener.close()
    with pytest.raises(ConnectionRefusedError):
        await connect(peer.port)


@pytest.mark.skipif(not are_at_hand(), reason="no epoll on this system")
async def test_a_socket_that_one_before_it_ended_in_the_same_round_is_not_read(peer):
    rounds = []
    sockets = Sockets(lambda: rounds.append(1))
    first, second = Notes(), Notes()
    with contextlib.ExitStack() as stack:
        others = []
        for protocol in (first, second):
            await sockets.connect(protocol, "127.0.0.1", peer.port)
            others.append(stack.enter_context(await peer.accept()))

        def end_both(_):
            first.transport.abort()
            second.transport.abort()

        first.transport.received = second.transport.received = end_both
        for other in others:
            other.sendall(b"x")
        await until(lambda: first.lost and second.lost, 60, "both ends")
        assert (first.received, second.received, rounds) == (b"", b"", [1])
    sockets.close()
