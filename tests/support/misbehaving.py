"""A server that answers what it is told, byte for byte, and breaks connections off as it is told."""

import asyncio
import contextlib
import enum
import socket
import struct
from collections.abc import AsyncIterator, Sequence

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Then(enum.Enum):
    """What comes after the bytes, or between them; without one the server waits for the next request."""

    CLOSE = "closes in order"
    RESET = "breaks off: a reset instead of an end (SO_LINGER of zero)"
    PAUSE = "lets the client read"


Piece = bytes | Then
_TURNS = 20


class _Server:
    """Answers OK to everything but `/bad`, and that as it was told."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.serving: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving[writer] = asyncio.current_task()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not await self._answer(writer, self.pieces if head.startswith(b"GET /bad") else [OK]):
                    return

    async def _answer(self, writer: asyncio.StreamWriter, pieces: Sequence[Piece]) -> bool:
        for piece in pieces:
            match piece:
                case Then.CLOSE:
                    writer.close()
                    return False
                case Then.RESET:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    writer.transport.abort()
                    return False
                case Then.PAUSE:
                    await asyncio.sleep(0.02)
                    for _ in range(_TURNS):  # client and server share a loop, and one that was held up has had no turn
                        await asyncio.sleep(0)
                case bytes():
                    writer.write(piece)
                    await writer.drain()
        return True


@contextlib.asynccontextmanager
async def misbehaving(*pieces: Piece) -> AsyncIterator[str]:
    """Run one on a free loopback port, in this event loop; gives its URL."""
    server = _Server(pieces)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        try:
            yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        finally:
            for writer in server.serving:
                writer.transport.abort()
            await asyncio.gather(*filter(None, server.serving.values()), return_exceptions=True)
