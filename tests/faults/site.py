"""Where faults are brought about: one Kafka, one store, and seats for workers with a proxy on either side."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

from loadflame.topics import ensure_topics
from schemas.topics import Topics
from sinks.clickhouse import open_store
from tests.faults.lane import Lane
from tests.faults.seat import Seat
from tests.support.brokers import Broker
from tests.support.clickhouse_http import StoreProcess
from tests.support.kafka_proxy import KafkaProxy
from tests.support.kafka_server import KafkaServer

DOORS = 16
"""More than can be wanted at once (`SIDE_BY_SIDE` lanes of three seats), so that no two lanes wait for each other."""
PARTITIONS = 4


class Site:
    """A context manager. Lanes may be used side by side; who stops Kafka or the store must be alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kafka = KafkaServer(_made(folder / "kafka"), DOORS)
        self.store = StoreProcess(_made(folder / "store"))
        self._doors: asyncio.Queue[KafkaProxy] = asyncio.Queue()
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open.enter_context, self.kafka)
        await asyncio.to_thread(self._open.enter_context, self.store)
        await asyncio.to_thread(lambda: open_store(self.store.url()).close())  # so that no worker's start pays for it
        for door in self.kafka.doors:
            self._doors.put_nowait(await self._open.enter_async_context(KafkaProxy(door)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._open.aclose()

    @contextlib.asynccontextmanager
    async def door(self) -> AsyncIterator[KafkaProxy]:
        """A proxy in front of Kafka for as long as it is needed."""
        proxy = await self._doors.get()
        try:
            yield proxy
        finally:
            proxy.be_transparent()
            self._doors.put_nowait(proxy)

    @contextlib.asynccontextmanager
    async def lane(
        self, seats: int = 1, *, window_us: int = 400_000, rows: int = 40, partitions: int = PARTITIONS
    ) -> AsyncIterator[Lane]:
        """A run with topics and a consumer group of its own, and seats for its workers.

        Its folder is kept unless the fault says at the end that all went well (`Lane.outcome`).
        """
        run_id = f"f{secrets.token_hex(4)}"
        topics = Topics(run_id, partitions)
        await ensure_topics(self.kafka.bootstrap, topics)
        broker = Broker("kafka", self.kafka.bootstrap, self.kafka.pid)
        async with contextlib.AsyncExitStack() as stack:
            lane = Lane(broker, topics, self.store.url(), _made(self.folder / run_id), window_us=window_us, rows=rows)
            stack.push_async_callback(lane.close)
            for _ in range(seats):
                door = await stack.enter_async_context(self.door())
                lane.seats.append(await stack.enter_async_context(Seat(lane.settings, door, self.store.url())))
            yield lane


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
