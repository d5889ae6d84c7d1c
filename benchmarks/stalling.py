"""A service that stalls: it answers at once, and for a part of every period not at all.

    python -m benchmarks.stalling PORT PERIOD_S STALL_S

Nothing but a protocol of asyncio, so that what queued in a stall is answered within milliseconds of its end. The stall
blocks the whole process, as a collection of garbage or a lock does. It stalls at the end of each period.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from typing import cast

import uvloop

from benchmarks.serving import free_port, serving

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_HEAD_END = b"\r\n\r\n"


class _Answering(asyncio.Protocol):
    """Answers whatever has a head and no body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(_HEAD_END)
        self._transport.write(_ANSWER * len(heads))


async def serve(port: int, period_s: float, stall_s: float) -> None:
    """Until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, "127.0.0.1", port, backlog=4096)
    ends_s = time.monotonic() + period_s
    while server.is_serving():
        await asyncio.sleep(ends_s - stall_s - time.monotonic())
        time.sleep(max(ends_s - time.monotonic(), 0))  # noqa: ASYNC251  the stall
        ends_s += period_s


@contextlib.contextmanager
def stalling(period_s: float, stall_s: float) -> Iterator[str]:
    """The service in a process of its own; gives its URL."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.stalling", str(port), str(period_s), str(stall_s)]
    with serving(command, port):
        yield f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
