"""Which user's service may tell at a socket, and where the agent of an observation hears what is told there."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from loadflame.settings import SettingsError


def owner_of(pid: int | None) -> int | None:
    """Of a socket for the process `pid`: root watches services of other users, and lets them tell. None: our own.

    Raises SettingsError when there is no such process.
    """
    if pid is None or os.geteuid():
        return None
    import psutil  # noqa: PLC0415  a load host has none

    try:
        return psutil.Process(pid).uids().effective or None
    except (psutil.Error, ValueError, OverflowError):
        raise SettingsError(f"--pid: there is no process {pid}; look its number up with `pgrep -f NAME`") from None


@contextlib.contextmanager
def heard_beside() -> Iterator[Path]:
    """A path for a socket, in a folder of its own that nobody else may look into; paths of sockets must be short."""
    with tempfile.TemporaryDirectory(prefix="loadflame-") as folder:
        yield Path(folder) / "told"
