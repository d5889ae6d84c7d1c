"""A worker as it is seen from outside: its figures and its health, read while it works and without disturbing it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from processors.figures import WorkerFigures, WorkerSummary
from processors.pipeline import Pipeline
from processors.records import Place
from processors.watchdog import Watchdog
from schemas.watching import Health

_ASK_S, _GIVE_UP_S = 2.0, 30.0


class WatchedWorker:
    """Every method is called on the worker's own loop. `lags` asks Kafka how many records wait, by partition."""

    def __init__(
        self,
        summary: WorkerSummary,
        pipeline: Pipeline,
        watchdog: Watchdog,
        lags: Callable[[], Awaitable[Mapping[Place, int]]],
    ) -> None:
        self.store_trouble = ""
        """What the store last said, for as long as it is away."""
        self._summary = summary
        self._pipeline = pipeline
        self._watchdog = watchdog
        self._lags = lags
        self._asking: asyncio.Task[Mapping[Place, int]] | None = None

    async def figures(self) -> WorkerFigures:
        """Takes as long as Kafka's client needs to say where the partitions end, two seconds at most."""
        lags = await self._known_lags() or {}
        now_us = time.time_ns() // 1000
        pipeline = self._pipeline
        return WorkerFigures(
            self._summary,
            open_windows=pipeline.open_windows,
            open_bytes=pipeline.open_bytes,
            unflushed_bytes=pipeline.unflushed_bytes,
            lag_records=lags,
            watermark_delay_s={
                partition: max(0, now_us - watermark_us) / 1e6
                for partition, watermark_us in pipeline.watermarks_us().items()
            },
        )

    async def health(self) -> Health:
        """See `Watchdog.health`; a store that is away is told first: while it is, nothing can move."""
        if self.store_trouble:
            return Health("degraded", self.store_trouble)
        return await self._watchdog.health(self._is_waiting, time.monotonic())

    def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()

    async def _is_waiting(self) -> bool:
        """Whether there is something to do; a client that cannot say is taken for one in which something waits."""
        if not self._pipeline.idle:
            return True
        lags = await self._known_lags()
        return lags is None or any(lags.values())

    async def _known_lags(self) -> Mapping[Place, int] | None:
        """None when Kafka's client does not say.

        One question at a time: while Kafka is away each would stay in the client, in the way of the commits.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # perhaps nobody waits
        try:
            async with asyncio.timeout(_ASK_S):
                return await asyncio.shield(self._asking)
        except Exception:  # noqa: BLE001  the client has many ways to say that it does not know just now
            return None

    async def _ask(self) -> Mapping[Place, int]:
        async with asyncio.timeout(_GIVE_UP_S):
            return await self._lags()
