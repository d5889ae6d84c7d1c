"""The publisher to Kafka: a client behind a bounded queue, and beside it, while Kafka is away, a spool on disk.

    publish -> inbox -> encoded in a thread -> under way to Kafka, or to the spool and from there, as it comes back

A message goes to the spool while the spool holds others, while much is under way, or while something has been under
way for long: so memory stays bounded, and a process that is killed during an outage loses the last moments before it
at most. Where the disk takes nothing either, memory is used up to its budget, and then rows are dropped and counted.
Only ever the inbox is touched by whoever publishes: the schedule of a load waits for neither Kafka nor the disk.
"""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa
import structlog

from producers.clock import SteadyClock
from producers.publisher.backlog import Backlog
from producers.publisher.base import Published
from producers.publisher.client import Client
from producers.publisher.figures import PublisherFigures
from producers.publisher.kafka_clock import KafkaClock
from producers.publisher.messages import Facts, Message, Messages, Part, Publication, split
from producers.publisher.skew import Skew
from producers.publisher.spool import SpoolPlace
from schemas.events import EventData, to_message
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.topics import Bulk, Topics

BUDGET_BYTES = 64 << 20
"""Rows and messages that may wait in memory; beyond it rows are given up, facts and marks still go."""
BUDGET_MESSAGES = 10_000
"""Messages and publications that may wait in memory; beyond it everything is given up."""
MEMORY_BYTES = 8 << 20
"""Messages that may be under way to Kafka before others go to the spool."""
AWAY_S = 2.0
"""Kafka is taken to be away once a message has been under way for so long."""
AGAIN_S = 1.0
"""How long Kafka is waited for once more when it has been waited for in vain, and has taken nothing since."""
_STOP_S = 5.0
_KEEP_S = 5.0
_log = structlog.get_logger()


def new_producer_id() -> str:
    """Random, and long enough that no two producers share one."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    message: Message
    since_s: float


class KafkaPublisher:
    """See Publisher. Call `start` before anything else, and `close` at the end; `async with` sees to both."""

    def __init__(
        self,
        bootstrap: str,
        topics: Topics,
        run_id: str,
        *,
        source: str,
        security: KafkaSecurity = PLAINTEXT,
        budget_bytes: int = BUDGET_BYTES,
        producer_id: str | None = None,
        spool: SpoolPlace | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`producer_id` is random, unless somebody who is to know it gives one that is; `wall_ns` is the host's clock.

        Without `spool`, what Kafka does not take is lost once memory is full, or the process ends.
        """
        self._topics = topics
        self._source = source
        self._budget_bytes = budget_bytes
        self._producer_id = producer_id or new_producer_id()
        self._client = Client(bootstrap, f"loadflame-{self._producer_id}", security)
        self._messages = Messages(topics, run_id, self._producer_id)
        self._backlog = Backlog(spool, self._producer_id, self._client, self._sent) if spool else None
        self._inbox: deque[Publication | Message] = deque()
        self._arrived = asyncio.Event()
        self._passed_on = asyncio.Event()
        self._quiet = asyncio.Event()
        self._passed_on.set()
        self._quiet.set()
        self._bytes = 0
        self._under_way_bytes = 0
        self._under_way: dict[asyncio.Task[None], _UnderWay] = {}
        self._given_up: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._published = Published()
        self._is_dropping = False
        self._in_vain = False
        self._clock = KafkaClock(wall_ns)
        self._moved_s = time.monotonic()

    @property
    def producer_id(self) -> str:
        """See Publisher."""
        return self._producer_id

    @property
    def clock(self) -> SteadyClock:
        """See Publisher; the host's before `start`."""
        return self._clock.steady

    @property
    def skew(self) -> Skew:
        """See Publisher."""
        return self._clock.skew

    def figures(self) -> PublisherFigures:
        """What may be told of it to whoever watches."""
        waiting = len(self._inbox) + len(self._under_way)
        spooled_bytes = self._backlog.bytes if self._backlog else None
        return PublisherFigures(self._told(), waiting, self._bytes, time.monotonic() - self._moved_s, spooled_bytes)

    async def start(self, timeout_s: float = 10.0) -> None:
        """Connect, check topics and clock. Raises PublisherError when Kafka or a topic is not there as it must be.

        What earlier processes of this host have spooled is sent from now on, beside what is handed over.
        """
        await self._client.start(timeout_s, self._topics)
        try:
            await self._clock.learn(self._client, self._topics)
        except BaseException:
            await self._client.stop()
            raise
        work = [self._pass_on()]
        if self._backlog is not None:
            work += [self._backlog.drain(), self._backlog.send_left_behind()]
        self._tasks = [asyncio.create_task(part) for part in work]

    async def __aenter__(self) -> Self:
        """Start. Raises PublisherError."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Let go of the connections, whatever happened; after `close` there is nothing left to do."""
        await self.close(_STOP_S)

    def publish(
        self,
        topic: Bulk,
        window: int,
        rows: pa.RecordBatch,
        facts: Facts,
        *,
        final: bool,
        goodbye: bool = False,
    ) -> None:
        """See Publisher."""
        publication = Publication(topic, window, rows, facts, final, goodbye)
        if self._bytes + rows.nbytes > self._budget_bytes and rows.num_rows:
            publication = publication.without_rows()
            self._tell_of_drops()
        self._take(publication)

    def announce(self, event: EventData) -> None:
        """See Publisher."""
        message = to_message(event, source=self._source, time_us=self.clock.now_us())
        name = self._topics.name(event.topic)
        self._take(Message(name, None, message.key, message.headers, message.value, 0, is_batch=False))

    async def flush(self, timeout_s: float) -> Published:
        """See Publisher."""
        if not self._tasks:
            return self._told()
        if self._backlog is not None:
            self._backlog.hurry.set()
        patience_s = min(timeout_s, AGAIN_S) if self._in_vain else timeout_s
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), patience_s)
        for task in self._tasks:
            if task.done():
                task.result()  # only a mistake of ours ends it early: let it be seen
        if not self._quiet.is_set():
            self._in_vain = True
            await self._give_up(f"not acknowledged within {timeout_s:g} s")
        if self._backlog is not None:
            self._backlog.hurry.clear()
        return self._told()

    async def close(self, timeout_s: float) -> Published:
        """See Publisher."""
        published = await self.flush(timeout_s)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if ending := {*tasks, *self._given_up}:
            await asyncio.wait(ending, timeout=_STOP_S)
        if self._backlog is not None and tasks:
            await self._backlog.close()
        await self._client.stop()
        return published

    def _take(self, work: Publication | Message) -> None:
        if not self._tasks or len(self._inbox) + len(self._under_way) >= BUDGET_MESSAGES:
            self._lose(work, "more than may wait for Kafka")
            return
        if self._quiet.is_set():
            self._moved_s = time.monotonic()
        self._bytes += _size(work)
        self._inbox.append(work)
        self._arrived.set()
        self._passed_on.clear()
        self._quiet.clear()

    async def _pass_on(self) -> None:
        """Turn what was handed over into messages, in order, and send each on its way or to the spool."""
        while True:
            await self._arrived.wait()
            while self._inbox:
                work = self._inbox[0]
                if isinstance(work, Publication):
                    # In a thread: compressing 20,000 rows takes some 20 ms, for which the schedule must not wait.
                    parts = await asyncio.to_thread(split, work.rows, work.facts)
                    if self._taken_out(work):
                        self._put_first(list(self._messages.number(work, parts)))
                else:
                    is_spooled = await self._spooled(work)
                    if self._taken_out(work) and not is_spooled:
                        self._start_delivery(work)
            self._arrived.clear()
            self._passed_on.set()
            self._note_quiet()

    def _taken_out(self, work: Publication | Message) -> bool:
        """Take the first out of the inbox; False when it was given up meanwhile."""
        if not self._inbox or self._inbox[0] is not work:
            return False
        self._bytes -= _size(self._inbox.popleft())
        return True

    def _put_first(self, pieces: Sequence[Message | Part]) -> None:
        for piece in reversed(pieces):
            if isinstance(piece, Part):
                self._lose(piece, "too much at once, or too large for a message")
            else:
                self._bytes += _size(piece)
                self._inbox.appendleft(piece)

    async def _spooled(self, message: Message) -> bool:
        """Put a message on disk if that is where it belongs now; whether it is there."""
        if self._backlog is None or (self._backlog.is_empty and not self._is_away()):
            return False
        return await self._backlog.put(message)

    def _is_away(self) -> bool:
        """Whether Kafka takes nothing, or less than comes."""
        oldest = next(iter(self._under_way.values()), None)
        waits = oldest is not None and time.monotonic() - oldest.since_s > AWAY_S
        return waits or self._under_way_bytes > MEMORY_BYTES

    def _start_delivery(self, message: Message) -> None:
        self._bytes += _size(message)
        self._under_way_bytes += _size(message)
        task = asyncio.create_task(self._deliver(message))
        self._under_way[task] = _UnderWay(message, time.monotonic())
        task.add_done_callback(self._delivered)

    async def _deliver(self, message: Message) -> None:
        self._clock.heard(await self._client.deliver(message))

    def _delivered(self, task: asyncio.Task[None]) -> None:
        under_way = self._under_way.pop(task, None)
        if under_way is None:
            return  # given up before
        message = under_way.message
        self._bytes -= _size(message)
        self._under_way_bytes -= _size(message)
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            self._lose(message, f"refused by Kafka: {type(error).__name__}")
        elif message.is_batch:
            self._published = self._published.with_acknowledged(message.rows)
        self._sent()

    async def _give_up(self, why: str) -> None:
        """Put on disk what is in memory and not acknowledged; where that cannot be, count it as lost."""
        until_s = asyncio.get_running_loop().time() + _KEEP_S  # a disk may hang
        if self._backlog is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until_s):
                    await self._passed_on.wait()
        inbox, self._inbox = self._inbox, deque()
        under_way, self._under_way = self._under_way, {}
        for task in under_way:
            self._given_up.add(task)
            task.cancel()
        for work in inbox:
            self._bytes -= _size(work)
            self._lose(work, why)
        for one in under_way.values():
            self._bytes -= _size(one.message)
            self._under_way_bytes -= _size(one.message)
            if not await self._kept(one.message, until_s):
                self._lose(one.message, why)
        self._note_quiet()

    async def _kept(self, message: Message, until_s: float) -> bool:
        """Put a message on disk, until some time of the event loop; whether it is there."""
        if self._backlog is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until_s):
                    return await self._backlog.put(message)
        return False

    def _lose(self, what: Publication | Message | Part, why: str) -> None:
        if isinstance(what, Publication):
            self._published = self._published.with_lost(what.rows.num_rows + what.rows_dropped, why)
        elif isinstance(what, Part) or what.is_batch:
            self._published = self._published.with_lost(what.rows, why)

    def _tell_of_drops(self) -> None:
        if not self._is_dropping:
            _log.error(
                "what is measured is being lost, and counted: Kafka takes less than comes and memory is full; "
                "bring Kafka back, or see that it is fast enough"
            )
        self._is_dropping = True

    def _told(self) -> Published:
        return self._published.plus(self._backlog.published) if self._backlog else self._published

    def _sent(self) -> None:
        """Kafka took something."""
        self._in_vain = False
        self._moved_s = time.monotonic()
        self._note_quiet()

    def _note_quiet(self) -> None:
        if not self._inbox and not self._under_way and (self._backlog is None or self._backlog.is_empty):
            self._quiet.set()
            self._is_dropping = False


def _size(work: Publication | Message) -> int:
    return int(work.rows.nbytes) if isinstance(work, Publication) else len(work.value)
