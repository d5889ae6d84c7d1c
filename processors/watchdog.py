"""Ends a worker in which nothing moves although records wait, so that whoever watches over it starts it again.

Known to happen in client libraries (faust-streaming issues 175 and 523). An outage of Kafka is not that: while nobody
answers there, nothing can move, and waiting is right.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from schemas.errors import UserError

_CONNECT_S = 2.0


class WorkerStuckError(UserError):
    """Nothing moves any more, and starting the worker again may help: it goes on where it committed."""


class Watchdog:
    """Told of each movement by `moved`; times are of `time.monotonic`."""

    def __init__(self, bootstrap: str, stuck_after_s: float, now_s: float) -> None:
        self._bootstrap = bootstrap
        self._stuck_after_s = stuck_after_s
        self._moved_s = now_s

    def moved(self, now_s: float) -> None:
        """Something was received, stored or refused."""
        self._moved_s = now_s

    async def watch(self, is_waiting: Callable[[], Awaitable[bool]]) -> None:
        """Look on for ever. Raises WorkerStuckError when something waits and nothing has moved for too long."""
        while True:
            await asyncio.sleep(self._stuck_after_s / 10)
            if time.monotonic() - self._moved_s < self._stuck_after_s:
                continue
            if not await self._answers() or not await self._is_so(is_waiting):
                self.moved(time.monotonic())
            elif time.monotonic() - self._moved_s >= self._stuck_after_s:
                raise WorkerStuckError(
                    f"records wait, and nothing has moved for {self._stuck_after_s:.0f} s; start the worker again"
                )

    async def _is_so(self, is_waiting: Callable[[], Awaitable[bool]]) -> bool:
        """Whether something waits; a client that cannot even say is stuck."""
        try:
            async with asyncio.timeout(self._stuck_after_s / 2):
                return await is_waiting()
        except TimeoutError:
            return True

    async def _answers(self) -> bool:
        """Whether somebody is there at one of the bootstrap addresses."""
        for address in self._bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                async with asyncio.timeout(_CONNECT_S):
                    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                    writer.close()
                    return True
        return False
