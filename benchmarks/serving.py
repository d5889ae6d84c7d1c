"""A service in a process of its own, for as long as it is measured."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence

from loadflame.broker import free_ports

_START_S = 60.0


def free_port() -> int:
    """A loopback port that nobody listens on, and that nobody is given meanwhile."""
    (port,) = free_ports(1)
    return port


@contextlib.contextmanager
def serving(command: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command, wait until it listens on a loopback port, and end it at last."""
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + _START_S
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
