"""Do several demo runs in a row agree on what stops the sample shop?

    python -m benchmarks.demo_agrees [--runs 3] [--visits 3]

Each run is `loadflame demo --json` with an empty data folder. What must be true of every one: the planted function
(`Shop.sweep_sessions` of loadflame/sample/shop.py, as long as the recent traffic) is superlinear with the low end of
its interval above 1.15, and the first of those that grow; the linear one (`Shop.rank_products`) is not superlinear;
that only the checkout pays for `Shop.sign_receipt` is found, and no endpoint is said to pay for what others call as
well; at least 97% of the time is profiled; every request is counted; it takes at most 100 s. Exit code 1 when a run
says otherwise. Three runs take five minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from loadflame.demo import VISITS

PLANTED, LINEAR = "Shop.sweep_sessions", "Shop.rank_products"
PAYERS = {
    "Shop.sign_receipt": "checkout",
    "Shop.rank_products": "search",
    "checkout": "checkout",
    "search": "search",
    "product_page": "product",
}
"""Functions of the shop that one endpoint alone calls. That of `SIGNED` must be found; the others may be."""
SIGNED = "Shop.sign_receipt"
LOWEST_GROWTH, LEAST_COVERAGE, LONGEST_S = 1.15, 0.97, 100.0
_GIVEN_UP_S = 600.0
_PAID = "{endpoint}: {us_per_request:.0f} us [{us_low:.0f}, {us_high:.0f}], {share:.0%} of it"

Report = Mapping[str, Any]
"""The JSON of `loadflame report`."""


def demo(*arguments: str, data_dir: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end, without the settings of whoever asks."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOADFLAME_")}
    command = [sys.executable, "-m", "loadflame", "demo", "--json", "--data-dir", data_dir, *arguments]
    return subprocess.run(command, env=clean, capture_output=True, text=True, timeout=_GIVEN_UP_S, check=False)


def function_of(report: Report, name: str) -> dict[str, Any]:
    """A function's row; empty when the report has none."""
    return next((one for one in report["functions"] if one["function"] == name), {})


def uncounted(report: Report) -> list[str]:
    """Where the accounting does not close, a phrase each."""
    it = report["accounting"]
    ended = it["completed"] + it["failed"]
    scheduled = ended + it["dropped"] + it["in_flight_at_end"]
    sums = {
        "sent, counted by the shop": (it["sent"], it["target_counted"]),
        "scheduled, accounted for": (it["scheduled"], scheduled),
        "ended, stored": (ended, it["stored"]),
        "dead letters, none": (it["dead_letters"], 0),
    }
    return [f"{what}: {one} and {other}" for what, (one, other) in sums.items() if one != other]


def unfound(report: Report) -> list[str]:
    """What the findings should say and do not, a phrase each."""
    planted, linear = function_of(report, PLANTED), function_of(report, LINEAR)
    wrong = []
    if planted.get("shape") != "superlinear":
        wrong.append(f"{PLANTED} is {planted.get('shape', 'not seen')}")
    elif planted["growth_low"] <= LOWEST_GROWTH:
        wrong.append(f"{PLANTED} grows by {planted['growth_low']:.2f} at least")
    if linear.get("shape", "superlinear") == "superlinear":
        wrong.append(f"{LINEAR} is {linear.get('shape', 'not seen')}")
    growing = [finding["function"] for finding in report["findings"] if finding["kind"] == "superlinear"]
    if growing and not growing[0].startswith(f"{PLANTED} "):
        wrong.append(f"{growing[0]} comes first")
    return wrong


def paid(report: Report, name: str) -> dict[str, Any]:
    """The figures of the finding that one endpoint pays for a function; empty when there is none."""
    rows = (one for one in report["findings"] if one["kind"] == "endpoint" and one["function"].split(" ")[0] == name)
    return next((one["evidence"] for one in rows), {})


def misblamed(report: Report) -> list[str]:
    """Findings that an endpoint pays for what it does not, a phrase each."""
    blamed = [
        (one["function"].split(" ")[0].partition(".<locals>")[0], one["evidence"]["endpoint"])
        for one in report["findings"]
        if one["kind"] == "endpoint"
    ]
    return [f"{endpoint} is said to pay for {name}" for name, endpoint in blamed if PAYERS.get(name) != endpoint]


def disagreements(report: Report, took_s: float) -> list[str]:
    """Everything about a run that is not as it must be."""
    wrong = [*uncounted(report), *unfound(report), *misblamed(report)]
    if not paid(report, SIGNED):
        wrong.append(f"nobody is said to pay for {SIGNED}")
    if report["profile"]["coverage"] < LEAST_COVERAGE:
        wrong.append(f"{report['profile']['coverage']:.1%} of the time was profiled")
    if took_s > LONGEST_S:
        wrong.append(f"it took {took_s:.0f} s")
    return wrong


def row_of(report: Report, took_s: float, wrong: list[str]) -> list[str]:
    """A run as a row of the table."""
    growths = []
    for name in (PLANTED, LINEAR):
        one = function_of(report, name)
        known = one.get("growth") is not None
        growths.append(
            f"{one['growth']:.2f} [{one['growth_low']:.2f}, {one['growth_high']:.2f}] {one['shape']}" if known else "–"
        )
    it, signed = report["accounting"], paid(report, SIGNED)
    return [
        report["run"]["verdict"],
        *growths,
        _PAID.format(**signed) if signed else "–",
        f"{report['profile']['coverage']:.1%}",
        f"{it['stored']:,} of {it['scheduled']:,}",
        f"{took_s:.0f} s",
        "; ".join(wrong) or "agrees",
    ]


def main() -> None:
    """Run, print, and say by the exit code whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--visits", type=int, default=VISITS, help="of each level, as `loadflame demo --visits`")
    options = parser.parse_args()
    table = Table(title="The demo, run after run")
    for name in ("verdict", PLANTED, LINEAR, SIGNED, "profiled", "stored", "wall time", "does it agree?"):
        table.add_column(name)
    agree = True
    for number in range(1, options.runs + 1):
        print(f"run {number} of {options.runs} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="loadflame-") as data_dir:
            done = demo("--visits", str(options.visits), data_dir=data_dir)
        took_s = time.monotonic() - began
        if done.returncode != 0:
            sys.exit(f"the demo ended with code {done.returncode}: {done.stderr[-2000:]}")
        report = json.loads(done.stdout)
        wrong = disagreements(report, took_s)
        agree = agree and not wrong
        table.add_row(*row_of(report, took_s, wrong))
    Console(width=max(160, Console().width)).print(table)
    sys.exit(not agree)


if __name__ == "__main__":
    main()
