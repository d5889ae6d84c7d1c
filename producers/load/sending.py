"""Requests of aiohttp that say when they were written, and how much; answers that say how they broke off."""

from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

from producers.clock import Clock
from producers.load.outcomes import TooLongError
from producers.load.recorder import Recorder


@dataclass(slots=True)
class Sending:
    """What is learnt of a request on its way out; followed redirects are part of it. Unix microseconds."""

    clock: Clock
    recorder: Recorder
    written_us: int = 0
    bytes_sent: int = 0
    protocol: ResponseHandler | None = None
    """Of the connection that the last request went out on."""

    def written(self, size: int) -> None:
        """So many bytes were handed to a socket just now."""
        self.written_us = self.clock.now_us()
        self.bytes_sent += size
        self.recorder.was_sent(self.written_us)


sending_now: ContextVar[Sending] = ContextVar("sending")
"""What the requests that the current task begins report to."""


class TimedRequest(aiohttp.ClientRequest):
    """Notes when the last byte was handed to the socket. aiohttp's tracing tells of headers before they are written."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Send the headers, and what follows without a body."""
        sending_now.get().protocol = conn.protocol
        response = await super().send(conn)
        if not self._body:
            sending_now.get().written(self._head_bytes())
        return response

    async def write_bytes(self, writer: AbstractStreamWriter, conn: Any, content_length: int | None = None) -> None:
        """Send the body, in a task of its own, and the headers in front of it."""
        await super().write_bytes(writer, conn, content_length)
        sending_now.get().written(writer.output_size)

    def _head_bytes(self) -> int:
        """Size of request line and headers."""
        line = len(self.method) + len(self.url.raw_path_qs) + len("  HTTP/1.1\r\n\r\n")
        return line + sum(len(name) + len(value) + 4 for name, value in self.headers.items())


def answer_head_bytes(response: aiohttp.ClientResponse) -> int:
    """Size of status line and headers."""
    line = len("HTTP/1.1 200 \r\n\r\n") + len(response.reason or "")
    return line + sum(len(name) + len(value) + 4 for name, value in response.raw_headers)


async def pieces_of(response: aiohttp.ClientResponse, protocol: ResponseHandler | None) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises what became of the connection where aiohttp only says that the body is not whole, and TooLongError when the
    end of the body came with more behind it, which aiohttp does not say at all.
    """
    assert protocol is not None, "an answer is one to a request that was sent"
    try:
        async for piece in response.content.iter_any():
            yield piece
    except aiohttp.ClientPayloadError as error:
        raise protocol.exception() or error from error
    if isinstance(protocol.exception(), HttpProcessingError):
        raise TooLongError
