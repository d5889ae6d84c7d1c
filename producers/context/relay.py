"""Datagrams passed on to somebody else of this host who wants them too: what finds no room waits a little.

One process listens to a service, and two want to know: who counts its requests, and who samples its stacks.
"""

import contextlib
import socket
from collections import deque
from pathlib import Path

MOST_WAITING = 500
"""Datagrams that wait for room; of more, the oldest is given up."""


class Relay:
    """To a socket at which somebody listens, or will. Called from one thread; never waits and never raises."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def pass_on(self, data: bytes) -> None:
        """Pass on a datagram, or have it wait behind those that do."""
        self._waiting.append(data)
        self.try_again()

    def try_again(self) -> None:
        """Pass on what waits, as far as there is room."""
        with contextlib.suppress(OSError):  # full, or nobody is there yet, or any more
            while self._waiting:
                self._socket.sendto(self._waiting[0], self._path)
                self._waiting.popleft()

    def close(self) -> None:
        """Give up what waits."""
        self._socket.close()
