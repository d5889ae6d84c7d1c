"""The Unix datagram socket at which a service's own middleware tells, and who may: one user of this host, and root.

Only that user, and root, may write to it (mode 0600), it stands in a folder into which nobody but this user and root
may write, and what is written is read within limits (`producers.context.notes`).
"""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from producers.context.notes import DATAGRAM_BYTES
from schemas.errors import UserError

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class SocketError(UserError):
    """The socket cannot be had."""


class Listener:
    """Takes datagrams, and never waits. Several processes of a service tell at one socket."""

    def __init__(self, path: Path, *, owner: int | None = None) -> None:
        """Listen. Raises SocketError.

        `owner` is the user whose service may tell: by default this one, and another one only where root listens. Then
        the folder is root's, and so is all above it: where that user could put a link, root would give away its end.
        """
        if owner is not None:
            path = path.parent.resolve() / path.name
        self.path = path
        self._socket = _listening(path, owner)

    def fileno(self) -> int:
        """Of the socket, to be woken by."""
        return self._socket.fileno()

    def datagrams(self, most: int) -> Iterator[bytes]:
        """What is there, at most so many. One that is too long comes as one byte more than it may have."""
        for _ in range(most):
            try:
                yield self._socket.recv(DATAGRAM_BYTES + 1)
            except OSError:  # there is no more
                return

    def close(self) -> None:
        """Listen no more; the path is free again."""
        self._socket.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


def _listening(path: Path, owner: int | None) -> socket.socket:
    """A socket at a path that nobody listens at; one that was left behind is taken away. Raises SocketError."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.setblocking(False)
    try:
        _make_room(path, owner)
        _bind(found, path)
        if owner is not None:
            os.chown(path, owner, -1, follow_symlinks=False)
    except SocketError:
        found.close()
        raise
    except OSError as error:
        found.close()
        why = error.strerror or str(error)
        raise SocketError(
            f"nobody can listen at {path} ({why}); name another --socket, of at most 100 letters"
        ) from None
    return found


def _bind(listening: socket.socket, path: Path) -> None:
    """From the first moment on only its owner may write to it."""
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)


def _make_room(path: Path, owner: int | None) -> None:
    path.parent.mkdir(mode=0o700 if owner is None else 0o711, parents=True, exist_ok=True)
    folder = path.parent.stat()
    if folder.st_uid not in (0, os.geteuid()) or folder.st_mode & _OTHERS_MAY_WRITE:
        raise SocketError(f"others may write into {path.parent}; name a --socket in a folder of your own")
    if owner is not None and (movable := _movable(path.parent)):
        raise SocketError(f"others may rename what is in {movable}; name a --socket in a folder of root's, as in /run")
    if not path.exists():
        return
    if not path.is_socket():
        raise SocketError(f"{path} is there already and is no socket; name another --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise SocketError(f"somebody listens at {path} already; end that first, or name another --socket")


def _movable(folder: Path) -> Path | None:
    """A folder above, in which somebody but root may put another in the place of what leads to this one."""
    for above in folder.parents:
        told = above.stat()
        if told.st_uid or (told.st_mode & _OTHERS_MAY_WRITE and not told.st_mode & stat.S_ISVTX):
            return above
    return None
