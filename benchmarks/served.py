"""Who pays for which function, as it is seen on threads, beside what the functions say themselves.

    python -m benchmarks.served [--seconds 40] [--tps 60]

Three services whose functions time themselves by their threads' clock, Flask in a pool of threads, FastAPI on an event
loop, and FastAPI that hands work on to threads (`def` endpoints) and to other tasks, are asked by six clients for one
`checkout` and three searches in four, at random times, and watched by `loadflame observe --socket` meanwhile. Printed
are microseconds for each request of an endpoint, with the report's interval, beside the clock's, and of how much of the
CPU no request is known. The mix is the same the whole time.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.serving import free_port
from tests.support.commands import environment_of
from tests.support.paying_services import NAMES, ask, difference, paying, truth

PAID = (("rank", "search"), ("sign", "checkout"), ("render", "search"), ("render", "checkout"))


def watched(kind: str, seconds: float, tps: float) -> tuple[dict[str, Any], dict[str, float]]:
    """The report of one service under this traffic, and what its functions say, in microseconds a request."""
    with tempfile.TemporaryDirectory(prefix="loadflame-") as name:
        folder = Path(name)
        told = folder / "told"
        with paying(kind, folder, told, free_port()) as (url, pid):
            command = [sys.executable, "-P", "-m", "loadflame", "observe", "--socket", str(told), "--pid", str(pid)]
            observing = subprocess.Popen(
                [*command, "--service", "shop", "--json", "--no-web"],
                env=os.environ | environment_of(folder / "data"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            with observing:
                assert observing.stderr is not None
                next(line for line in observing.stderr if "watching" in line)
                before = truth(url)
                ask(url, seconds, tps=tps)
                after = truth(url)
                observing.send_signal(signal.SIGINT)
                report, _ = observing.communicate(timeout=120)
    return json.loads(report), difference(after, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--tps", type=float, default=60)
    asked = parser.parse_args()
    table = Table(title=f"us for each request, {asked.seconds:g} s, {os.cpu_count()} cores")
    for column in ("service", "function, endpoint", "true", "found", "95%", "found / true", "share of the function"):
        table.add_column(column)
    notes = []
    for kind in NAMES:
        report, true_us = watched(kind, asked.seconds, asked.tps)
        names = {"search": NAMES[kind], "checkout": "GET /checkout"}
        costs = {(one["function"], cost["endpoint"]): cost for one in report["functions"] for cost in one["endpoints"]}
        for function, endpoint in PAID:
            cost, true = costs.get((function, names[endpoint])), true_us[f"{function} {endpoint}"]
            if cost is None:
                table.add_row(kind, f"{function}, {endpoint}", f"{true:,.0f}", "too few samples")
                continue
            us = cost["us_per_request"]
            interval = f"{cost['us_low']:,.0f} to {cost['us_high']:,.0f}"
            share = f"{cost['share']:.1%}"
            table.add_row(
                kind, f"{function}, {endpoint}", f"{true:,.0f}", f"{us:,.0f}", interval, f"{us / true:.2f}", share
            )
        notes.append(f"{kind}: {report['endpoints_note']}")
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note)


if __name__ == "__main__":
    main()
