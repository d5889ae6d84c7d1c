"""One worker that drains a run, as the benchmark of workers measures it.

    python -m benchmarks.one_worker '{"broker": "HOST:PORT", "prefix": P, "partitions": 4, "run": R, "store": URL}'

It is `loadflame process --drain RUN` with clocks in it. Prints figures as JSON: the Unix times of the first record and
of the commit that follows the last flush, CPU seconds by stage between the two, and the most resident memory.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import uvloop

import processors.admission
import processors.flushing
from benchmarks.drawn import WINDOW_US
from benchmarks.stages import Stages
from processors.app import StreamApp
from processors.pipeline import Pipeline
from processors.records import Flush, Place, Record
from processors.worker import WorkerConfig, _Worker, run_worker
from schemas.batches import Batch
from schemas.joined import JoinedWindow
from schemas.topics import Topics
from sinks.clickhouse import ClickHouseStore
from sinks.connect import is_embedded, open_client
from sinks.migrate import migrate

ON_MAIN, ON_STORE = ("decode", "pipeline", "events", "commit"), ("rows", "batches", "join", "joined windows")
STAGES = ("client", "decode", "pipeline", "rows", "batches", "join", "joined windows", "events", "commit", "other")
"""In the order in which a record meets them. `client` is the rest of the main thread (Faust, aiokafka), `other` the
rest of all others (the engine's merges, questions to the store).
"""


@dataclass(slots=True)
class Clocks:
    """What was seen so far."""

    stages: Stages = field(default_factory=Stages)
    first_record_at_s: float = 0.0
    began_s: tuple[float, float] = (0.0, 0.0)
    announced: bool = False
    figures: dict[str, Any] = field(default_factory=dict)

    def record(self) -> None:
        """A record came in."""
        if not self.first_record_at_s:
            self.first_record_at_s = time.time()
            self.began_s = (time.process_time(), self.stages.main_s())
            self.stages.cpu_s.clear()

    def committed(self) -> None:
        """Offsets were committed: what has been announced until now is done with."""
        if not self.announced:
            return
        self.announced = False
        main_s = self.stages.main_s() - self.began_s[1]
        others_s = time.process_time() - self.began_s[0] - main_s
        spent_s = dict(self.stages.cpu_s)
        spent_s["client"] = main_s - sum(spent_s.get(stage, 0.0) for stage in ON_MAIN)
        spent_s["other"] = others_s - sum(spent_s.get(stage, 0.0) for stage in ON_STORE)
        self.figures = {
            "first_record_at_s": self.first_record_at_s,
            "last_commit_at_s": time.time(),
            "cpu_s": {stage: spent_s.get(stage, 0.0) for stage in STAGES},
        }


class ClockedStore(ClickHouseStore):
    """The store with clocks in it; what is not told apart belongs to the stage around it."""

    stages: Stages

    def _insert_rows(self, pairs: Sequence[tuple[Batch, int]], day: int) -> None:
        with self.stages.of("rows"):
            super()._insert_rows(pairs, day)

    def write_windows(self, windows: Sequence[JoinedWindow]) -> None:  # noqa: D102  see Store
        with self.stages.of("joined windows"):
            super().write_windows(windows)

    def count_visible(self, run_id: str, windows: Sequence[int]) -> dict[int, int]:  # noqa: D102  see Store
        with self.stages.of("joined windows"):
            return super().count_visible(run_id, windows)

    def _insert(self, table: str, rows: pa.Table) -> None:
        if table != "batches_stored":
            return super()._insert(table, rows)
        with self.stages.of("batches"):
            return super()._insert(table, rows)


def put_clocks(clocks: Clocks) -> None:
    """Into the worker's parts: what it does stays as it is."""
    stages = clocks.stages
    on_record, commit, announce = Pipeline.on_record, StreamApp.commit, _Worker._announce  # noqa: SLF001

    def seen(self: Pipeline, record: Record, now_s: float) -> int | None:
        clocks.record()
        with stages.of("pipeline"):
            return on_record(self, record, now_s)

    async def committed(self: StreamApp, offsets: Mapping[Place, int]) -> bool:
        done = await commit(self, offsets)
        if done:
            clocks.committed()
        return done

    async def announced(self: _Worker, flush: Flush, windows: list[JoinedWindow]) -> None:
        await announce(self, flush, windows)
        clocks.announced = True

    Pipeline.on_record = seen
    StreamApp.commit = stages.stepped("commit", committed)
    _Worker._announce = stages.stepped("events", announced)  # noqa: SLF001
    processors.admission.decode = stages.timed("decode", processors.admission.decode)
    processors.flushing.join_window = stages.timed("join", processors.flushing.join_window)


def peak_rss_bytes() -> int:
    """The most that this process had resident. Not by getrusage, which counts what its parent had as it was forked."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


async def drain(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Drain the run and give the figures."""
    clocks = Clocks()
    put_clocks(clocks)
    client = open_client(spec["store"])
    migrate(client)
    store = ClockedStore(client)
    store.stages = clocks.stages
    clocks.stages.has_engine = is_embedded(spec["store"])
    config = WorkerConfig(
        bootstrap=spec["broker"],
        topics=Topics(spec["prefix"], spec["partitions"]),
        group=spec["group"],
        window_us=WINDOW_US,
        drain_run=spec["run"],
    )
    summary = await run_worker(config, store, stop=asyncio.Event(), on_ready=lambda: None)
    store.close()
    return clocks.figures | {
        "batches": summary.batches,
        "windows": summary.windows,
        "late_windows": summary.late_windows,
        "dead_letters": summary.dead_letters,
        "peak_rss_bytes": peak_rss_bytes(),
    }


def main() -> None:
    """Measure and print."""
    print(json.dumps(uvloop.run(drain(json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
