"""How an answer waits for its reader: little in memory, much in a file that has no name, all of them under one budget.

The store is free again as soon as an answer is complete: a slow reader holds nothing but this.
"""

import tempfile
from collections.abc import AsyncIterable, Iterator
from pathlib import Path
from typing import IO

from views.gateway.refusals import refusal

_CHUNK_BYTES = 256 << 10


class Spool:
    """Where answers of more than `held_bytes` wait; all together they take at most `spool_bytes` in `folder`."""

    def __init__(self, folder: Path, held_bytes: int, spool_bytes: int) -> None:
        self.held_bytes = held_bytes
        self.taken_bytes = 0
        self._folder = folder
        self._spool_bytes = spool_bytes

    def body(self, data: memoryview) -> "Body":
        """A body of these bytes, which are copied. Blocks. Raises Refusal when there is no room."""
        body = Body(self)
        try:
            for at in range(0, len(data), _CHUNK_BYTES):
                body.add(data[at : at + _CHUNK_BYTES])
        except BaseException:
            body.close()
            raise
        return body

    async def received(self, chunks: AsyncIterable[bytes]) -> "Body":
        """A body of what comes. Raises Refusal when there is no room."""
        body = Body(self)
        try:
            async for chunk in chunks:
                body.add(memoryview(chunk))
        except BaseException:
            body.close()
            raise
        return body

    def take(self, size: int) -> None:
        """Take so much of the disk. Raises Refusal."""
        if self.taken_bytes + size > self._spool_bytes:
            raise refusal(202, "Too many answers wait for readers who are slow to take them: ask again in a moment")
        self.taken_bytes += size

    def file(self) -> IO[bytes]:
        """A new file, which is gone when it is closed."""
        return tempfile.TemporaryFile(dir=self._folder, prefix="answer-")


class Body:
    """The bytes of one answer, in memory until they are too many."""

    def __init__(self, spool: Spool) -> None:
        self.size = 0
        self._spool = spool
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self._taken = 0

    def add(self, data: memoryview) -> None:
        """Append. Raises Refusal when there is no room."""
        self.size += len(data)
        if self._file is None and self.size <= self._spool.held_bytes:
            self._held += data
            return
        if self._file is None:
            self._file = self._spool.file()
            self._put(memoryview(bytes(self._held)))
            self._held.clear()
        self._put(data)

    def _put(self, data: memoryview) -> None:
        assert self._file is not None
        self._spool.take(len(data))
        self._taken += len(data)
        self._file.write(data)

    def chunks(self) -> Iterator[bytes]:
        """All of it, from the beginning."""
        if self._file is None:
            if self._held:
                yield bytes(self._held)
            return
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK_BYTES):
            yield chunk

    def close(self) -> None:
        """It is not needed any more."""
        if self._file is not None:
            self._file.close()
        self._spool.taken_bytes -= self._taken
        self._taken = 0
