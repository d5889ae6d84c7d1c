"""How much can one worker on one core do? Real batches in a real Kafka, worked off to the last commit.

    python -m benchmarks.worker [--outcomes 4000000] [--events 300000] [--rates 2000,40000] [--no-quix]

The run lies in Kafka before the worker starts (see `benchmarks.backlog`): at 2,000 requests a second a batch has 2,000
rows, at 40,000 there are two of 20,000 in each second. The worker is the product's own, with clocks in it, and has one
core and no more; Kafka has the other, and a store that is a server both. Everything is on: rows, batches, the join,
joined windows with a sketch per endpoint, events, commits after all of it; `loadflame verify` looks on what is stored.

Beside it, on the same core and in the same run, Quix Streams does much less, and stores nothing: a plain tumbling
count, of events as one JSON message each, and of the rows of the very same Arrow batches. `make bench-tools` installs
it. Machines differ and are noisy: compare rows with each other, not with another run.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.backlog import Backlog, Shape, publish, publish_events
from benchmarks.generator_peers import TOOLS
from benchmarks.one_worker import STAGES
from benchmarks.stored import bytes_by_table
from schemas.loading import ARROW_POOL
from schemas.topics import Topics
from tests.support.clickhouse_http import StoreProcess
from tests.support.kafka_server import KafkaServer

_CORES = os.sched_getaffinity(0)
BROKER_CORE, WORKER_CORE = min(_CORES), max(_CORES)
PARTITIONS = 4
AIM_PER_S = 1_000_000
EMBEDDED, SERVER = "chDB in process", "store server"
AIM_MIB = {EMBEDDED: 600, SERVER: 250}
AIM_OUTCOME_BYTES, AIM_SAMPLE_BYTES = 3.0, 5.0
MIB = 1 << 20
QUIX = TOOLS / "quix" / "bin" / "python"
_SIZES = (
    "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = {database:String} GROUP BY table"
)


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of a backlog. Seconds are from the first record, and from the start of the process, to the last
    commit; `cpu_s` is by stage, `server_cpu_s` what the store's server took meanwhile.
    """

    outcomes: int
    seconds: float
    seconds_with_start: float
    cpu_s: Mapping[str, float]
    server_cpu_s: float
    peak_rss_bytes: int
    bytes_per_outcome: float
    bytes_per_sample: float
    bytes_of_all: float
    checks: Mapping[str, bool | None]
    late_windows: int

    @property
    def per_s(self) -> float:
        """Outcomes a second from the first record to the last commit."""
        return self.outcomes / self.seconds

    @property
    def is_green(self) -> bool:
        """Whether what could be checked holds; nothing counts the requests of a target that there is not."""
        return all(ok for name, ok in self.checks.items() if name != "I0")


@dataclass(frozen=True, slots=True)
class Counted:
    """What Quix Streams counted, in the seconds from its first record to its last commit."""

    outcomes: int
    seconds: float

    @property
    def per_s(self) -> float:
        """Outcomes a second."""
        return self.outcomes / self.seconds


def pinned(command: list[str], **environment: str) -> Any:
    """Run on the worker's core; gives what it printed, as JSON."""
    done = subprocess.run(
        ["taskset", "-c", str(WORKER_CORE), *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def store_of(kind: str, folder: Path) -> Iterator[tuple[str, psutil.Process | None]]:
    """URL of an empty store, and the process of its server, if it has one: that would be on another machine, and here
    it has all that Kafka and the worker leave of both cores.
    """
    if kind == EMBEDDED:
        yield f"chdb://{folder}", None
        return
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _CORES)
    with StoreProcess(folder) as server:
        os.sched_setaffinity(0, ours)
        yield server.url(), psutil.Process(server.pid)


def drain(broker: str, topics: Topics, backlog: Backlog, kind: str, folder: Path) -> Drained:
    """Have one worker work a backlog off into an empty store."""
    group = f"{topics.prefix}-{folder.name}"
    with store_of(kind, folder) as (url, server):
        spec = {
            "broker": broker,
            "prefix": topics.prefix,
            "partitions": topics.partitions,
            "group": group,
            "run": backlog.run_id,
            "store": url,
        }
        server_before_s = _cpu_s(server)
        started_at_s = time.time()
        found = pinned([sys.executable, "-m", "benchmarks.one_worker", json.dumps(spec)], **dict([ARROW_POOL]))
        server_s = _cpu_s(server) - server_before_s
        checks = _verify(broker, topics, group, backlog.run_id, url)
        sizes = bytes_by_table(url)
    return Drained(
        outcomes=backlog.shape.outcomes,
        seconds=found["last_commit_at_s"] - found["first_record_at_s"],
        seconds_with_start=found["last_commit_at_s"] - started_at_s,
        cpu_s=found["cpu_s"],
        server_cpu_s=server_s,
        peak_rss_bytes=found["peak_rss_bytes"],
        bytes_per_outcome=sizes["requests_stored"] / backlog.shape.outcomes,
        bytes_per_sample=(sizes["samples_stored"] + sizes["stacks_stored"]) / backlog.samples,
        bytes_of_all=sum(sizes.values()) / backlog.shape.outcomes,
        checks=checks,
        late_windows=found["late_windows"],
    )


def _cpu_s(process: psutil.Process | None) -> float:
    return sum(process.cpu_times()[:2]) if process else 0.0


def _verify(broker: str, topics: Topics, group: str, run_id: str, url: str) -> dict[str, bool | None]:
    """What `loadflame verify` says."""
    done = subprocess.run(
        [sys.executable, "-m", "loadflame", "verify", run_id, "--json", "--broker", broker],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ
        | {
            "LOADFLAME_TOPIC_PREFIX": topics.prefix,
            "LOADFLAME_PARTITIONS": str(topics.partitions),
            "LOADFLAME_GROUP": group,
            "LOADFLAME_STORE": url,
        },
    )
    return {check["name"]: check["ok"] for check in json.loads(done.stdout)}


def quix(broker: str, topic: str, of: str, messages: int, outcomes: int) -> Counted:
    """Have Quix Streams count a topic."""
    spec = {"broker": broker, "topic": topic, "of": of, "group": f"quix-{topic}", "messages": messages}
    found = pinned([str(QUIX), str(Path(__file__).with_name("quix_count.py")), json.dumps(spec)])
    return Counted(outcomes, found["last_commit_at_s"] - found["first_record_at_s"])


def speeds(title: str, drained: Mapping[str, Drained], counted: Mapping[str, Counted]) -> Table:
    """Outcomes a second, and what each is in times of the others."""
    table = Table("", title=title)
    for name in ("outcomes/s", "with start", *(f"times {name}" for name in counted), "peak RSS", "B/outcome"):
        table.add_column(name, justify="right")
    for name in ("B/sample", "all tables, B/outcome", "verify"):
        table.add_column(name, justify="right")
    for name, one in drained.items():
        table.add_row(
            f"loadflame, {name}",
            _aim(one.per_s, AIM_PER_S, f"{one.per_s:,.0f}", least=True),
            f"{one.outcomes / one.seconds_with_start:,.0f}",
            *(f"{one.per_s / other.per_s:.1f}x" for other in counted.values()),
            _aim(one.peak_rss_bytes / MIB, AIM_MIB[name], f"{one.peak_rss_bytes / MIB:.0f} MiB"),
            _aim(one.bytes_per_outcome, AIM_OUTCOME_BYTES, f"{one.bytes_per_outcome:.2f}"),
            _aim(one.bytes_per_sample, AIM_SAMPLE_BYTES, f"{one.bytes_per_sample:.2f}"),
            f"{one.bytes_of_all:.2f}",
            "[green]green[/]" if one.is_green else f"[red]{dict(one.checks)}[/]",
        )
    for name, other in counted.items():
        table.add_row(name, f"{other.per_s:,.0f}")
    return table


def _aim(value: float, aim: float, text: str, *, least: bool = False) -> str:
    reached = value >= aim if least else value <= aim
    return f"[{'green' if reached else 'red'}]{text}[/] ({'>=' if least else '<='} {aim:,.0f})"


def stages(drained: Mapping[str, Drained]) -> Table:
    """CPU seconds per million outcomes, by stage."""
    table = Table("CPU s per million outcomes", *STAGES, "worker", "store server", "late windows")
    for name, one in drained.items():
        millions = one.outcomes / 1e6
        spent = [one.cpu_s[stage] / millions for stage in STAGES]
        server = f"{one.server_cpu_s / millions:.3f}" if one.server_cpu_s else ""
        table.add_row(name, *(f"{s:.3f}" for s in spent), f"{sum(spent):.3f}", server, str(one.late_windows))
    return table


def measure(broker: str, tps: int, outcomes: int, folder: Path, *, with_quix: bool) -> tuple[Backlog, Any, Any]:
    """Fill Kafka with one backlog and work it off into each kind of store."""
    topics = Topics(f"speed-{tps}-{time.time_ns()}", PARTITIONS)
    shape = Shape(tps, max(outcomes // tps, 2 * PARTITIONS))
    backlog = asyncio.run(publish(broker, topics, shape, run_id=f"speed-{tps}", copies=with_quix))
    drained = {kind: drain(broker, topics, backlog, kind, folder / f"{tps}-{at}") for at, kind in enumerate(AIM_MIB)}
    counted = {}
    if with_quix:
        counts = quix(broker, backlog.keyed_topic, "batches", backlog.keyed_messages, shape.outcomes)
        counted["Quix: rows of these batches"] = counts
    return backlog, drained, counted


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outcomes", type=int, default=4_000_000)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rates", default="2000,40000")
    parser.add_argument("--no-quix", action="store_true")
    options = parser.parse_args()
    with_quix = not options.no_quix and QUIX.exists()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # topics that were just made have no leader for a moment
    console = Console(width=max(190, Console().width))
    os.sched_setaffinity(0, {BROKER_CORE})  # and all that is started from here, but for the worker
    with tempfile.TemporaryDirectory() as name, KafkaServer(_made(Path(name) / "kafka")) as kafka:
        events = {}
        if with_quix:
            topic = f"events-{time.time_ns()}"
            count = asyncio.run(publish_events(kafka.bootstrap, topic, PARTITIONS, 20_000, options.events // 20_000))
            events["Quix: one JSON event each"] = quix(kafka.bootstrap, topic, "events", count, count)
        elif not options.no_quix:
            console.print("Quix Streams is not there to be measured beside: `make bench-tools` installs it")
        for tps in map(int, options.rates.split(",")):
            backlog, drained, counted = measure(kafka.bootstrap, tps, options.outcomes, Path(name), with_quix=with_quix)
            shape = backlog.shape
            title = f"{shape.outcomes:,} outcomes, {backlog.samples:,} samples, {backlog.messages:,} messages"
            console.print(speeds(f"{title}: {shape.tps:,} requests/s", drained, {**counted, **events}))
            console.print(stages(drained))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
