"""Does a stall of the service show as long as it was? Coordinated omission, against arithmetic.

    python -m benchmarks.omission [--tps 200] [--periods 6] [--cap 5]

The service stalls for S = 500 ms at the end of every C = 5 s and answers at once otherwise. Arrivals at a constant rate
fall into a stall with probability S/C, and those that do come at times spread uniformly over it, so they wait uniformly
from 0 to S:

    P(wait > x) = (S - x) / C  for 0 <= x < S      hence      quantile(q) = S - (1 - q) * C,  and 0 below q = 1 - S/C

that is 450 ms for the p99 and 495 ms for the p99.9. With at most `cap` requests in flight the first `cap` arrivals of a
stall wait for its end and the others, (S - cap / rate) / C of all, are dropped. The percentiles of what was answered
would then look splendid; with the dropped as right-censored (see `statistics.percentiles`) they print as `> x`.

Tools in the closed model stand beside: each of their users waits with the service, so a stall is one slow request a
user, however many would have come meanwhile. They are given about the same rate, but for wrk, which knows none; wrk
does see the stall, because it adds the samples that it thinks it left out (`stats_correct` in its source, after Gil
Tene's HdrHistogram). `make bench-tools` installs the peers; what is not there is named as absent.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from analysis.statistics.percentiles import Latencies, Percentile
from benchmarks.generator_peers import AbsentError, program
from benchmarks.stalling import stalling
from producers.load.plan import Plan
from producers.load.runner import run_load
from producers.publisher import MemoryPublisher
from views.tables import milliseconds

PERIOD_S, STALL_S = 5.0, 0.5
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
AGREES = 0.05
_USERS = 2
_WRK_SCRIPT = """
    done = function(summary, latency)
        io.write(string.format("FOUND %d %d %d %d\\n", summary.requests,
            latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
    end
"""
_K6_SCRIPT = """
    import http from 'k6/http';
    import {{ sleep }} from 'k6';
    export const options = {{ vus: {users}, duration: '{seconds}s', discardResponseBodies: true }};
    export default function () {{ http.get('{url}/'); sleep({pause_s}); }}
"""
_LOCUST_FILE = """
    from locust import HttpUser, constant_throughput, task
    class User(HttpUser):
        wait_time = constant_throughput({each})
        @task
        def get(self):
            self.client.get("/")
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a tool says; percentiles by the names in QUANTILES. `naive_us` is the p99 of what was answered."""

    tool: str
    requests: int
    percentiles: Mapping[str, Percentile]
    dropped: int = 0
    naive_us: float | None = None


def expected_us(q: float, *, period_s: float = PERIOD_S, stall_s: float = STALL_S) -> float:
    """The quantile q of what arrivals at a constant rate wait, in microseconds; see above."""
    return max(stall_s - (1 - q) * period_s, 0.0) * 1e6


def expected_drop_share(tps: float, cap: int, *, period_s: float = PERIOD_S, stall_s: float = STALL_S) -> float:
    """The part of all arrivals that meets a cap of so many in flight; see above."""
    return max(stall_s - cap / tps, 0.0) / period_s


async def ours(url: str, stage: Mapping[str, object], engine: str, cap: int) -> tuple[int, Latencies]:
    """One load; gives how many arrivals were dropped, and the latencies with those as censored."""
    plan = Plan.model_validate(
        {
            "target": url,
            "stages": [{"name": "stalls"} | stage],
            "requests": [{"name": "only", "path": "/"}],
            "engine": engine,
            "max_in_flight": cap,
        }
    )
    publisher = MemoryPublisher()
    totals = await run_load(
        plan, publisher=publisher, run_id="omission", start_at_us=0, window_us=1_000_000, stop=asyncio.Event()
    )
    assert totals.failed == totals.in_flight_at_end == 0, totals
    waited = np.concatenate([batch.rows.column("latency_us").to_numpy() for batch in publisher.batches])
    values, counts = np.unique(waited, return_counts=True)
    answered = zip(values.tolist(), counts.tolist(), strict=True)
    return totals.dropped, Latencies.of(answered, [(0.0, totals.dropped)])


def figures(tool: str, dropped: int, latencies: Latencies) -> Figures:
    """Percentiles as the report has them."""
    found = {name: latencies.quantile(q) or Percentile(0.0) for name, q in QUANTILES.items()}
    answered = Latencies(latencies.answered_us, latencies.answered, latencies.censored_us[:0], latencies.censored[:0])
    naive = answered.quantile(0.99)
    return Figures(tool, latencies.count, found, dropped, naive.us if naive is not None else None)


def wrk(url: str, seconds: float, _: float) -> Figures:
    """One thread, two connections, as fast as they can."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "done.lua"
        script.write_text(textwrap.dedent(_WRK_SCRIPT))
        command = (program("wrk"), "-t1", f"-c{_USERS}", f"-d{seconds:.0f}s", "-s", str(script), f"{url}/")
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    match = re.search(r"FOUND (\d+) (\d+) (\d+) (\d+)", said)
    assert match is not None, said
    requests, *found_us = (float(one) for one in match.groups())
    by_name = dict(zip(QUANTILES, map(Percentile, found_us), strict=True))
    return Figures("wrk, which adds samples", int(requests), by_name)


def k6(url: str, seconds: float, tps: float) -> Figures:
    """Two virtual users who pause between requests."""
    with tempfile.TemporaryDirectory() as folder:
        script, summary = Path(folder) / "script.js", Path(folder) / "summary.json"
        script.write_text(_K6_SCRIPT.format(users=_USERS, seconds=round(seconds), pause_s=_USERS / tps, url=url))
        command = (
            *(program("k6"), "run", "--quiet", "--no-color", "--address", "", "--summary-export", str(summary)),
            *("--summary-trend-stats", "p(50),p(99),p(99.9)", str(script)),
        )
        environment = os.environ | {"K6_NO_USAGE_REPORT": "true"}
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, env=environment)
        metrics = json.loads(summary.read_text())["metrics"]
    found = (metrics["http_req_duration"][name] for name in ("p(50)", "p(99)", "p(99.9)"))
    by_name = {name: Percentile(ms * 1e3) for name, ms in zip(QUANTILES, found, strict=True)}
    return Figures(f"k6, {_USERS} VUs", metrics["http_reqs"]["count"], by_name)


def locust(url: str, seconds: float, tps: float) -> Figures:
    """Two users who keep to the rate when they are let; its percentiles are rounded by Locust itself."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "locustfile.py"
        file.write_text(textwrap.dedent(_LOCUST_FILE).format(each=tps / _USERS))
        command = (
            *(program("locust"), "-f", str(file), "--headless", "-u", str(_USERS), "-r", str(_USERS)),
            *("-t", f"{seconds:.0f}s", "-H", url, "--csv", f"{folder}/out", "--only-summary"),
        )
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, env=os.environ)
        header, *rows = (line.split(",") for line in (Path(folder) / "out_stats.csv").read_text().splitlines())
    total = dict(zip(header, next(row for row in rows if row[1] == "Aggregated"), strict=True))
    by_name = {
        name: Percentile(float(total[column]) * 1e3)
        for name, column in zip(QUANTILES, ("50%", "99%", "99.9%"), strict=True)
    }
    return Figures(f"Locust, {_USERS} users", int(total["Request Count"]), by_name)


PEERS: dict[str, Callable[[str, float, float], Figures]] = {"k6": k6, "locust": locust, "wrk": wrk}


def measure(tps: float, periods: int, cap: int) -> tuple[list[tuple[str, list[Figures]]], list[str]]:
    """Everything, one after the other; gives the rows by heading and which peers are absent."""
    seconds = PERIOD_S * periods
    steady, crowd = {"hold": tps, "for": seconds}, {"users": _USERS, "for": seconds}
    think = {"think": _USERS / tps}
    beside: list[Figures] = []
    absent: list[str] = []
    with stalling(PERIOD_S, STALL_S) as url:
        uncapped = [
            figures(f"{engine}, no cap", *uvloop.run(ours(url, steady, engine, 100_000)))
            for engine in ("wire", "aiohttp")
        ]
        capped = [
            figures(f"{engine}, cap {cap}", *uvloop.run(ours(url, steady, engine, cap)))
            for engine in ("wire", "aiohttp")
        ]
        beside.append(figures(f"wire, {_USERS} users", *uvloop.run(ours(url, crowd | think, "wire", 100_000))))
        for name, peer in PEERS.items():
            try:
                beside.append(peer(url, seconds, tps))
            except AbsentError:
                absent.append(name)
    return [("open", uncapped), ("open", capped), ("closed", beside)], absent


def _cell(found: Percentile, expected: float) -> str:
    if found.censored:
        return f"> {milliseconds(found.us / 1e3)}"
    off = f" ({found.us / expected - 1:+.1%})" if expected else ""
    return f"{milliseconds(found.us / 1e3)}{off}"


def table_of(groups: list[tuple[str, list[Figures]]], tps: float, cap: int, absent: list[str]) -> Table:
    """One row a tool, milliseconds; in brackets how far from arithmetic."""
    missing = f"; absent: {', '.join(absent)}" if absent else ""
    table = Table(
        "model",
        "tool",
        title=f"{STALL_S * 1e3:.0f} ms of stall every {PERIOD_S:g} s at {tps:g} requests/s, ms{missing}",
    )
    for name in ("requests", "dropped", *QUANTILES, "p99 of the answered"):
        table.add_column(name, justify="right")
    wanted = {name: expected_us(q) for name, q in QUANTILES.items()}
    table.add_row("", "arithmetic", "", "0", *(milliseconds(us / 1e3) for us in wanted.values()), "")
    share = expected_drop_share(tps, cap)
    table.add_row("", f"arithmetic, cap {cap}", "", f"{share:.1%}", *[""] * len(QUANTILES), "", end_section=True)
    for model, rows in groups:
        for row in rows:
            cells = [_cell(row.percentiles[name], wanted[name]) for name in QUANTILES]
            naive = milliseconds(row.naive_us / 1e3) if row.dropped and row.naive_us is not None else ""
            dropped = f"{row.dropped / row.requests:.1%}" if row.dropped else "0"
            table.add_row(model, row.tool, f"{row.requests:,}", dropped, *cells, naive, end_section=row is rows[-1])
    return table


def agree(uncapped: list[Figures], capped: list[Figures]) -> bool:
    """Whether every percentile is what arithmetic gives to within 5%, and a bound below it where it is censored."""
    tail = {name: expected_us(QUANTILES[name]) for name in ("p99", "p99.9")}
    near = all(abs(row.percentiles[name].us / us - 1) <= AGREES for row in uncapped for name, us in tail.items())
    bounds = all(
        row.percentiles[name].censored and row.percentiles[name].us <= us * (1 + AGREES)
        for row in capped
        for name, us in tail.items()
    )
    return near and bounds and not any(one.censored for row in uncapped for one in row.percentiles.values())


def main() -> None:
    """Measure, print, and say whether it agrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tps", type=float, default=200)
    parser.add_argument("--periods", type=int, default=6, help="how many stalls each tool meets")
    parser.add_argument("--cap", type=int, default=5)
    options = parser.parse_args()
    groups, absent = measure(options.tps, options.periods, options.cap)
    Console(width=max(120, Console().width)).print(table_of(groups, options.tps, options.cap, absent))
    if not agree(groups[0][1], groups[1][1]):
        sys.exit(f"the open model's percentiles are off by more than {AGREES:.0%}")


if __name__ == "__main__":
    main()
