"""What waits for Kafka on disk: a bounded first-in first-out queue of messages, in a folder of its own.

    PLACE/NAME/about.json       which Kafka it is meant for
    PLACE/NAME/lock             held (flock) by the process that writes or sends it
    PLACE/NAME/00000001.spool   segments: appended to, read from the front, deleted once all of one is acknowledged

What was appended outlives the process, however it ends. A power cut may take the newest segment, which is synced only
when it is full or the spool is closed: what is torn then is left out. A segment of which some was acknowledged is sent
again from its front by whoever comes next: batches have an identity, so that changes nothing.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import threading
from collections import deque
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Self

from producers.publisher.messages import Message
from producers.publisher.spool_records import DamagedRecordError, read_record, to_record

SEGMENT_BYTES = 4 << 20
SUFFIX = ".spool"
_ABOUT, _LOCK = "about.json", "lock"
_FORMAT = 1


class SpoolHeldError(Exception):
    """Another process is writing or sending this spool."""


@dataclass(frozen=True, slots=True)
class SpoolPlace:
    """Where spools are, and how many bytes all of them may take together."""

    folder: Path
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is in a spool. `rows` are those of its batches; messages that are no batches are events."""

    messages: int = 0
    batches: int = 0
    rows: int = 0

    @classmethod
    def of(cls, message: Message) -> "Waiting":
        """One message."""
        return cls(1, int(message.is_batch), message.rows if message.is_batch else 0)

    def plus(self, other: "Waiting") -> "Waiting":
        """With those."""
        return Waiting(self.messages + other.messages, self.batches + other.batches, self.rows + other.rows)

    def less(self, other: "Waiting") -> "Waiting":
        """Without those."""
        return Waiting(self.messages - other.messages, self.batches - other.batches, self.rows - other.rows)


@dataclass(slots=True)
class _Segment:
    path: Path
    bytes: int = 0
    unread: Waiting | None = None
    """None in a spool that was left behind: to count it is to read it."""


class Spool:
    """One process's spool. Its methods block on the disk and may be called from any thread, `waiting` without waiting.

    `peek` gives the next messages, and the same ones again until `drop` says that they are delivered.
    """

    def __init__(self, place: SpoolPlace, name: str, *, broker: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        """A new spool; nothing of it is on disk before the first message. `name` is nobody else's."""
        self.folder = place.folder / name
        self.broker = broker
        self.waiting = Waiting()
        self.damaged = Waiting()
        """What was appended and could not be read back."""
        self._place = place
        self._segment_bytes = segment_bytes
        self._access = threading.Lock()
        self._lock: int | None = None
        self._is_closed = False
        self._segments: deque[_Segment] = deque()
        self._number = 0
        self._writer: FileIO | None = None
        self._reader: BufferedReader | None = None
        self._given: list[Message] = []
        self._others_bytes = 0

    @classmethod
    def left_behind(cls, folder: Path) -> Self:
        """The spool of a process that is gone, to be sent from; its `waiting` is not known.

        Raises SpoolHeldError when somebody has it, FileNotFoundError when it has been sent meanwhile, OSError.
        """
        lock = _locked(folder / _LOCK)
        try:
            spool = cls(SpoolPlace(folder.parent, 0), folder.name, broker=broker_of(folder))
            spool._segments.extend(_Segment(path, path.stat().st_size) for path in segments_of(folder))
        except BaseException:
            os.close(lock)
            raise
        spool._lock = lock
        return spool

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return sum(segment.bytes for segment in tuple(self._segments))

    def append(self, message: Message) -> None:
        """Put a message at the end. Raises OSError when the disk, or the place, does not take it: then it is not in."""
        record = to_record(message)
        with self._access:
            if self._is_closed:
                raise OSError(errno.EBADF, "the spool is closed")
            if self._lock is None:
                self._begin()
            if self._writer is None:
                self._others_bytes = _bytes_under(self._place.folder) - self.bytes
            if self._others_bytes + self.bytes + len(record) > self._place.limit_bytes:
                raise OSError(errno.EDQUOT, "the spool has reached its limit", str(self._place.folder))
            segment, writer = self._open_segment()
            try:
                _write_all(writer, record)
            except OSError:
                self._take_back(segment, writer)
                raise
            segment.bytes += len(record)
            segment.unread = (segment.unread or Waiting()).plus(Waiting.of(message))
            self.waiting = self.waiting.plus(Waiting.of(message))
            if segment.bytes >= self._segment_bytes:
                self._end_segment()

    def peek(self, most_bytes: int, most: int) -> list[Message]:
        """The next messages: at least one if any is there, at most so many and bytes of values. Raises OSError."""
        with self._access:
            while not self._given and self._segments:
                segment = self._segments[0]
                if self._reader is None:
                    self._reader = segment.path.open("rb")
                size = 0
                while size < most_bytes and len(self._given) < most and (message := self._next(segment)):
                    self._given.append(message)
                    size += len(message.value)
                if not self._given:
                    self._delete(segment)
            return list(self._given)

    def drop(self) -> None:
        """What `peek` gave is delivered."""
        with self._access:
            for message in self._given:
                self.waiting = self.waiting.less(Waiting.of(message))
            self._given = []
            if self._segments and self._segments[0].unread == Waiting():
                self._delete(self._segments[0])

    def close(self) -> None:
        """Make durable what waits, or remove the folder when nothing does, and let go of it. Raises OSError."""
        with self._access:
            self._is_closed = True
            if self._lock is None:
                return
            try:
                self._end_segment()
                self._end_reading()
                if not self._segments:
                    shutil.rmtree(self.folder, ignore_errors=True)
            finally:
                os.close(self._lock)
                self._lock = None

    def _begin(self) -> None:
        """Make the folder under another name first: found without its lock held, it would be taken for a left one."""
        self._place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        raw = self._place.folder / f".{self.folder.name}"
        raw.mkdir(mode=0o700, exist_ok=True)
        lock = _locked(raw / _LOCK, os.O_CREAT)
        try:
            (raw / _ABOUT).write_text(json.dumps({"format": _FORMAT, "broker": self.broker}))
            raw.rename(self.folder)
        except BaseException:
            os.close(lock)
            shutil.rmtree(raw, ignore_errors=True)
            raise
        self._lock = lock

    def _open_segment(self) -> tuple[_Segment, FileIO]:
        if self._writer is None:
            path = self.folder / f"{self._number + 1:08d}{SUFFIX}"
            # Unbuffered: what cannot be written must be known at once, and taken back.
            self._writer = FileIO(path, "xb", opener=_private)
            self._number += 1
            self._segments.append(_Segment(path))
        return self._segments[-1], self._writer

    def _take_back(self, segment: _Segment, writer: FileIO) -> None:
        """Cut off what was written of a record; where not even that is possible, go on in another segment."""
        try:
            writer.truncate(segment.bytes)
            writer.seek(segment.bytes)
        except OSError:
            self._writer = None
            writer.close()
        if not segment.bytes:
            self._segments.pop()
            self._writer = None
            writer.close()
            segment.path.unlink(missing_ok=True)

    def _end_segment(self, *, sync: bool = True) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with writer:
            if sync:
                with contextlib.suppress(OSError):  # it is written; what a failing disk loses shows when it is read
                    os.fsync(writer.fileno())

    def _end_reading(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _next(self, segment: _Segment) -> Message | None:
        """The next message of a segment; None when there is none, or none that can be read."""
        assert self._reader is not None
        if segment.unread == Waiting():
            return None
        try:
            message = read_record(self._reader)
        except DamagedRecordError:
            message = None
        if segment.unread is None:
            segment.unread = None if message else Waiting()
            return message
        taken = segment.unread if message is None else Waiting.of(message)
        segment.unread = segment.unread.less(taken)
        if message is None:
            self.damaged = self.damaged.plus(taken)
            self.waiting = self.waiting.less(taken)
        return message

    def _delete(self, segment: _Segment) -> None:
        """Let a segment go of which nothing is left to read."""
        if len(self._segments) == 1:
            self._end_segment(sync=False)
        self._end_reading()
        self._segments.popleft()
        with contextlib.suppress(OSError):  # then it is sent again some day, which changes nothing
            segment.path.unlink()


def segments_of(folder: Path) -> list[Path]:
    """The segments of a spool, the oldest first. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)


def broker_of(folder: Path) -> str:
    """Which Kafka a spool is meant for, as its process named it. Raises OSError, ValueError for one not of ours."""
    about = json.loads((folder / _ABOUT).read_text())
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise ValueError(f"{folder} is not a spool of this version")
    return str(about.get("broker"))


def begun_us(folder: Path) -> int:
    """When a spool was made, Unix microseconds. Raises OSError."""
    return (folder / _ABOUT).stat().st_mtime_ns // 1000


def is_held(folder: Path) -> bool:
    """Whether a process is writing or sending a spool. Raises OSError."""
    try:
        os.close(_locked(folder / _LOCK))
    except SpoolHeldError:
        return True
    return False


def _locked(path: Path, flags: int = 0) -> int:
    """A file that nobody else has locked; the lock goes with the process. Raises SpoolHeldError, OSError."""
    lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            raise SpoolHeldError(f"{path.parent} is held by another process") from error
        raise
    return lock


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _bytes_under(folder: Path) -> int:
    """What all spools of a place take."""
    total = 0
    for path in folder.glob(f"*/*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # it went meanwhile
            total += path.stat().st_size
    return total
