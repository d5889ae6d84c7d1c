"""A store as of a soak of 24 hours at 10,000 requests/s: what the benchmark of reading reads.

Everything goes through the real writer, with its clock set to the time of the soak, but the rows per function, which
SQL makes beside the windows that the writer stored: 17 million of them. Raw requests are there of the last 15 minutes
only, a tenth of them, for nothing on a page reads more. Samples are there of all 24 hours, 100 a second.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from benchmarks.drawn import ENDPOINTS, WINDOW_US, request_rows
from schemas.batches import Batch, BatchHeader, BatchKey
from schemas.events import LoadTotals, ProducerEnded, RunEnded, RunStarted, StageEntered
from schemas.joined import JoinedEndpoint, JoinedWindow
from schemas.rows import REQUESTS, STACKS, RequestFacts, StackFacts
from schemas.sketch import Sketch
from schemas.stacks import fold, frame
from schemas.topics import Bulk
from sinks.clickhouse import ClickHouseStore
from sinks.store import StoredBatch

RUN = "soak-24h"
TPS = 10_000
HZ = 100
FUNCTIONS = 200
STACKS_SEEN = 5_000
RAW_SHARE = 0.1
RAW_WINDOWS = 900
_SKETCHES = 200
_LIVE_STEP = 5
"""Windows of one write in the last minutes, as a worker would do it: so there are small parts as well."""
_STEP = 900


class Soak:
    """Writes the store: windows `first` up to `last`, which end with the minute before now."""

    def __init__(self, client: Client, hours: float = 24.0, seed: int = 7) -> None:
        self._client = client
        self._store = ClickHouseStore(client, now_us=lambda: self._now_us)
        self._random = np.random.default_rng(seed)
        self.last = time.time_ns() // 1_000_000_000 // 60 * 60
        self.first = self.last - round(hours * 3600)
        self._now_us = self.first * WINDOW_US
        self._stacks = _stacks(np.random.default_rng(seed))
        heat = 1.0 / np.arange(1, STACKS_SEEN + 1) ** 0.9
        self._heat = np.cumsum(heat / heat.sum())
        self._sketches = [_sketches(self._random) for _ in range(_SKETCHES)]
        self._offset = 0

    def write(self) -> None:
        """All of it. Blocks for minutes."""
        self._store.write_events([*self._events()], [self._now_us] * 4)
        for start, end in self._steps():
            self._now_us = end * WINDOW_US + 500_000
            self._store.write_batches([*self._batches(start, end)])
            self._store.write_windows([self._joined(window) for window in range(start, end)])
            self._client.command(_FUNCTIONS_SQL, {"run": RUN, "first": start, "last": end - 1})

    def _steps(self) -> Iterator[tuple[int, int]]:
        at = self.first
        while at < self.last:
            step = _STEP if at < self.last - RAW_WINDOWS else _LIVE_STEP
            yield at, min(at + step, self.last)
            at += step

    def _rate(self, window: int) -> int:
        """Requests per second: a day's swing, and noise."""
        swing = 0.25 * np.sin((window - self.first) / 86_400 * 2 * np.pi)
        return round(TPS * (1 + swing) + self._random.normal(0, 60))

    def _batches(self, start: int, end: int) -> Iterator[StoredBatch]:
        for window in range(start, end):
            rate = self._rate(window)
            for producer in ("load-1", "load-2"):
                raw = round(rate / 2 * RAW_SHARE) if window >= self.last - RAW_WINDOWS else 0
                rows = request_rows(self._random, window, raw, "soak") if raw else _NO_REQUESTS
                facts = RequestFacts(engine="wire", scheduled=rate // 2, sent=rate // 2, generator_cpu_us=400_000)
                yield self._stored("requests", window, producer, rows, facts, announced=rate // 2)
            yield self._stored("stacks", window, "agent-1", self._samples(window), _FACTS)
            yield self._stored("stacks", window, "agent-1", _NO_STACKS, StackFacts(agent_cpu_us=9_000), seq=1)

    def _stored(
        self,
        topic: Bulk,
        window: int,
        producer: str,
        rows: pa.RecordBatch,
        facts: RequestFacts | StackFacts,
        *,
        seq: int = 0,
        announced: int | None = None,
    ) -> StoredBatch:
        count = rows.num_rows if announced is None else announced
        header = BatchHeader(BatchKey(topic, RUN, window, producer, seq), rows=count, partitions=4, final=True)
        self._offset += 1
        return StoredBatch(Batch(header, facts, rows), window % 4, self._offset)

    def _samples(self, window: int) -> pa.RecordBatch:
        drawn = np.searchsorted(self._heat, self._random.random(HZ))
        seen, codes = np.unique(drawn, return_inverse=True)
        at_us = window * WINDOW_US + np.arange(HZ, dtype=np.int64) * (WINDOW_US // HZ)
        columns = [
            pa.array(at_us).cast(pa.timestamp("us", tz="UTC")),
            pa.array(np.full(HZ, WINDOW_US // HZ, np.uint32)),
            pa.array(np.full(HZ, 7001, np.uint64)),
            pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array([self._stacks[i] for i in seen])),
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(HZ, np.int8)), pa.array(["cpu"])),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=STACKS)

    def _joined(self, window: int) -> JoinedWindow:
        rate = self._rate(window)
        endpoints = tuple(
            replace(one, completed=one.completed * rate // TPS) for one in self._sketches[window % _SKETCHES]
        )
        failed = sum(one.failed for one in endpoints)
        return JoinedWindow(
            run_id=RUN,
            window=window,
            window_us=WINDOW_US,
            batches_covered=4,
            closed_by="producers" if window % 977 else "late",
            scheduled=rate,
            sent=rate,
            dropped=0,
            in_flight=120,
            completed=rate - failed,
            failed=failed,
            generator_cpu_us=800_000,
            busiest_generator_us=410_000,
            dispatch_lag_p99_us=int(self._random.gamma(4.0, 60.0)),
            instances=int(window % 1009 > 0),
            covered_us=995_000,
            samples=HZ,
            cpu_us=950_000,
            unattributed_us=12_000,
            busiest_thread_us=700_000,
            run_queue_us=30_000,
            agent_cpu_us=9_000,
            own_cpu_us=0,
            host_cpu_us=0,
            endpoints=endpoints,
            functions=(),
        )

    def _events(self) -> Iterator[RunStarted | StageEntered | ProducerEnded | RunEnded]:
        start_us, end_us = self.first * WINDOW_US, self.last * WINDOW_US
        yield RunStarted(
            run_id=RUN,
            service="shop",
            target="http://127.0.0.1:8080",
            started_at_us=start_us,
            window_us=WINDOW_US,
            partitions=4,
            engine="wire",
            plan={"service": "shop", "thresholds": ["p99 < 500ms"]},
        )
        yield StageEntered(
            run_id=RUN, label="soak", stage="soak", form="hold", visit=0, starts_at_us=start_us, ends_at_us=end_us,
            settle_us=0, role="measure", rate_from_tps=TPS, rate_to_tps=TPS,
        )  # fmt: skip
        count = TPS * (self.last - self.first)
        yield ProducerEnded(
            run_id=RUN,
            producer_id="load-1",
            role="load",
            batches_acknowledged=self.last - self.first,
            rows_acknowledged=count,
            totals=LoadTotals(scheduled=count, sent=count, completed=count, failed=0, dropped=0),
        )
        yield RunEnded(run_id=RUN, ended_at_us=end_us, reason="finished", producers=1)


_FACTS = StackFacts(
    service="shop", instance="pid-100", pid=100, backend="austin", cpu_us=950_000, busiest_thread_us=700_000,
    run_queue_us=30_000, rss_bytes=180 << 20, threads=4, covered_us=995_000, period_us=WINDOW_US // HZ,
)  # fmt: skip
_NO_REQUESTS, _NO_STACKS = (pa.RecordBatch.from_pylist([], schema=schema) for schema in (REQUESTS, STACKS))

# A hundredth of a second of CPU is one sample; the hottest function has a seventh of them, the coldest a thousandth.
_FUNCTIONS_SQL = f"""
INSERT INTO functions_stored
    (run, window, flush, starts_at, service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us)
SELECT
    run, window, flush, starts_at, 'shop', concat('handle_', toString(number)),
    concat('module_', toString(number % 12), '.py'),
    intDiv(us, 10000), intDiv(us, 10000) * (1 + number % 3), us, us * (1 + number % 3)
FROM
(
    SELECT
        run, window, flush, starts_at, number,
        toUInt64(160000. / (number + 1) * completed / {TPS} * (0.7 + 0.6 * rand32(number) / 4294967295.)) AS us
    FROM windows_stored
    ARRAY JOIN range({FUNCTIONS}) AS number
    WHERE run = {{run:String}} AND window BETWEEN {{first:UInt64}} AND {{last:UInt64}}
)
""".strip()


def _sketches(random: np.random.Generator) -> tuple[JoinedEndpoint, ...]:
    """Endpoints of a window at the full rate."""
    found = []
    for name, share, median_us, sent, received in ENDPOINTS:
        count = round(TPS * share)
        latency_us = (median_us * random.lognormal(random.normal(0, 0.05), 0.35, count)).astype(np.int64)
        failed = random.poisson(count * 0.002)
        latency = Sketch.of(latency_us)
        found.append(JoinedEndpoint("soak", name, count - failed, failed, 0, sent * count, received * count, latency))
    return tuple(found)


def _stacks(random: np.random.Generator) -> list[str]:
    """Distinct folded stacks of the functions, 12 to 30 frames deep; a function calls few others."""
    plumbing = [frame(f"run_{level}", "asyncio/base_events.py") for level in range(8)]
    functions = [frame(f"handle_{at}", f"module_{at % 12}.py") for at in range(FUNCTIONS)]
    calls = random.integers(0, FUNCTIONS, (FUNCTIONS, 4))
    found: dict[str, None] = {}
    while len(found) < STACKS_SEEN:
        path, at = list(plumbing), int(random.integers(0, 6))
        for _ in range(int(random.integers(4, 22))):
            path.append(functions[at])
            at = int(calls[at, random.integers(0, 4)])
        found[fold(path)] = None
    return list(found)
