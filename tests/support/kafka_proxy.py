"""Stands between Kafka and its clients, sees every request by its kind, and may interfere: kill, lose, hold, cut off.

Kafka must advertise this address (a `Door` of `tests.support.kafka_server`), for clients go where it tells them to.
Framing: a length of 4 bytes; a request goes on with its kind (api_key), version and correlation id, an answer with the
correlation id (Kafka protocol guide, "Protocol Primitives").
"""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tests.support.kafka_server import Door

PRODUCE, FETCH, COMMIT, JOIN, HEARTBEAT = 0, 1, 8, 11, 12


async def _pass(_: int, __: bytes) -> bool:
    return True


class KafkaProxy:
    """A context manager: it listens, whether Kafka does or not.

    `on_request` and `on_answer` are awaited with the kind of the request and the frame before it is passed on. What
    they answer False to is not, and the connection is closed: Kafka's clients wait for each answer in turn.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self.on_request: Callable[[int, bytes], Awaitable[bool]] = _pass
        self.on_answer: Callable[[int, bytes], Awaitable[bool]] = _pass
        self._fetched_bytes_per_s: float | None = None
        self._at_full_speed = asyncio.Event()

    @property
    def bootstrap(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._door.outside}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._door.outside)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._break_off()

    def be_transparent(self) -> None:
        """Interfere no more."""
        self.on_request = self.on_answer = _pass
        self._fetched_bytes_per_s = None
        self._at_full_speed.set()
        self._is_cut = False

    def slow_down(self, fetched_bytes_per_s: float) -> None:
        """Pass on no more of Fetch answers than this, until `be_transparent`."""
        self._fetched_bytes_per_s = fetched_bytes_per_s
        self._at_full_speed.clear()

    def cut(self) -> None:
        """Break every connection off, and those that are tried, until `be_transparent`."""
        self._is_cut = True
        self._break_off()

    def _break_off(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _connected(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._open.add(to_client)
        to_kafka: asyncio.StreamWriter | None = None
        kinds: dict[int, int] = {}
        try:
            if self._is_cut:
                return
            from_kafka, to_kafka = await asyncio.open_connection("127.0.0.1", self._door.inside)
            self._open.add(to_kafka)
            relays = [
                asyncio.create_task(self._requests(from_client, to_kafka, kinds)),
                asyncio.create_task(self._answers(from_kafka, to_client, kinds)),
            ]
            await asyncio.wait(relays, return_when=asyncio.FIRST_COMPLETED)
            for relay in relays:
                relay.cancel()
            await asyncio.wait(relays)
        except OSError:
            pass  # Kafka is away
        finally:
            for writer in filter(None, (to_client, to_kafka)):
                self._open.discard(writer)
                writer.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kinds: dict[int, int]
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                kind, _, correlation = struct.unpack_from(">hhi", frame)
                kinds[correlation] = kind
                if not await self.on_request(kind, frame):
                    return
                await _send(writer, frame)

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kinds: dict[int, int]) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                kind = kinds.pop(struct.unpack_from(">i", frame)[0], -1)
                if not await self.on_answer(kind, frame):
                    return
                await _send(writer, frame)
                if kind == FETCH and self._fetched_bytes_per_s:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._at_full_speed.wait(), len(frame) / self._fetched_bytes_per_s)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


async def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">i", len(frame)) + frame)
    await writer.drain()
