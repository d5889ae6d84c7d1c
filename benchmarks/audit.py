"""Are loadflame's times true? Each request's latency and send time against the kernel's timestamps on loopback.

    python -m benchmarks.audit [--tps 500] [--seconds 10]      (needs root, or CAP_NET_RAW)

nginx answers on one core; the load runs in a process of its own, and this one listens to the packets (see `packets`).
A request carries its number in its path, and its row is the one of that number in the order of the schedule. Compared
are

- the time from the request's first byte to its answer's last one: loadflame's `ended - written` less the kernel's,
  which is what it takes to be told of an answer: waking up, the event loop, the parser;
- the moment of sending: loadflame's `written` less the kernel's, which is the rest of the system call and, where
  clocks are adjusted meanwhile, their difference.

Neither has the wait between schedule and sending in it, which is recorded apart (the lags).

Rows are rounded (see `schemas.precision`): a lag of 50 us by up to 4 us, a latency of 500 us by up to 3 us, to either
side, and the percentiles widen by as much.
"""

import argparse
import asyncio
import io
import subprocess
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

import numpy as np
import uvloop
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.generator_services import Nginx, nginx
from benchmarks.packets import Capture, exchanges
from producers.load.plan import Plan
from producers.load.runner import run_load
from producers.publisher import MemoryPublisher

SERVER_CORE, LOAD_CORE = 0, 1
MARK = "audit-"
ENGINES = ("wire", "aiohttp")
QUANTILES = {"min": 0, "p1": 1, "median": 50, "p99": 99, "max": 100}


async def load(url: str, tps: float, seconds: float, engine: str) -> NDArray[np.int64]:
    """Written and ended (Unix microseconds) of each request, shape (requests, 2), in the order of the schedule."""
    plan = Plan.model_validate(
        {
            "target": url.rstrip("/"),
            "stages": [{"name": "hold", "hold": tps, "for": seconds}],
            "requests": [{"name": "only", "path": f"/{MARK}{{{{counter}}}}"}],
            "engine": engine,
        }
    )
    publisher = MemoryPublisher()
    totals = await run_load(
        plan, publisher=publisher, run_id="audit", start_at_us=0, window_us=1_000_000, stop=asyncio.Event()
    )
    assert totals.completed == totals.scheduled, totals

    def column(name: str) -> NDArray[np.int64]:
        parts = [batch.rows.column(name).cast("int64").to_numpy() for batch in publisher.batches]
        return np.concatenate(parts)

    due_us = column("scheduled_at")
    order = np.argsort(due_us)
    return np.stack([due_us + column("write_lag_us"), due_us + column("latency_us")], axis=1)[order]


def compared(rows: NDArray[np.int64], kernel: Mapping[int, tuple[float, float]]) -> dict[str, NDArray[np.float64]]:
    """Loadflame's less the kernel's, microseconds, one value a request that both know; `kernel` is asked, answered."""
    numbers = np.array(sorted(kernel))
    asked_us, answered_us = np.array([kernel[number] for number in numbers]).T
    written_us, ended_us = rows[numbers].T
    return {
        "kernel's own: last byte - first byte": answered_us - asked_us,
        "latency: (ended - written) - kernel's": (ended_us - written_us) - (answered_us - asked_us),
        "sending: written - kernel's first byte": written_us - asked_us,
        "told of the answer: ended - kernel's last byte": ended_us - answered_us,
    }


def measure(target: Nginx, tps: float, seconds: float, engine: str) -> tuple[int, dict[str, NDArray[np.float64]]]:
    """One load and what the packets say of it; gives how many requests there were."""
    port = urlsplit(target.url).port
    assert port is not None
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.audit"]
    with Capture(port) as capture:
        told = subprocess.run(
            [*command, "--load", engine, "--url", target.url, "--tps", str(tps), "--seconds", str(seconds)],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    rows = np.load(io.BytesIO(told))
    seen = exchanges(capture.packets(), port, MARK.encode())
    return len(rows), compared(rows, {number: (one.asked_us, one.answered_us) for number, one in seen.items()})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tps", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--load", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        np.save(sys.stdout.buffer, uvloop.run(load(options.url, options.tps, options.seconds, options.load)))
        return
    table = Table("engine", "loadflame's less the kernel's, microseconds", title=f"Audit at {options.tps:g} requests/s")
    for name in ("requests", "matched", *QUANTILES):
        table.add_column(name, justify="right")
    with nginx(SERVER_CORE) as target:
        for engine in ENGINES:
            try:
                requests, found = measure(target, options.tps, options.seconds, engine)
            except PermissionError:
                sys.exit("the audit listens to packets on loopback: run it as root, or give python CAP_NET_RAW")
            for name, values in found.items():
                cells = (f"{value:,.0f}" for value in np.percentile(values, list(QUANTILES.values())))
                table.add_row(engine, name, f"{requests:,}", f"{len(values):,}", *cells)
            table.add_section()
    Console(width=max(120, Console().width)).print(table)


if __name__ == "__main__":
    main()
