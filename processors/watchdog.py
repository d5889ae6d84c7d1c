"""Ends a worker in which nothing moves although records wait, so that whoever watches over it starts it again.

Known to happen in client libraries (faust-streaming issues 175 and 523). An outage of Kafka is not that: while nobody
answers there, nothing can move, and waiting is right. Whoever asks how the worker is hears of it in half that time.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from schemas.errors import UserError
from schemas.watching import Health

_CONNECT_S = 2.0
_ASK_S = 3.0
"""How long whoever asks for the health waits for Kafka's client, which takes up to a second when all is well."""
_CLOSES_S = 0.2
"""Who stands before a Kafka that is away (a proxy, a load balancer) takes a connection and closes it at once."""
_FRESH_SHARE, _LOOK_SHARE, _ALARM_SHARE = 1 / 12, 1 / 6, 1 / 2
"""Of the time after which a worker is ended: until then it counts as at work, is looked after, counts as stuck."""


class WorkerStuckError(UserError):
    """Nothing moves any more, and starting the worker again may help: it goes on where it committed."""


class Watchdog:
    """Told of each movement by `moved`; times are of `time.monotonic`."""

    def __init__(self, bootstrap: str, stuck_after_s: float, now_s: float) -> None:
        self._bootstrap = bootstrap
        self._stuck_after_s = stuck_after_s
        self._moved_s = self._well_s = now_s
        self._waiting_since_s: float | None = None

    def moved(self, now_s: float) -> None:
        """Something was received, stored or refused."""
        self._moved_s = self._well_s = now_s
        self._waiting_since_s = None

    async def health(self, is_waiting: Callable[[], Awaitable[bool]], now_s: float) -> Health:
        """How the worker is. Records that wait make it stuck only when they were seen waiting half a time before."""
        if now_s - self._moved_s < self._stuck_after_s * _FRESH_SHARE:
            return Health("working", "records are being received or stored")
        if not await self._answers():
            self._waiting_since_s = None
            return Health("degraded", f"nobody answers at the broker {self._bootstrap}")
        if not await self._is_so(is_waiting, _ASK_S):
            self._waiting_since_s = None
            return Health("idle", "nothing waits to be received or stored")
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        waited_s = now_s - self._waiting_since_s
        sentence = f"records wait, and nothing was seen to move for {waited_s:.0f} s"
        return Health("stuck" if waited_s >= self._stuck_after_s * _ALARM_SHARE else "working", sentence)

    async def watch(self, is_waiting: Callable[[], Awaitable[bool]]) -> None:
        """Look on for ever. Raises WorkerStuckError when something waits and nothing has moved for too long."""
        while True:
            await asyncio.sleep(self._stuck_after_s / 10)
            # Long before the end, so that after an outage it has all of the time again.
            if time.monotonic() - self._well_s < self._stuck_after_s * _LOOK_SHARE:
                continue
            if not await self._answers() or not await self._is_so(is_waiting, self._stuck_after_s / 2):
                self._well_s = time.monotonic()
            elif time.monotonic() - self._well_s >= self._stuck_after_s:
                raise WorkerStuckError(
                    f"records wait, and nothing has moved for {self._stuck_after_s:.0f} s; start the worker again"
                )

    async def _is_so(self, is_waiting: Callable[[], Awaitable[bool]], patience_s: float) -> bool:
        """Whether something waits; of a client that cannot even say, it does."""
        try:
            async with asyncio.timeout(patience_s):
                return await is_waiting()
        except Exception:  # noqa: BLE001  time is up, or one of the client's many ways to say that it does not know
            return True

    async def _answers(self) -> bool:
        """Whether somebody is there at one of the bootstrap addresses."""
        for address in self._bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                async with asyncio.timeout(_CONNECT_S):
                    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                with contextlib.closing(writer):
                    return await _stays_open(reader)
        return False


async def _stays_open(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(_CLOSES_S):
            return bool(await reader.read(1))
    except TimeoutError:
        return True
