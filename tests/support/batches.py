"""Builders of batches as producers make them: by hand, row for row, or many realistic rows from a seed."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import pyarrow as pa

from schemas.batches import Batch, BatchHeader, BatchKey
from schemas.precision import lags_us, latencies_us
from schemas.rows import REQUESTS, STACKS, STACKS_JOINED, RequestFacts, StackFacts
from schemas.stacks import fold, frame

RUN = "run-1"
WINDOW = 1_790_000_000
"""A window of one second in September 2026; `WINDOW * 1_000_000` is its start in microseconds."""
WINDOW_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """One row of REQUESTS, in its column order. Times in microseconds since the Unix epoch."""

    scheduled_at: int = WINDOW * WINDOW_US
    dispatch_lag_us: int = 40
    write_lag_us: int = 90
    latency_us: int = 12_000
    status: int = 200
    error: str | None = None
    endpoint: str = "search"
    bytes_sent: int = 180
    bytes_received: int = 2_400
    stage: str = "hold"


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of STACKS, in its column order; `stack` is folded (see `stack_of`)."""

    stack: str
    sampled_at: int = WINDOW * WINDOW_US
    weight_us: int = 10_000
    thread_id: int = 7
    mode: str = "cpu"
    endpoint: str | None = None


def stack_of(*functions: str, file: str = "shop.py") -> str:
    """Folded stack of functions of one file, root first: `stack_of("main", "search")`."""
    return fold(frame(function, file) for function in functions)


def request_rows(rows: Iterable[Request]) -> pa.RecordBatch:
    """Rows of REQUESTS."""
    return _record_batch(REQUESTS, [astuple(row) for row in rows])


def stack_rows(rows: Iterable[Sample]) -> pa.RecordBatch:
    """Rows of STACKS, or of STACKS_JOINED where one has an endpoint."""
    found = [(r.sampled_at, r.weight_us, r.thread_id, r.stack, r.mode, r.endpoint) for r in rows]
    if any(row[-1] for row in found):
        return _record_batch(STACKS_JOINED, found)
    return _record_batch(STACKS, [row[:-1] for row in found])


def _record_batch(schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def request_batch(
    rows: pa.RecordBatch | Iterable[Request] = (),
    *,
    run: str = RUN,
    window: int = WINDOW,
    producer: str = "load-1",
    seq: int = 0,
    facts: RequestFacts | None = None,
    final: bool = False,
    goodbye: bool = False,
    partitions: int = 4,
) -> Batch:
    """A batch of requests. Facts default to what the rows say: all of them scheduled and sent."""
    table = rows if isinstance(rows, pa.RecordBatch) else request_rows(rows)
    if facts is None:
        facts = RequestFacts(engine="aiohttp", scheduled=table.num_rows, sent=table.num_rows)
    key = BatchKey("requests", run, window, producer, seq)
    return Batch(BatchHeader(key, table.num_rows, partitions, final, goodbye), facts, table)


def stack_batch(
    rows: pa.RecordBatch | Iterable[Sample] = (),
    *,
    run: str = RUN,
    window: int = WINDOW,
    producer: str = "agent-1",
    seq: int = 0,
    facts: StackFacts | None = None,
    final: bool = False,
    goodbye: bool = False,
    partitions: int = 4,
) -> Batch:
    """A batch of stack samples. Facts default to one fully watched instance whose CPU is the rows' cpu weight."""
    table = rows if isinstance(rows, pa.RecordBatch) else stack_rows(rows)
    if facts is None:
        cpu_us = sum(
            weight.as_py()
            for weight, mode in zip(table["weight_us"], table["mode"], strict=True)
            if mode.as_py() == "cpu"
        )
        facts = StackFacts(
            service="shop",
            instance="pid-100",
            pid=100,
            backend="austin",
            cpu_us=cpu_us,
            busiest_thread_us=cpu_us,
            threads=1,
            rss_bytes=80 << 20,
            covered_us=WINDOW_US,
            period_us=10_000,
        )
    key = BatchKey("stacks", run, window, producer, seq)
    return Batch(BatchHeader(key, table.num_rows, partitions, final, goodbye), facts, table)


def many_requests(count: int, *, window: int = WINDOW, stage: str = "hold", seed: int = 7) -> pa.RecordBatch:
    """`count` realistic requests that end in `window`: lognormal latencies, three endpoints, 1 error in 100."""
    random = np.random.default_rng(seed)
    latency = latencies_us(np.minimum(random.lognormal(9.4, 0.6, count), 900_000).astype(np.uint32))
    ended = window * WINDOW_US + np.sort(random.integers(0, WINDOW_US, count))
    failed = random.random(count) < 0.01
    endpoint = random.choice(3, count, p=[0.6, 0.3, 0.1]).astype(np.int16)
    dispatch_lag = random.gamma(2.0, 20.0, count).astype(np.uint32)
    write_lag = lags_us(dispatch_lag + random.integers(20, 80, count).astype(np.uint32), latency)
    columns = [
        pa.array(ended - latency, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        pa.array(lags_us(dispatch_lag, write_lag)),
        pa.array(write_lag),
        pa.array(latency),
        pa.array(np.where(failed, 0, 200).astype(np.uint16)),
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int16), mask=~failed), ["timeout"]),
        pa.DictionaryArray.from_arrays(pa.array(endpoint), ["search", "checkout", "item"]),
        pa.array(np.choose(endpoint, [180, 420, 160]).astype(np.uint64)),
        pa.array(np.where(failed, 0, 900 + random.integers(0, 64, count)).astype(np.uint64)),
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int16)), [stage]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)


def even_requests(count: int, *, window: int = WINDOW, seed: int = 7) -> pa.RecordBatch:
    """As `many_requests`, but due evenly, at one endpoint with one answer: what differs are the times they took."""
    rows = many_requests(count, window=window, seed=seed)
    due_us = window * WINDOW_US + np.arange(count) * (WINDOW_US // count)
    same = {"scheduled_at": pa.array(due_us).cast(pa.timestamp("us", tz="UTC"))}
    same |= {name: pa.array(np.full(count, 180, np.uint64)) for name in ("bytes_sent", "bytes_received")}
    same["endpoint"] = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int16)), ["search"])
    columns = [same.get(name, rows[name]) for name in rows.schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)


def many_samples(
    count: int, *, window: int = WINDOW, distinct: int = 200, depth: int = 25, seed: int = 7
) -> pa.RecordBatch:
    """`count` realistic samples of four threads in `window`: `distinct` deep stacks, some far hotter than others."""
    random = np.random.default_rng(seed)
    stacks = [stack_of(*(f"layer_{level}" for level in range(depth - 1)), f"leaf_{i}") for i in range(distinct)]
    heat = 1.0 / np.arange(1, distinct + 1)
    columns = [
        pa.array(window * WINDOW_US + np.sort(random.integers(0, 1000, count)) * 1000, pa.int64()).cast(
            pa.timestamp("us", tz="UTC")
        ),
        pa.array(np.full(count, 10_000, np.uint32)),
        pa.array(random.integers(100, 104, count).astype(np.uint64)),
        pa.DictionaryArray.from_arrays(
            pa.array(random.choice(distinct, count, p=heat / heat.sum()).astype(np.int32)), stacks
        ),
        pa.DictionaryArray.from_arrays(pa.array((random.random(count) < 0.3).astype(np.int8)), ["cpu", "wall"]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=STACKS)
