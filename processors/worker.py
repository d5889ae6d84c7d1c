"""The worker: the pipeline's shell. Records from Faust, flushes to the store, events out, offsets committed, in order.

One flush at a time: rows and batches first, then joined windows, then their events and the dead letters, and only
when all of that is acknowledged are the offsets released. A crash anywhere leads to the same work again, which
changes nothing that is visible.
"""

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import structlog

from processors.announcements import letter_headers, window_event
from processors.app import StreamApp
from processors.drain import is_drained
from processors.join import join_window
from processors.pipeline import Pipeline
from processors.records import ClosedWindow, Flush, Place, Record, WindowKey
from processors.windows import GRACE_US
from schemas.batches import Batch, BatchHeader, BatchKey
from schemas.codec import encode
from schemas.events import to_message
from schemas.joined import ClosedBy, JoinedWindow
from schemas.rows import RequestFacts, StackFacts, schema_of
from schemas.topics import Topics
from sinks.errors import StoreError
from sinks.store import Store

_log = structlog.get_logger()
SOURCE = "loadflame/process"


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker needs to know. `drain_run`: end when that run is over and all of it is stored."""

    bootstrap: str
    topics: Topics
    group: str
    window_us: int
    grace_us: int = GRACE_US
    drain_run: str | None = None
    flush_every_s: float = 0.4
    buffered_bytes: int = 64 << 20
    stuck_after_s: float = 60.0


@dataclass(slots=True)
class WorkerSummary:
    """What a worker did in its life."""

    records: int = 0
    batches: int = 0
    windows: int = 0
    late_windows: int = 0
    dead_letters: int = 0


class WorkerStuckError(Exception):
    """Records wait and nothing moved for a minute; whoever watches over the worker should start it again."""


async def run_worker(
    config: WorkerConfig, store: Store, *, stop: asyncio.Event, on_ready: Callable[[], None]
) -> WorkerSummary:
    """Work until `stop` is set, or the run to drain is done. `on_ready` is called once partitions are assigned.

    Raises StoreError when the store says what trying again cannot mend, WorkerStuckError when nothing moves.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="store") as thread:
        worker = _Worker(config, store, thread)
        return await worker.run(stop, on_ready)


class _Worker:
    def __init__(self, config: WorkerConfig, store: Store, thread: ThreadPoolExecutor) -> None:
        self._config = config
        self._store = store
        self._thread = thread
        self._pipeline = Pipeline(config.topics, config.window_us, config.grace_us)
        self._app = StreamApp(
            config.bootstrap,
            config.topics,
            config.group,
            on_record=self._on_record,
            on_revoked=self._pipeline.on_revoked,
        )
        self._room = asyncio.Event()
        self._room.set()
        self._moved_s = time.monotonic()
        self.summary = WorkerSummary()

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> WorkerSummary:
        await self._app.start()
        stopping = asyncio.create_task(stop.wait())
        crashed = asyncio.create_task(self._app.wait_crashed())
        try:
            await self._assigned(stopping, crashed)
            on_ready()
            while not stopping.done():
                await asyncio.wait({stopping, crashed}, timeout=self._config.flush_every_s)
                if crashed.done():
                    raise WorkerStuckError(f"the Kafka client gave up: {crashed.result()!r}")
                await self._step()
                if await self._is_done():
                    break
            await self._step()  # Ctrl-C: what was received is stored before it is committed
        finally:
            for task in (stopping, crashed):
                task.cancel()
            await self._app.stop()
        return self.summary

    async def _assigned(self, *watched: "asyncio.Task[object]") -> None:
        while not self._app.assigned() and not any(task.done() for task in watched):
            await asyncio.wait(watched, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)

    async def _on_record(self, record: Record) -> None:
        await self._room.wait()
        self._pipeline.on_record(record, time.monotonic())
        self.summary.records += 1
        self._moved_s = time.monotonic()
        if self._pipeline.unflushed_bytes > self._config.buffered_bytes:
            self._room.clear()

    async def _step(self) -> None:
        """Ticks, one flush, one commit."""
        for place in self._pipeline.ticks(time.monotonic()):
            await self._tick(place)
        flush = self._pipeline.take()
        if flush:
            await self._carry_out(flush)
            self._moved_s = time.monotonic()
        self._pipeline.on_flushed(flush)
        self._room.set()
        offsets = self._pipeline.committable()
        if offsets and await self._app.commit(offsets):
            self._pipeline.on_committed(offsets)
        if not self._pipeline.idle and time.monotonic() - self._moved_s > self._config.stuck_after_s:
            raise WorkerStuckError("records wait, and nothing moved for a minute")

    async def _tick(self, place: Place) -> None:
        kind = self._config.topics.kind(place.topic)
        assert kind in ("requests", "stacks")
        facts = RequestFacts() if kind == "requests" else StackFacts()
        header = BatchHeader(
            BatchKey(kind, "", 0, "tick", 0), rows=0, partitions=self._config.topics.partitions, tick=True
        )
        value = encode(pa.RecordBatch.from_pylist([], schema=schema_of[kind]), facts)
        await self._app.send(place.topic, place.partition, None, value, header.to_kafka())

    async def _carry_out(self, flush: Flush) -> None:
        windows = await self._stored(flush)
        topics = self._config.topics
        for window in windows:
            message = to_message(window_event(window), source=SOURCE, time_us=time.time_ns() // 1000)
            await self._app.send(topics.name("windows"), None, message.key, message.value, message.headers)
        for letter in flush.letters:
            _log.warning("dead letter", place=letter.record.place, offset=letter.record.offset, error=letter.error)
            place = letter.record.place
            partition = min(place.partition, topics.partitions - 1)
            headers = letter_headers(letter)
            await self._app.send(topics.name("dead-letters"), partition, None, letter.record.value, headers)
        self.summary.batches += len(flush.batches)
        self.summary.windows += len(flush.closed)
        self.summary.late_windows += len(flush.late)
        self.summary.dead_letters += len(flush.letters)

    async def _stored(self, flush: Flush) -> list[JoinedWindow]:
        """Write a flush, again and again while the store is away; gives the windows that are to be announced."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await loop.run_in_executor(self._thread, self._write, flush)
            except StoreError as error:
                if not error.retriable:
                    raise
                wait_s = max(error.retry_after_s, 0.2) * random.uniform(0.5, 1.5)  # noqa: S311  spreads retries
                _log.warning("the store is away; trying again", error=str(error), wait_s=round(wait_s, 2))
                await asyncio.sleep(wait_s)
                self._moved_s = time.monotonic()  # waiting for the store is not being stuck

    def _write(self, flush: Flush) -> list[JoinedWindow]:
        """In the store's thread: the truth first, then what is derived from it."""
        self._store.write_batches(flush.batches)
        self._store.write_dead_letters([letter.as_row() for letter in flush.letters])
        self._store.write_events([event for event, _ in flush.events], [time_us for _, time_us in flush.events])
        joined = [self._joined(window) for window in flush.closed]
        joined += [window for key in sorted(flush.late) if (window := self._again(key))]
        self._store.write_windows(joined)
        return joined

    def _joined(self, window: ClosedWindow) -> JoinedWindow:
        batches = [stored.batch for stored in window.batches]
        return self._join(window.key, batches, closed_by=window.closed_by)

    def _again(self, key: WindowKey) -> JoinedWindow | None:
        """A window that a late batch belongs to, from the store, where that batch is by now."""
        truth = self._store.read_window(*key)
        return self._join(key, [*truth.requests, *truth.stacks], closed_by="late")

    def _join(self, key: WindowKey, batches: list[Batch], *, closed_by: ClosedBy) -> JoinedWindow:
        sides: dict[str, list[Batch]] = {"requests": [], "stacks": []}
        for batch in batches:
            sides[batch.header.key.topic].append(batch)
        return join_window(*key, self._config.window_us, sides["requests"], sides["stacks"], closed_by=closed_by)

    async def _is_done(self) -> bool:
        run = self._config.drain_run
        if run is None or not self._pipeline.idle or self._pipeline.committable():
            return False
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, is_drained, self._store, run)
