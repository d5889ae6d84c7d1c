"""A run as its producers send it: a load and an agent, a batch of each per window, their marks and their last words."""

import time
from dataclasses import dataclass, field

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from producers.publisher import KafkaPublisher
from schemas.batches import BatchKey
from schemas.events import (
    EventData,
    LoadTotals,
    ProducerEnded,
    RunEnded,
    RunStarted,
    WindowJoined,
    from_message,
)
from schemas.rows import RequestFacts, StackFacts
from schemas.topics import BULK, Topics
from schemas.windows import window_of
from tests.support.batches import many_requests, many_samples
from tests.support.brokers import Broker

ROWS, SAMPLES = 40, 15
"""Requests and samples per window, at least; no two windows have equally many."""


@dataclass(slots=True)
class Traffic:
    """Sends windows as they are asked for; keeps the truth about what it sent."""

    broker: Broker
    topics: Topics
    run_id: str
    window_us: int
    first: int = 0
    rows: int = ROWS
    """Requests per window, at least."""
    patience_s: float = 60.0
    """How long Kafka may take to acknowledge."""
    sent: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Requests and samples by window."""
    _load: KafkaPublisher | None = None
    _agent: KafkaPublisher | None = None

    async def begin(self) -> None:
        """Connect and announce the run; its first window is the present one."""
        self.first = window_of(time.time_ns() // 1000, self.window_us)
        self._load, self._agent = (
            KafkaPublisher(self.broker.bootstrap, self.topics, self.run_id, source=f"tests/{role}")
            for role in ("load", "agent")
        )
        await self._load.start()
        await self._agent.start()
        started = RunStarted(
            run_id=self.run_id,
            service="shop",
            target="http://127.0.0.1:1",
            started_at_us=self.first * self.window_us,
            window_us=self.window_us,
            partitions=self.topics.partitions,
            engine="aiohttp",
            plan={},
        )
        self._load.announce(started)

    async def send(self, *windows: int, goodbye: bool = False) -> None:
        """Send windows, counted from the first one, and wait for the acknowledgement."""
        self.publish(*windows, goodbye=goodbye)
        await self.flush()

    def publish(self, *windows: int, goodbye: bool = False) -> None:
        """Send windows; nobody waits."""
        assert self._load is not None
        assert self._agent is not None
        for number in windows:
            window = self.first + number
            rows, samples = self.rows + number, SAMPLES + number
            last = goodbye and number == windows[-1]
            facts = RequestFacts(engine="aiohttp", scheduled=rows, sent=rows)
            self._load.publish("requests", window, many_requests(rows, seed=number), facts, final=True, goodbye=last)
            watched = StackFacts(service="shop", instance="pid-1", pid=1, cpu_us=150_000, covered_us=self.window_us)
            stacks = many_samples(samples, distinct=7, depth=4, seed=number)
            self._agent.publish("stacks", window, stacks, watched, final=True, goodbye=last)
            self.sent[window] = (rows, samples)

    def announce(self, event: EventData) -> None:
        """Any event, by the load."""
        assert self._load is not None
        self._load.announce(event)

    async def flush(self) -> None:
        """Wait until all that was sent is acknowledged."""
        assert self._load is not None
        assert self._agent is not None
        for publisher in (self._load, self._agent):
            published = await publisher.flush(self.patience_s)
            assert published.batches_lost == 0, published.note

    async def end(self) -> None:
        """The producers' last words, and the run's."""
        assert self._load is not None
        assert self._agent is not None
        failed = sum(self._failed(window) for window in self.sent)
        for publisher, role in ((self._load, "load"), (self._agent, "profiler")):
            published = await publisher.flush(self.patience_s)
            assert published.batches_lost == 0, published.note
            totals = LoadTotals(
                scheduled=self.requests,
                sent=self.requests,
                completed=self.requests - failed,
                failed=failed,
                target_counted=self.requests,
            )
            ended = ProducerEnded(
                run_id=self.run_id,
                producer_id=publisher.producer_id,
                role="load" if role == "load" else "profiler",
                batches_acknowledged=published.batches_acknowledged,
                rows_acknowledged=published.rows_acknowledged,
                totals=totals if role == "load" else None,
            )
            publisher.announce(ended)
        over = RunEnded(run_id=self.run_id, ended_at_us=time.time_ns() // 1000, reason="finished", producers=2)
        self._load.announce(over)
        await self.close()

    async def close(self) -> None:
        """Let go of the connections, whatever is on its way."""
        for publisher in filter(None, (self._load, self._agent)):
            await publisher.close(self.patience_s)

    def _failed(self, window: int) -> int:
        rows = many_requests(self.sent[window][0], seed=window - self.first)
        return int(np.count_nonzero(rows["status"].to_numpy() == 0))

    @property
    def batches(self) -> dict[BatchKey, int]:
        """Every batch that was sent, with its rows. Holds for windows that fit into one message."""
        assert self._load is not None
        assert self._agent is not None
        return {
            BatchKey(topic, self.run_id, window, publisher.producer_id, 0): rows
            for window, pair in self.sent.items()
            for topic, publisher, rows in zip(BULK, (self._load, self._agent), pair, strict=True)
        }

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return sum(rows for rows, _ in self.sent.values())

    @property
    def samples(self) -> int:
        """Samples sent so far."""
        return sum(samples for _, samples in self.sent.values())


async def messages_of(
    broker: Broker, topic: str, partitions: int
) -> list[tuple[EventData | None, dict[str, bytes], bytes]]:
    """Everything that is in a topic now: the event if it is one, headers and value."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    found = []
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for record in (await consumer.getmany(place, timeout_ms=200)).get(place, []):
                    headers = dict(record.headers)
                    event = from_message(record.headers, record.value) if "ce_type" in headers else None
                    found.append((event, headers, record.value))
    finally:
        await consumer.stop()
    return found


async def joined_events(broker: Broker, topics: Topics, run_id: str) -> dict[int, WindowJoined]:
    """The announced state of each window of a run that covers most."""
    found: dict[int, WindowJoined] = {}
    for event, _, _ in await messages_of(broker, topics.name("windows"), 1):
        if isinstance(event, WindowJoined) and event.run_id == run_id:
            known = found.get(event.window)
            if known is None or event.batches_covered >= known.batches_covered:
                found[event.window] = event
    return found
