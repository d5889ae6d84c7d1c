"""A run that lies in Kafka before anybody works it off: what a worker finds after it was away.

Rows are drawn (`benchmarks.drawn`); batches, splitting, marks and headers are the producers' own
(`producers.publisher.messages`). The topics take the producer's time, and each batch carries the time at which it would
have been sent: watermarks and windows then go as they would have live.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.drawn import WINDOW_US, request_rows, sample_rows
from producers.publisher.messages import Message, Messages, Publication, split
from schemas.events import EventData, LoadTotals, ProducerEnded, RunEnded, RunStarted, to_message
from schemas.rows import STACKS, RequestFacts, StackFacts
from schemas.topics import Topics

SAMPLES_A_WINDOW = 400
"""One process at the 400 Hz of austin's default."""
_SEND_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """How the run was loaded: `tps` requests a second, one window each second. Up to 20,000 are one batch."""

    tps: int
    windows: int

    @property
    def outcomes(self) -> int:
        """Requests of the whole run."""
        return self.tps * self.windows


@dataclass(frozen=True, slots=True)
class Backlog:
    """What lies in Kafka: rows, and the bulk messages that hold them. `keyed_topic` has the requests once more."""

    run_id: str
    shape: Shape
    samples: int
    messages: int
    keyed_topic: str
    keyed_messages: int


class _Producer:
    """Counts what one producer has sent, as it would say at its end."""

    def __init__(self, topics: Topics, run_id: str, producer_id: str) -> None:
        self.producer_id = producer_id
        self.batches = self.rows = 0
        self._messages = Messages(topics, run_id, producer_id)

    def messages(self, publication: Publication) -> Iterator[Message]:
        for message in self._messages.number(publication, split(publication.rows, publication.facts)):
            assert isinstance(message, Message), "all rows of a benchmark can travel"
            self.batches += 1
            self.rows += message.rows
            yield message


async def publish(bootstrap: str, topics: Topics, shape: Shape, *, run_id: str, copies: bool = True) -> Backlog:
    """Make the topics and fill them with a whole run, which ended just now. Each prefix of topics is for one run.

    With `copies` the requests lie in one more topic, keyed by the run: libraries that count by key want one.
    """
    keyed_topic = f"{topics.prefix}.keyed"
    await _create(bootstrap, topics, [keyed_topic])
    random = np.random.default_rng(shape.tps)
    first = time.time_ns() // 1000 // WINDOW_US - shape.windows - 1
    load, agent = (_Producer(topics, run_id, f"{role}-0") for role in ("load", "agent"))
    completed = 0
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=5, max_batch_size=1 << 20, max_request_size=4 << 20
    )
    async with producer:
        await _announce(producer, topics, _started(run_id, first, shape, topics), first)
        sent = []
        for window in range(first, first + shape.windows):
            last = window == first + shape.windows - 1
            rows = request_rows(random, window, shape.tps)
            completed += rows["error"].null_count
            samples = sample_rows(random, window, SAMPLES_A_WINDOW)
            said = [*load.messages(_requests(window, rows, last=last)), *agent.messages(_samples(window, samples))]
            said += agent.messages(_agents_own(window, last=last))
            for message in said:
                at = {"timestamp_ms": (window + 1) * WINDOW_US // 1000 + 80, "headers": message.headers}
                sent.append(await producer.send(message.topic, message.value, partition=message.partition, **at))
                if copies and message.topic == topics.name("requests"):
                    sent.append(await producer.send(keyed_topic, message.value, key=run_id.encode(), **at))
            if len(sent) > _SEND_AT_ONCE or last:
                await asyncio.gather(*sent)
                sent = []
        totals = LoadTotals(scheduled=load.rows, sent=load.rows, completed=completed, failed=load.rows - completed)
        for ended in _ended(run_id, load, agent, totals, first + shape.windows):
            await _announce(producer, topics, ended, first + shape.windows)
    batches = load.batches + agent.batches
    return Backlog(run_id, shape, agent.rows, batches, keyed_topic, load.batches)


async def publish_events(bootstrap: str, topic: str, partitions: int, tps: int, seconds: int) -> int:
    """The same requests as one JSON message each, keyed by their endpoint; gives how many."""
    random = np.random.default_rng(tps)
    await _create(bootstrap, Topics(topic, partitions), [topic], only=True)
    first = time.time_ns() // 1000 // WINDOW_US - seconds - 1
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=1 << 20) as producer:
        for window in range(first, first + seconds):
            rows = request_rows(random, window, tps)
            rows = rows.set_column(0, "scheduled_at", rows["scheduled_at"].cast(pa.int64()))
            ended_ms = (rows["scheduled_at"].to_numpy() + rows["latency_us"].to_numpy()) // 1000
            for row, at_ms in zip(rows.to_pylist(), ended_ms.tolist(), strict=True):
                value, key = json.dumps(row).encode(), row["endpoint"].encode()
                await producer.send(topic, value, key=key, timestamp_ms=at_ms)
    return tps * seconds


async def _create(bootstrap: str, topics: Topics, more: Sequence[str], *, only: bool = False) -> None:
    """Create topics that keep the time which a producer names; one that is there already is a mistake."""
    ours = [] if only else [(topic.name, topic.partitions, topic.config) for topic in topics.all()]
    every = [*ours, *((name, topics.partitions, {}) for name in more)]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics(
            [
                NewTopic(name, partitions, 1, topic_configs=config | {"message.timestamp.type": "CreateTime"})
                for name, partitions, config in every
            ]
        )
        assert not any(code for _, code, *_ in answer.topic_errors), answer
    finally:
        await admin.close()


async def _announce(producer: AIOKafkaProducer, topics: Topics, data: EventData, window: int) -> None:
    message = to_message(data, source="loadflame/benchmarks", time_us=window * WINDOW_US)
    await producer.send_and_wait(
        topics.name("runs"),
        message.value,
        key=message.key,
        partition=0,
        timestamp_ms=window * WINDOW_US // 1000,
        headers=message.headers,
    )


def _requests(window: int, rows: pa.RecordBatch, *, last: bool) -> Publication:
    count = rows.num_rows
    facts = RequestFacts(engine="wire", scheduled=count, sent=count, generator_cpu_us=15 * count)
    return Publication("requests", window, rows, facts, final=True, goodbye=last)


def _samples(window: int, rows: pa.RecordBatch) -> Publication:
    facts = StackFacts(
        service="shop",
        instance="pid-100",
        pid=100,
        backend="austin",
        cpu_us=740_000,
        busiest_thread_us=610_000,
        run_queue_us=9_000,
        rss_bytes=80 << 20,
        threads=3,
        covered_us=996_000,
        period_us=2_500,
        agent_cpu_us=21_000,
    )
    return Publication("stacks", window, rows, facts, final=False, goodbye=False)


def _agents_own(window: int, *, last: bool) -> Publication:
    """The last batch of an agent's window tells of the agent itself."""
    facts = StackFacts(agent_cpu_us=6_000, own_cpu_us=240_000, host_cpu_us=1_500_000)
    nothing = pa.RecordBatch.from_pylist([], schema=STACKS)
    return Publication("stacks", window, nothing, facts, final=True, goodbye=last)


def _started(run_id: str, first: int, shape: Shape, topics: Topics) -> RunStarted:
    return RunStarted(
        run_id=run_id,
        service="shop",
        target="http://127.0.0.1:8080",
        started_at_us=first * WINDOW_US,
        window_us=WINDOW_US,
        partitions=topics.partitions,
        engine="wire",
        plan={"service": "shop", "stages": [{"name": "hold", "hold": shape.tps, "for": f"{shape.windows}s"}]},
    )


def _ended(run_id: str, load: _Producer, agent: _Producer, totals: LoadTotals, window: int) -> Iterator[EventData]:
    for one, role in ((load, "load"), (agent, "profiler")):
        yield ProducerEnded(
            run_id=run_id,
            producer_id=one.producer_id,
            role=role,
            batches_acknowledged=one.batches,
            rows_acknowledged=one.rows,
            totals=totals if role == "load" else None,
        )
    yield RunEnded(run_id=run_id, ended_at_us=window * WINDOW_US, reason="finished", producers=2)
