"""One run under load: its topics, its consumer group, its seats, and the record of what was sent."""

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from processors.committed import Topic, below_commits
from processors.verify import Check, verify_run
from schemas.batches import BatchKey
from schemas.events import EventData
from schemas.topics import Topics
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from tests.faults.accounts import Seen, account, see
from tests.faults.fault import Outcome
from tests.support.brokers import Broker
from tests.support.kafka_proxy import KafkaProxy
from tests.support.traffic import Traffic, joined_events
from tests.support.workers import WorkerSettings

if TYPE_CHECKING:
    from tests.faults.seat import Seat

T = TypeVar("T")


class Lane:
    """A run whose producers send a window whenever one is over, from `begin` to `finish`."""

    def __init__(
        self, broker: Broker, topics: Topics, store_url: str, folder: Path, *, window_us: int, rows: int
    ) -> None:
        self.broker = broker
        self.topics = topics
        self.run_id = topics.prefix
        self.folder = folder
        self.settings = WorkerSettings(broker, topics, store_url, folder, self.run_id, window_us)
        self.traffic = Traffic(broker, topics, self.run_id, window_us, rows=rows)
        self.seats: list[Seat] = []
        self.more: dict[BatchKey, int] = {}
        """Batches that others have sent, with their rows."""
        self.dead: set[BatchKey] = set()
        """Batches that were sent and are to become dead letters."""
        self.broken: list[str] = []
        """Conditions that did not hold, in sentences."""
        self._store_url = store_url
        self._store: ClickHouseStore | None = None
        self._asking = asyncio.Lock()  # a client is for one thread at a time
        self._sending: asyncio.Task[None] | None = None
        self._sent = 0

    def broker_at(self, door: KafkaProxy) -> Broker:
        """Kafka, by way of a proxy."""
        return replace(self.broker, bootstrap=door.bootstrap)

    async def begin(self, broker: Broker | None = None) -> None:
        """Producers connect, to this broker if it is another one, and send from now on."""
        self.traffic.broker = broker or self.broker
        await self.traffic.begin()
        self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        window_us = self.traffic.window_us
        while True:
            due_us = (self.traffic.first + self._sent + 1) * window_us
            await asyncio.sleep(max(0.0, due_us / 1e6 - time.time()))
            self.traffic.publish(self._sent)
            self._sent += 1

    async def finish(self) -> None:
        """The producers end, and so do the workers, by themselves, when all of it is stored."""
        assert self._sending is not None
        self._sending.cancel()
        self.traffic.publish(self._sent, goodbye=True)
        self._sent += 1
        await self.traffic.flush()
        await self.traffic.end()
        for seat in self.seats:
            if seat.is_taken:
                await asyncio.to_thread(seat.worker.end)

    async def close(self) -> None:
        """Send and ask no more, whatever happened."""
        if self._store is not None:
            self._store.close()
        if self._sending is not None:
            self._sending.cancel()
            self.traffic.patience_s = 0.5
            await self.traffic.close()

    async def check_durable(self, when: str) -> None:
        """I4, at this moment: the committed offsets are read first, then the store."""
        below = await below_commits(self.where, self.run_id)
        visible = {tuple(key) for key in (await self.see()).batches}
        lost = [one for one in below if tuple(one.key) not in visible and one.key not in self.dead]
        if lost:
            self.broken.append(f"{when}, {len(lost)} of {len(below)} batches below the commits were not stored")

    def move_to(self, store_url: str) -> None:
        """Another store, before anything is stored."""
        self._store_url = store_url
        for seat in self.seats:
            seat.store.store_url = store_url

    def expect(self, holds: object, sentence: str) -> None:
        """A condition of the fault."""
        if not holds:
            self.broken.append(sentence)

    @property
    def where(self) -> Topic:
        """Where the run's messages lie."""
        return Topic(self.broker.bootstrap, self.topics, self.settings.group)

    async def with_store(self, question: Callable[[ClickHouseStore], T]) -> T:
        """Ask the store, by no proxy."""
        async with self._asking:
            if self._store is None:
                self._store = ClickHouseStore(await asyncio.to_thread(open_client, self._store_url))
            return await asyncio.to_thread(question, self._store)

    async def see(self) -> Seen:
        """What can be seen of the run now."""
        return await self.with_store(lambda store: see(store, self.run_id))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a question about the run, which it knows as `{run:String}`."""
        return await self.with_store(lambda store: list(store.client.query(sql, {"run": self.run_id}).result_rows))

    async def events(self) -> list[EventData]:
        """The run's events, from the store."""
        return await self.with_store(lambda store: store.read_events(self.run_id))

    async def checks(self) -> list[Check]:
        """What `verify` says of the run."""
        return await self.with_store(lambda store: verify_run(store, self.run_id, self.where))

    async def outcome(self, times: int, recoveries_s: list[float] | None = None, note: str = "") -> Outcome:
        """Hold everything that can be seen against what was sent."""
        seen = await self.see()
        seen.announced = await joined_events(self.broker, self.topics, self.run_id)
        sent = {key: rows for key, rows in (self.traffic.batches | self.more).items() if key not in self.dead}
        found = account(sent, seen)
        self.broken += found.broken[:3]
        self.broken += [f"{one.name}: {one.sentence}" for one in await self.checks() if one.ok is not True]
        return self.closed(Outcome(times, found.lost, found.repeated, recoveries_s or [], note=note))

    def closed(self, outcome: Outcome) -> Outcome:
        """The outcome with what was broken meanwhile; the lane's folder is kept when it is not well."""
        outcome.broken += self.broken
        if outcome.ok:
            shutil.rmtree(self.folder)
        return outcome
