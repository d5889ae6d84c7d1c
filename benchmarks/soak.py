"""A long run at a steady rate: does anything grow, fall behind, or get stale?

    python -m benchmarks.soak [--minutes 30] [--tps 2000] [--server] [--embedded-broker] [--out FOLDER]

It is `loadflame run` itself (`loadflame.runs.run_here`): load, agent and worker as processes of their own, on a real
Kafka, against the sample shop. What is loaded is the shop's `/health`: two cores cannot hold 2,000 requests/s of
anything dearer beside the rest. With `--server` the store has a process of its own, else it is in the worker's.

Every few seconds the processes' resident memory, the group's lag and the size of the store are written to `soak.csv`;
in the end `minutes.csv` says how long requests waited to be readable, and `soak.svg` shows it all. A raw row waits
until its batch is named in the store (`stored_at`: as that last, small insert begins); a joined window until its event,
which comes once it is stored, is heard here. Ctrl-C ends the soak early, and what was measured is kept and judged.
"""

import argparse
import asyncio
import contextlib
import csv
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.freshness_figures import Waited, waited_s
from benchmarks.plot import Panel, svg
from benchmarks.soak_figures import MIB, Moment, Verdict, at_most, memory_verdicts
from benchmarks.soak_watch import PROCESSES, Watch
from benchmarks.stored import BY_SECOND, bytes_by_table, merged_bytes_by_table
from loadflame.broker import LocalBroker
from loadflame.checks import checks_table
from loadflame.commands.common import run_until_stopped
from loadflame.demo import sample_shop
from loadflame.runs import RunOutcome, run_here
from loadflame.settings import Settings
from loadflame.starting import new_run_id
from producers.load.plan import Plan
from schemas.errors import UserError
from sinks.connect import open_client
from tests.support.clickhouse_http import StoreProcess
from tests.support.kafka_server import KafkaServer

RAW_S, JOINED_S = 2.0, 3.0
GROWTH = 0.02
EMBEDDED_MIB, SERVER_MIB = 600, 250
OUTCOME_BYTES, SAMPLE_BYTES = 3.0, 5.0
_ROWS = (
    "SELECT window, toUnixTimestamp64Micro(addMicroseconds(scheduled_at, latency_us)) AS completed_us, "
    "toUnixTimestamp64Micro(stored_at) AS stored_us FROM requests_stored "
    "INNER JOIN (SELECT flush, stored_at FROM batches WHERE topic = 'requests' AND run = {run:String}) AS batch "
    "USING flush WHERE run = {run:String}"
)


def plan_of(url: str, tps: float, minutes: float) -> Plan:
    """A constant rate for long."""
    return Plan.model_validate(
        {
            "target": url,
            "service": "shop",
            "stages": [{"name": "soak", "soak": tps, "for": f"{round(minutes * 60)}s"}],
            "requests": [{"name": "health", "path": "/health"}],
        }
    )


async def soak(
    plan: Plan, settings: Settings, watch: Watch, run_id: str, *, pid: int, stop: asyncio.Event
) -> RunOutcome:
    """Run the plan as `loadflame run` does, and look on."""
    reading = asyncio.create_task(watch.read())
    reading.add_done_callback(lambda _: stop.set())  # who sees nothing any more need not go on
    try:
        return await run_here(
            plan,
            settings,
            profile=("--service", plan.service, "--pid", str(pid)),
            run_id=run_id,
            stop=stop,
            on_phase=watch.phase,
            on_window=watch.heard,
        )
    finally:
        if reading.done() and (error := reading.exception()):
            print(f"nothing was read any more: {error!r}", file=sys.stderr)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def waits(settings: Settings, run_id: str, seen_us: dict[int, int]) -> dict[str, Waited]:
    """How long raw rows and joined windows waited to be readable."""
    with contextlib.closing(open_client(settings.store_url)) as client:
        rows = client.query_arrow(_ROWS, {"run": run_id})
    windows, completed_us, stored_us = (rows[name].to_numpy() for name in ("window", "completed_us", "stored_us"))
    heard = np.isin(windows, list(seen_us))
    joined = waited_s(windows[heard], completed_us[heard], seen_us)
    return {
        "raw": Waited.of(completed_us, (stored_us - completed_us) / 1e6),
        "joined": Waited.of(completed_us[heard], joined),
    }


def counted(settings: Settings, run_id: str) -> list[int]:
    """Outcomes, samples and joined windows that are stored."""
    with contextlib.closing(open_client(settings.store_url)) as client:
        queries = [
            f"SELECT count() FROM {view} WHERE run = {{run:String}}" for view in ("requests", "samples", "windows")
        ]
        return [int(client.query(query, {"run": run_id}).result_rows[0][0]) for query in queries]


def merged(settings: Settings, run_id: str) -> str:
    """What the run takes once all parts are merged: the verdicts are of the store as it is right after it."""
    stored = merged_bytes_by_table(settings.store_url)
    outcomes, samples, windows = (max(count, 1) for count in counted(settings, run_id))
    return (
        f"once merged: {stored['requests_stored'] / outcomes:.2f} bytes an outcome, "
        f"{(stored['samples_stored'] + stored['stacks_stored']) / samples:.2f} a sample, and "
        f"{sum(stored[table] for table in BY_SECOND) / windows:.0f} a window for all that is joined, and batches"
    )


def verdicts(watch: Watch, waited: dict[str, Waited], settings: Settings, run_id: str) -> list[Verdict]:
    """One for each aim."""
    stored = bytes_by_table(settings.store_url)
    outcomes, samples, _ = counted(settings, run_id)
    sample_bytes = stored["samples_stored"] + stored["stacks_stored"]
    return [
        *memory_verdicts(watch.moments, GROWTH, SERVER_MIB if settings.store else EMBEDDED_MIB),
        at_most("raw rows readable, p99", waited["raw"].p99_s, RAW_S, "s"),
        at_most("joined windows readable, p99", waited["joined"].p99_s, JOINED_S, "s"),
        at_most("stored for an outcome", stored["requests_stored"] / max(outcomes, 1), OUTCOME_BYTES, "bytes"),
        at_most("stored for a sample", sample_bytes / max(samples, 1), SAMPLE_BYTES, "bytes"),
    ]


def picture(title: str, moments: Sequence[Moment], waited: dict[str, Waited]) -> str:
    """Everything over time."""
    minutes = [moment.at_s / 60 for moment in moments]
    names = [name for name in PROCESSES if any(name in moment.rss_bytes for moment in moments)]
    resident = {name: (minutes, [moment.rss_bytes.get(name, np.nan) / MIB for moment in moments]) for name in names}
    stale = {
        f"{name} {label}": ([number + 0.5 for number in range(len(one.minutes))], [pair[at] for pair in one.minutes])
        for name, one in waited.items()
        for at, label in enumerate(("p50", "p99"))
    }
    disk = [moment.store_bytes / MIB / (moment.outcomes / 1e6) if moment.outcomes else np.nan for moment in moments]
    panels = [
        Panel("resident memory, MiB", resident),
        Panel("from completion to readable, seconds, by minute", stale, limit=RAW_S),
        Panel("messages not committed past", {"lag": (minutes, [moment.lag for moment in moments])}),
        Panel("all of the store on disk, MiB per million outcomes", {"store": (minutes, disk)}),
    ]
    return svg(title, panels)


def write_minutes(path: Path, waited: dict[str, Waited]) -> None:
    """p50 and p99 of each minute, in seconds."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["minute", *(f"{name}_{label}_s" for name in waited for label in ("p50", "p99"))])
        for number in range(max(len(one.minutes) for one in waited.values())):
            pairs = [one.minutes[number] if number < len(one.minutes) else ("", "") for one in waited.values()]
            table.writerow([number, *(value for pair in pairs for value in pair)])


def tell(console: Console, found: Sequence[Verdict]) -> None:
    """A row for each aim."""
    table = Table("aim", "found", "")
    said = {True: "[green]holds[/]", False: "[red]does not hold[/]", None: "cannot tell"}
    for one in found:
        table.add_row(one.aim, one.found, said[one.ok])
    console.print(table)


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--tps", type=float, default=2000)
    parser.add_argument("--server", action="store_true", help="the store in a process of its own")
    parser.add_argument("--embedded-broker", action="store_true", help="Tansu instead of Apache Kafka")
    parser.add_argument("--out", type=Path, help="folder for the files; default .cache/soak/RUN")
    options = parser.parse_args()
    console, run_id = Console(width=max(120, Console().width)), new_run_id()
    out = options.out or Path(".cache", "soak", run_id)
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("kafka", "data", "store"):
            (folder / name).mkdir()
        broker = stack.enter_context(LocalBroker() if options.embedded_broker else KafkaServer(folder / "kafka"))
        url, pid = stack.enter_context(sample_shop())
        pids, store = {"broker": broker.pid, "service": pid}, None
        if options.server:
            server = stack.enter_context(StoreProcess(folder / "store"))
            store, pids["store"] = server.url(), server.pid
        settings = Settings(broker=broker.bootstrap, data_dir=folder / "data", store=store)
        watch = Watch(settings, folder / "store" if store else folder / "data" / "store", pids, out)
        plan = plan_of(url, options.tps, options.minutes)
        try:
            outcome = run_until_stopped(lambda stop: soak(plan, settings, watch, run_id, pid=pid, stop=stop))
        except UserError as error:
            sys.exit(f"soak: {error}; what was read is in {out}")
        waited = waits(settings, run_id, watch.seen_us)
        found = verdicts(watch, waited, settings, run_id)
        in_time = merged(settings, run_id)
    title = f"{options.tps:g} requests/s to the sample shop, run {run_id}"
    write_minutes(out / "minutes.csv", waited)
    (out / "soak.svg").write_text(picture(title, watch.moments, waited))
    console.print(checks_table(outcome.checks))
    tell(console, found)
    print(in_time)
    print(f"written: {out}/soak.csv, minutes.csv, soak.svg")
    if outcome.failure or any(one.ok is False for one in found):
        sys.exit(f"soak: {outcome.failure}" if outcome.failure else 1)


if __name__ == "__main__":
    main()
