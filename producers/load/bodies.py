"""Large request bodies: sent piece by piece, never held."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

_PIECE_BYTES = 256 << 10
_FILL = bytes(range(256)) * (_PIECE_BYTES // 256)


@dataclass(frozen=True, slots=True)
class LargeBody:
    """`size` bytes: of a file, or made up."""

    size: int
    file: Path | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body in pieces of up to 256 KiB. Raises OSError when the file is gone or shorter than it was."""
        if self.file is None:
            for left in range(self.size, 0, -_PIECE_BYTES):
                yield _FILL if left >= _PIECE_BYTES else _FILL[:left]
            return
        left = self.size
        with self.file.open("rb") as file:  # the page cache answers: a thread per piece would cost more than the read
            while left:
                piece = file.read(min(_PIECE_BYTES, left))
                if not piece:
                    raise OSError(f"{self.file} is shorter than it was")
                left -= len(piece)
                yield piece
