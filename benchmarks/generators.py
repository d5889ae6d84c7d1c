"""How much can a generator do on one core? loadflame's engines beside k6, vegeta, Locust and wrk, in one run.

    python -m benchmarks.generators [--seconds 6] [--tools wire,aiohttp,k6,vegeta,locust,wrk]

nginx answers two bytes on one core, the generator has the other. loadflame records every outcome and streams it to the
embedded broker (which runs on nginx's core); the others keep totals. wire and aiohttp run in the open model and must
hold the rate: 99.5% of it answered, p99 of the send lag under 10 ms; the highest such rate counts, found by bisection.
The others are asked for more than they can do, and what was answered counts. wrk and Locust know closed loops only.
`make bench-tools` installs the peers; what is not there is named as absent.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.generator_services import Nginx, nginx
from loadflame.broker import LocalBroker

SERVER_CORE, GENERATOR_CORE = 0, 1
HELD_SHARE, HELD_LAG_MS = 0.995, 10.0
CONNECTIONS = 128
TOOLS = Path(os.environ.get("LOADFLAME_BENCH_TOOLS", ".cache/bench-tools"))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a tool did; `server_share` is nginx's share of its core meanwhile."""

    tool: str
    model: str
    tps: float
    server_share: float
    note: str = ""


class AbsentError(Exception):
    """The tool is not installed."""


def program(name: str) -> str:
    """Where a peer is."""
    found = shutil.which(name, path=f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise AbsentError
    return found


def pinned(*command: str, **more: object) -> str:
    """Run on the generator's core and give its standard output."""
    done = subprocess.run(
        ["taskset", "-c", str(GENERATOR_CORE), *command], stdout=subprocess.PIPE, text=True, check=False, **more
    )
    return done.stdout


def ours(engine: str, target: Nginx, seconds: float, highest_tps: float) -> Figures:
    """The highest rate that an engine holds, to within 4%."""
    held: dict[str, float] = {}
    shares: list[float] = []
    with LocalBroker() as broker:
        os.sched_setaffinity(broker.pid, {SERVER_CORE})

        def holds(tps: float) -> bool:
            before_s = target.cpu_s()
            said = pinned(
                *(sys.executable, "-m", "benchmarks.one_load", target.url, str(tps), str(seconds), engine),
                broker.bootstrap,
            )
            one = json.loads(said)
            if one["tps"] >= HELD_SHARE * tps and one["lag_p99_ms"] < HELD_LAG_MS and one["failed"] == 0:
                held.update(one)
                shares.append((target.cpu_s() - before_s) / seconds)
                return True
            return False

        low, high = 0.0, highest_tps
        tps = highest_tps / 2
        while high - low > 0.04 * high:
            low, high = (tps, high) if holds(tps) else (low, tps)
            tps = (low + high) / 2
    note = f"send lag p50 {held['lag_p50_ms']:.2f}, p99 {held['lag_p99_ms']:.2f} ms; {held['cpu_s'] / seconds:.2f} core"
    return Figures(engine, "open, recorded and streamed", held["tps"], shares[-1], note)


def peer(tool: str, target: Nginx, seconds: float) -> Figures:
    """What a peer does when asked for more than it can."""
    before_s = target.cpu_s()
    model, tps = PEERS[tool](target.url, seconds)
    return Figures(tool, model, tps, (target.cpu_s() - before_s) / seconds)


def k6(url: str, seconds: float) -> tuple[str, float]:
    """k6, constant arrival rate."""
    script = f"""
        import http from 'k6/http';
        export const options = {{ discardResponseBodies: true, scenarios: {{ s: {{
          executor: 'constant-arrival-rate', rate: 30000, timeUnit: '1s', duration: '{seconds:.0f}s',
          preAllocatedVUs: {CONNECTIONS}, maxVUs: {CONNECTIONS} }} }} }};
        export default function () {{ http.get('{url}'); }}
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "s.js").write_text(script)
        summary = Path(folder) / "summary.json"
        environment = os.environ | {"GOMAXPROCS": "1", "K6_NO_USAGE_REPORT": "true"}
        pinned(
            program("k6"),
            *("run", "--quiet", "--no-color", "--address", "", "--summary-export", str(summary), f"{folder}/s.js"),
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        return "open", json.loads(summary.read_text())["metrics"]["http_reqs"]["rate"]


def vegeta(url: str, seconds: float) -> tuple[str, float]:
    """vegeta, as fast as its workers can."""
    with tempfile.TemporaryDirectory() as folder:
        results = f"{folder}/results.bin"
        attack = ("attack", "-rate=0", f"-max-workers={CONNECTIONS}", f"-duration={seconds:.0f}s", f"-output={results}")
        pinned(program("vegeta"), *attack, input=f"GET {url}\n", env=os.environ | {"GOMAXPROCS": "1"})
        report = pinned(program("vegeta"), "report", "-type=json", results)
    return "closed, as fast as it can", json.loads(report)["throughput"]


def locust(url: str, seconds: float) -> tuple[str, float]:
    """Locust with FastHttpUser."""
    users = """
        from locust import FastHttpUser, constant, task
        class User(FastHttpUser):
            wait_time = constant(0)
            @task
            def get(self):
                self.client.get("/")
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "locustfile.py"
        file.write_text("\n".join(line[8:] for line in users.splitlines()))
        pinned(
            program("locust"),
            *("-f", str(file), "--headless", "-u", "50", "-r", "50", "-t", f"{seconds:.0f}s", "-H", url.rstrip("/")),
            *("--csv", f"{folder}/out", "--only-summary"),
            stderr=subprocess.DEVNULL,
        )
        header, *rows = (line.split(",") for line in (Path(folder) / "out_stats.csv").read_text().splitlines())
        total = next(row for row in rows if row[header.index("Name")] == "Aggregated")
        return "closed", float(total[header.index("Requests/s")])


def wrk(url: str, seconds: float) -> tuple[str, float]:
    """One thread of wrk."""
    said = pinned(program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", url)
    match = re.search(r"Requests/sec:\s*([\d.]+)", said)
    assert match is not None, said
    return "closed", float(match[1])


PEERS: dict[str, Callable[[str, float], tuple[str, float]]] = {
    "k6": k6,
    "vegeta": vegeta,
    "locust": locust,
    "wrk": wrk,
}
OURS = {"wire": 120_000.0, "aiohttp": 16_000.0}
"""Rates that are certainly too high for them."""


def table_of(rows: list[Figures], absent: list[str]) -> Table:
    """One row a tool, and what wire does for each that it does."""
    wire_tps = next((row.tps for row in rows if row.tool == "wire"), None)
    title = f"requests/s on one core, nginx on another{'; absent: ' + ', '.join(absent) if absent else ''}"
    table = Table("tool", "model", title=title)
    for name in ("requests/s", "wire does", "nginx's core"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        times = f"{wire_tps / row.tps:.2f}x" if wire_tps else ""
        table.add_row(row.tool, row.model, f"{row.tps:,.0f}", times, f"{row.server_share:.0%}", row.note)
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--tools", default=",".join((*OURS, *PEERS)))
    options = parser.parse_args()
    rows: list[Figures] = []
    absent: list[str] = []
    with nginx(SERVER_CORE) as target:
        for tool in options.tools.split(","):
            try:
                if tool in OURS:
                    rows.append(ours(tool, target, options.seconds, OURS[tool]))
                else:
                    rows.append(peer(tool, target, options.seconds))
            except AbsentError:
                absent.append(tool)
    Console(width=max(120, Console().width)).print(table_of(rows, absent))


if __name__ == "__main__":
    main()
