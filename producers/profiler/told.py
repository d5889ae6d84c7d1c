"""What a service's middleware tells, taken in as it comes, for samples to be joined with it (see `context`)."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import structlog

from producers.clock import ahead
from producers.context.listening import Listener
from producers.context.notes import NoteError, told_of
from producers.profiler.context import Served

_log = structlog.get_logger()
TOLD_US = 700_000
"""After a window's end: the middleware sends twice a second, and somebody may pass it on."""
_AT_ONCE = 500


class Told:
    """A socket at which a middleware tells, read as datagrams come; `now_us` is the clock of the samples."""

    def __init__(self, path: Path, now_us: Callable[[], int], run_id: str, *, owner: int | None = None) -> None:
        """Listen, for a run; see Listener. Raises SocketError."""
        self.served = Served(run_id)
        self.unknown = 0
        self._now_us = now_us
        self._listener = Listener(path, owner=owner)

    @contextlib.contextmanager
    def listening(self) -> Iterator[Self]:
        """Take in what comes while in it, on the event loop that runs; then listen no more."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._listener.fileno(), self.take_in)
        try:
            yield self
        finally:
            loop.remove_reader(self._listener.fileno())
            self._listener.close()
            if self.unknown or self.served.dropped:
                _log.warning("not all was told", not_understood=self.unknown, without_room=self.served.dropped)

    def take_in(self) -> None:
        """What has come. Does not wait."""
        # The service's clock is this host's; samples have Kafka's time.
        ahead_us = ahead(self._now_us, lambda: time.time_ns() // 1000)
        for data in self._listener.datagrams(_AT_ONCE):
            try:
                told = told_of(data)
            except NoteError:
                self.unknown += 1
                continue
            self.served.tell(told.pid, told.ran, ahead_us)
