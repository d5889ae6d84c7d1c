"""A growing file, line by line, from its end on: through rotation, truncation and whatever is written by halves.

- Renamed and made anew (logrotate's `create`): who writes goes on in the old file until it is told to open the new one.
  So the old one is read on beside the new one until it has been silent for a while.
- Cut to nothing (logrotate's `copytruncate`): the file is read from its beginning again. It may have grown beyond the
  place where we were before we look: then what stood before that place is no longer there.
- Bytes after the last line end are no line yet. One over 64 KiB is skipped and counted.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from producers.natural.entry import LINE_BYTES
from schemas.errors import UserError

SILENT_US = 10_000_000
"""How long an old file that was written to last may have been silent before it is let go."""
READ_BYTES = 4 << 20
"""Read of one file at once, at most: what is more comes with the next look."""
_MARK_BYTES = 64
_MOST_FILES = 4


class LogFileError(UserError):
    """The log is not there, or it cannot be read."""


@dataclass(slots=True)
class _Opened:
    """A file at the place up to which it was read; `before` is what stands right before that, `rest` a line's begin."""

    file: BinaryIO
    at: int
    before: bytes = b""
    rest: bytearray = field(default_factory=bytearray)
    skipping: bool = False
    heard_us: int = 0

    @property
    def identity(self) -> tuple[int, int]:
        told = os.fstat(self.file.fileno())
        return told.st_dev, told.st_ino


class LogFile:
    """Follows a path. Times are microseconds of whatever clock the caller has; nothing here waits."""

    def __init__(self, path: Path, now_us: int) -> None:
        """Begins at the end: what was logged before is nobody's affair. Raises LogFileError."""
        self._path = path
        try:
            if not path.is_file():
                raise LogFileError(
                    f"{path} is {'no file' if path.exists() else 'not there'}; name the access log that the service, "
                    "or the proxy before it, writes"
                )
            file = path.open("rb", buffering=0)
        except OSError as error:
            raise LogFileError(f"{path} cannot be read ({error.strerror}); check its rights") from None
        end = os.fstat(file.fileno()).st_size
        self._files = [_Opened(file, end, heard_us=now_us)]
        self._remember(self._files[0])
        self._begins_amid_a_line(self._files[0])
        self.long_lines = self.truncations = 0
        self.behind = False

    def _begins_amid_a_line(self, opened: _Opened) -> None:
        """A line of which we have not seen the beginning is none."""
        opened.skipping = bool(opened.before) and not opened.before.endswith(b"\n")

    def lines(self, now_us: int) -> list[str]:
        """The lines that were completed since the last call, in order. `behind` says whether more is there already."""
        self._look_for_another(now_us)
        self.behind = False
        found = [line for opened in self._files for line in self._of(opened, now_us)]
        *old, newest = self._files
        for opened in old:
            if now_us - opened.heard_us > SILENT_US:
                opened.file.close()
        self._files = [*(opened for opened in old if not opened.file.closed), newest]
        return found

    def close(self) -> None:
        """Let go of the files."""
        for opened in self._files:
            opened.file.close()

    def _look_for_another(self, now_us: int) -> None:
        """Open what has the name now, if it is another file; while there is none, or it is not to be read, wait."""
        try:
            told = self._path.stat()
            if (told.st_dev, told.st_ino) in {opened.identity for opened in self._files}:
                return
            if not stat.S_ISREG(told.st_mode):  # a pipe would be waited for
                return
            file = self._path.open("rb", buffering=0)
        except OSError:
            return
        if len(self._files) == _MOST_FILES:
            self._files.pop(0).file.close()
        for opened in self._files:
            opened.heard_us = now_us
        self._files.append(_Opened(file, 0, heard_us=now_us))

    def _of(self, opened: _Opened, now_us: int) -> list[str]:
        """Lines of one file. One that cannot be read any more (a disk that is gone) has none."""
        try:
            size = os.fstat(opened.file.fileno()).st_size
            if size < opened.at or (size > opened.at and not self._as_remembered(opened)):
                self.truncations += 1
                opened.at, opened.before, opened.skipping = 0, b"", False
                opened.rest.clear()
            data = os.pread(opened.file.fileno(), min(READ_BYTES, max(size - opened.at, 0)), opened.at)
        except OSError:
            return []
        if not data:
            return []
        opened.heard_us = now_us
        opened.at += len(data)
        opened.before = (opened.before + data)[-_MARK_BYTES:]
        self.behind = self.behind or opened.at < size
        return self._split(opened, data)

    def _split(self, opened: _Opened, data: bytes) -> list[str]:
        found = []
        *whole, last = data.split(b"\n")
        for part in whole:
            if opened.skipping:
                opened.skipping = False
            elif len(opened.rest) + len(part) > LINE_BYTES:
                self.long_lines += 1
            elif line := (opened.rest + part).decode(errors="replace").strip():
                found.append(line)
            opened.rest.clear()
        if not opened.skipping:
            opened.rest += last
            if len(opened.rest) > LINE_BYTES:
                self.long_lines += 1
                opened.skipping = True
                opened.rest.clear()
        return found

    def _remember(self, opened: _Opened) -> None:
        start = max(0, opened.at - _MARK_BYTES)
        opened.before = os.pread(opened.file.fileno(), opened.at - start, start)

    def _as_remembered(self, opened: _Opened) -> bool:
        length = len(opened.before)
        return os.pread(opened.file.fileno(), length, opened.at - length) == opened.before
