"""The worker: the pipeline's shell. Records from Faust, flushes to the store, events out, offsets committed, in order.

Of a flush rows and batches come first, then joined windows, then their events and the dead letters, and only when all
of that is acknowledged are its offsets released. One flush at a time is stored; while one is announced the next may be.
A crash anywhere leads to the same work again, which changes nothing that is visible.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

import structlog

from processors.announcements import letter_headers, letter_value, window_event
from processors.app import LONE_SESSION_TIMEOUT_S, SESSION_TIMEOUT_S, StreamApp
from processors.desk import SOURCE, Desk, Finder, WorkerDesk
from processors.drain import Drain
from processors.figures import WorkerSummary
from processors.flushing import FlushJoin, write_flush
from processors.minute_maker import MinuteMaker
from processors.pairs import Pairs
from processors.pipeline import Pipeline
from processors.records import Flush, Place, Record
from processors.upkeep import give_back, sweep
from processors.watchdog import Watchdog, WorkerStuckError
from processors.watched import WatchedWorker
from processors.windows import GRACE_US
from schemas.events import to_message
from schemas.joined import JoinedWindow
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.ticks import tick
from schemas.topics import BULK, Topics
from sinks.errors import StoreError
from sinks.store import Store

T = TypeVar("T")
Asked = ParamSpec("Asked")
_log = structlog.get_logger()
STOP_S = 10.0
"""How long the last flush may take when the worker is asked to stop; what it cannot store then is read again."""
_TICK_S = 0.05
_EVENTS_AT_ONCE = 64
"""After an outage a flush joins hundreds of windows: their events need not wait for each other's acknowledgement."""
_QUIET_S = 0.2
_GATHER_S = 0.25
"""Behind a backlog windows close without a pause, and a flush costs as much as a hundred thousand rows, be it large or
small. So between two of them there is time to gather, unless half of what may wait is there already.
"""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker needs to know. `drain_run`: end when that run is over and all of it is stored.

    `is_lone`: the broker is the embedded one, and no other worker reads from it. `buffered_bytes` may wait to be
    stored, and half of them are a flush: fewer and larger ones cost the store less.
    """

    bootstrap: str
    topics: Topics
    group: str
    window_us: int
    security: KafkaSecurity = PLAINTEXT
    grace_us: int = GRACE_US
    drain_run: str | None = None
    is_lone: bool = False
    flush_every_s: float = 0.4
    buffered_bytes: int = 32 << 20
    stuck_after_s: float = 60.0
    sweep_every_s: float = 3600.0
    give_back_every_s: float = 10.0


async def run_worker(
    config: WorkerConfig,
    store: Store,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None],
    on_start: Callable[[WatchedWorker], None] = lambda _: None,
    finder: Callable[[Desk], Finder] | None = None,
) -> WorkerSummary:
    """Work until `stop` is set, or the run to drain is done. `on_ready` is called once partitions are assigned.

    `on_start` gets what can be seen of the worker, to be asked on this loop. `finder` makes findings beside it.

    Raises StoreError when the store says what trying again cannot mend, WorkerStuckError when nothing moves.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="store") as thread:
        worker = _Worker(config, store, thread, finder)
        return await worker.run(stop, on_ready, on_start)


class _Worker:
    def __init__(
        self,
        config: WorkerConfig,
        store: Store,
        thread: ThreadPoolExecutor,
        finder: Callable[[Desk], Finder] | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._thread = thread
        self._pipeline = Pipeline(config.topics, config.window_us, config.grace_us)
        self._app = StreamApp(
            config.bootstrap,
            config.topics,
            config.group,
            security=config.security,
            session_timeout_s=LONE_SESSION_TIMEOUT_S if config.is_lone else SESSION_TIMEOUT_S,
            on_record=self._on_record,
            on_revoked=self._on_revoked,
        )
        requests, stacks = map(config.topics.name, BULK)
        self._pairs = Pairs({requests: stacks, stacks: requests}, self._app.known_end)
        self._watchdog = Watchdog(config.bootstrap, config.stuck_after_s, time.monotonic())
        self._room = asyncio.Event()
        self._room.set()
        self._work = asyncio.Event()
        self._closed = asyncio.Event()
        self._much = asyncio.Event()
        self._told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._told.set_result(None)
        """The announcement of the last flush."""
        self._drain = Drain(store, config.drain_run, self._ask, self._app.ends) if config.drain_run else None
        self._minutes = MinuteMaker(store, self._ask, config.drain_run)
        self._desk = WorkerDesk(config.topics, self._app.send, store, self._ask, self._app.places)
        self._finder = finder(self._desk) if finder else None
        self.summary = WorkerSummary()
        self._watched = WatchedWorker(self.summary, self._pipeline, self._watchdog, self._lags)

    async def run(
        self, stop: asyncio.Event, on_ready: Callable[[], None], on_start: Callable[[WatchedWorker], None]
    ) -> WorkerSummary:
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._app.start()
            on_start(self._watched)
            parts = [
                self._flush_until(stop, on_ready),
                self._tick(),
                self._watch(),
                sweep(self._store, self._ask, self._config.sweep_every_s),
                give_back(self._ask, self._config.give_back_every_s),
                self._minutes.work(),
                self._fail(),
                _late(stop),
            ]
            if self._finder:
                parts.append(self._finder.work())
            tasks = [asyncio.create_task(part) for part in parts]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            self._watched.close()
            await self._app.stop()
        return self.summary

    async def _on_record(self, record: Record) -> None:
        rebalances = self.summary.rebalances
        await self._room.wait()
        begins = self._pipeline.next_offset(record.place) is None
        start = await self._app.start_of(record.place) if begins else None
        if rebalances != self.summary.rebalances or (begins and start is None):
            return  # its partition went to somebody else while it waited
        if start is not None:
            self._pipeline.begin(record.place, start)
        self._pairs.add(record, time.monotonic())
        await self._work_off()

    async def _work_off(self) -> None:
        """Take in the records whose turn it is. Several tasks may be at it: each record is taken out and in at once."""
        while True:
            await self._room.wait()
            record = self._pairs.next(time.monotonic())
            if record is None:
                return
            again_from = self._pipeline.on_record(record, time.monotonic())
            if again_from is not None:
                _log.warning("records were skipped; reading them again", place=record.place, offset=again_from)
                self._pairs.drop([record.place])
                await self._app.read_again(record.place, again_from)
                continue
            self.summary.records += 1
            self._watchdog.moved(time.monotonic())
            if self._pipeline.has_work:
                self._work.set()
            if self._pipeline.has_closed:
                self._closed.set()
            if self._pipeline.waiting_bytes > self._config.buffered_bytes // 2:
                self._much.set()
            if self._pipeline.unflushed_bytes > self._config.buffered_bytes:
                self._room.clear()

    def _on_revoked(self, places: Iterable[Place]) -> None:
        gone = list(places)
        self.summary.rebalances += bool(gone)  # at its first assignment a worker has none to lose
        self._pairs.drop(gone)
        self._pipeline.on_revoked(gone)
        if self._drain:
            self._drain.on_revoked()

    async def _flush_until(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Flush until stopped or drained: soon when a window has closed, else at most every `flush_every_s`."""
        stopping = asyncio.create_task(stop.wait())
        try:
            await _first(stopping, self._app.assigned)
            if self._app.assigned.is_set():
                on_ready()
            while True:
                last = stop.is_set()  # what was received by now is stored before it is committed
                await self._flush()
                # Behind a backlog nothing can be over, and to ask the store takes a while.
                behind = self._much.is_set()
                drained = self._drain and not behind and await self._drain.is_done(self._reached, busy=self._busy())
                if last or drained:
                    await self._told
                    if drained and self._finder and self._config.drain_run and self._desk.is_ours:
                        await self._finder.finish(self._config.drain_run)
                    await self._minutes.finish()
                    return
                await _first(stopping, self._much, timeout_s=_GATHER_S)
                await _first(stopping, self._much, self._closed, timeout_s=self._config.flush_every_s - _GATHER_S)
                # Offsets of ticks, or a commit that was refused in a rebalance, are no work and still want committing.
                await _first(stopping, self._work, timeout_s=_QUIET_S)
        finally:
            stopping.cancel()
            self._told.cancel()

    async def _flush(self) -> None:
        """Store what waits. It is announced and committed beside whatever comes next, flush by flush."""
        self._work.clear()
        self._closed.clear()
        self._much.clear()
        began_s = time.monotonic()
        flush = self._pipeline.take()
        windows: list[JoinedWindow] = []
        if flush:
            windows = await self._stored(flush)
            self._minutes.changed(windows)
        await self._told
        self._told = asyncio.ensure_future(self._tell(flush, windows, began_s))
        self._told.add_done_callback(lambda told: told.cancelled() or told.exception())  # perhaps nobody waits any more

    async def _tell(self, flush: Flush, windows: list[JoinedWindow], began_s: float) -> None:
        """Announce what is stored, and commit."""
        if flush:
            await self._announce(flush, windows)
            self._watchdog.moved(time.monotonic())
            self.summary.flushes.add(time.monotonic() - began_s)
        self._pipeline.on_flushed(flush)
        self._room.set()
        offsets = self._pipeline.committable()
        if offsets and await self._app.commit(offsets):
            self._pipeline.on_committed(offsets)
            self.summary.commits += 1

    async def _stored(self, flush: Flush) -> list[JoinedWindow]:
        """Write a flush, again and again while the store is away; gives the windows that are to be announced."""
        loop = asyncio.get_running_loop()
        write = partial(write_flush, self._store, flush, FlushJoin(flush, self._config.window_us, self._joined))
        while True:
            try:
                windows = await loop.run_in_executor(self._thread, write)
            except StoreError as error:
                if not error.retriable:
                    raise
                self._watched.store_trouble = str(error)
                self.summary.store_retries += 1
                wait_s = max(error.retry_after_s, 0.2) * random.uniform(0.5, 1.5)  # noqa: S311  spreads retries
                if self._told.done():
                    self._told.result()  # Kafka has refused what was announced meanwhile
                _log.warning("the store is away; trying again", error=str(error), wait_s=round(wait_s, 2))
                await asyncio.sleep(wait_s)
                self._watchdog.moved(time.monotonic())  # waiting for the store is not being stuck
            else:
                self._watched.store_trouble = ""
                return windows

    def _joined(self) -> None:
        """A window is computed: a long flush is not a stuck one."""
        self._watchdog.moved(time.monotonic())

    async def _ask(self, question: Callable[Asked, T], *arguments: Asked.args, **named: Asked.kwargs) -> T:
        """Call a function that blocks in the store's own thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(question, *arguments, **named))

    async def _announce(self, flush: Flush, windows: list[JoinedWindow]) -> None:
        """Send and have acknowledged what the flush makes known."""
        topics = self._config.topics
        for at in range(0, len(windows), _EVENTS_AT_ONCE):
            await asyncio.gather(*map(self._announce_window, windows[at : at + _EVENTS_AT_ONCE]))
        for letter in flush.letters:
            place = letter.record.place
            row = letter.as_row()
            about = {"run": row.run_id or None, "window": row.window if row.producer else None}
            _log.warning("dead letter", place=place, offset=row.offset, error=letter.error, **about)
            partition = min(place.partition, topics.partitions - 1)
            headers = letter_headers(letter)
            await self._app.send(topics.name("dead-letters"), partition, None, letter_value(letter), headers)
        self.summary.batches += len(flush.batches)
        self.summary.rows += sum(stored.batch.header.rows for stored in flush.batches)
        self.summary.windows += len(flush.closed)
        self.summary.late_windows += len(flush.late)
        self.summary.dead_letters += len(flush.letters)

    async def _announce_window(self, window: JoinedWindow) -> None:
        message = to_message(window_event(window), source=SOURCE, time_us=time.time_ns() // 1000)
        name = self._config.topics.name("windows")
        await self._app.send(name, None, message.key, message.value, message.headers)

    async def _tick(self) -> None:
        """Append ticks where the pipeline wants them, and look after records that wait for what does not come."""
        while True:
            await asyncio.sleep(_TICK_S)
            await self._work_off()
            # At once, so that they travel together: one request to a broker for all of its partitions.
            await asyncio.gather(*map(self._append_tick, self._pipeline.ticks(time.monotonic())))

    async def _append_tick(self, place: Place) -> None:
        kind = self._config.topics.kind(place.topic)
        assert kind in ("requests", "stacks")
        value, headers = tick(kind, self._config.topics.partitions)
        await self._app.send(place.topic, place.partition, None, value, headers)
        self.summary.ticks += 1

    async def _watch(self) -> None:
        await self._watchdog.watch(self._is_waiting)

    async def _is_waiting(self) -> bool:
        """Whether there is something to do: here, or in Kafka."""
        return not self._pipeline.idle or any((await self._lags()).values())

    async def _lags(self) -> Mapping[Place, int]:
        """How many records wait in each of this worker's partitions."""
        ends = await self._app.ends()
        reached = {place: await self._reached(place) for place in ends}
        return {place: max(0, ends[place] - offset) for place, offset in reached.items() if offset is not None}

    def _busy(self) -> str:
        """What there is to do here, in a few words; empty when there is nothing."""
        if not self._app.assigned.is_set():
            return "partitions, which are just changing hands"
        if not self._pipeline.idle:
            return "windows that are open, or rows that are not stored"
        if offsets := self._pipeline.committable():
            return f"the commit of {len(offsets)} offsets"
        return ""

    async def _reached(self, place: Place) -> int | None:
        """The offset that is awaited from a partition; None of one that is not this worker's any more."""
        known = self._pipeline.next_offset(place)
        return await self._app.position(place) if known is None else known

    async def _fail(self) -> None:
        reason = await self._app.failed()
        if isinstance(reason, StoreError | WorkerStuckError):
            raise reason
        raise WorkerStuckError(f"the Kafka client gave up ({reason!r}); start the worker again") from reason


async def _first(stopping: asyncio.Task[Any], *events: asyncio.Event, timeout_s: float | None = None) -> None:
    """Wait until one of the events is set, the worker is to stop, or time is up."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait({stopping, *waiting}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


async def _late(stop: asyncio.Event) -> None:
    """The latest moment to stop."""
    await stop.wait()
    await asyncio.sleep(STOP_S)
    _log.warning("stopping without the last records; they are read again next time")
