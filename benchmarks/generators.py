"""How much can a generator do? loadflame's engines beside k6, vegeta, Locust and wrk, in one run.

    python -m benchmarks.generators [--seconds 6] [--rows static,rich]

nginx has one core, the generator the other. loadflame records every outcome and streams it to the embedded broker
(which runs on nginx's core); the others keep totals. In the open model an engine must hold the rate: 99.5% of it
answered, p99 of the send lag under 10 ms; the highest such rate counts, found by bisection. The peers are asked for
more than they can do, and what was answered counts. wrk and Locust know closed loops only.

- *static*: answers of two bytes. Beside wrk stands what `wire` does in a closed loop.
- *rich*: requests that all differ (counter, uuid, random choices, a JSON body), over TLS, with three checks each.
  Beside Locust stands what `aiohttp` does in a closed loop.

Last, how exactly `wire` keeps the schedule at half of what it can. `make bench-tools` installs the peers; what is not
there is named as absent. Where nginx was over 90% busy, it was the limit, and the row says so.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.generator_peers import BY_BISECTION, CONNECTIONS, RICH, STATIC, USERS, AbsentError, Peer, pinned
from benchmarks.generator_services import Nginx, nginx
from loadflame.broker import LocalBroker

SERVER_CORE = 0
HELD_SHARE, HELD_LAG_MS = 0.995, 10.0
BUSY_SHARE = 0.9
MOST_TPS = {"wire": 120_000.0, "aiohttp": 16_000.0}
"""Rates that are certainly too high for an engine."""
CLOSED = {"static": ("wire", CONNECTIONS), "rich": ("aiohttp", USERS)}
"""The engine of a row that is shown in a closed loop too, with as many users as wrk's connections or Locust's users."""
AIMS = {
    ("static", "wire", "k6"): 4.0,
    ("static", "wire", "vegeta"): 2.5,
    ("static", "wire", "Locust"): 8.0,
    ("static", "wire, closed", "wrk"): 0.5,
    ("rich", "wire", "k6"): 2.0,
    ("rich", "aiohttp, closed", "Locust"): 1.0,
}
"""What an engine is to do, in times what a peer does."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a tool did; `server_share` is nginx's share of its core meanwhile, if that was one run."""

    tool: str
    model: str
    tps: float
    server_share: float | None
    note: str = ""


class Bench:
    """One nginx and one broker for all that is measured."""

    def __init__(self, target: Nginx, broker: LocalBroker, seconds: float) -> None:
        os.sched_setaffinity(broker.pid, {SERVER_CORE})
        self._target = target
        self._seconds = seconds
        self._spec = {"broker": broker.bootstrap, "seconds": seconds}

    def one(self, row: str, engine: str, **rate: float) -> tuple[dict[str, Any], float]:
        """Figures of one load, and nginx's share of its core."""
        rich = row == "rich"
        url = self._target.tls_url if rich else self._target.url
        spec = {**self._spec, "url": url, "engine": engine, "rich": rich, **rate}
        before_s = self._target.cpu_s()
        said = pinned(
            *(sys.executable, "-m", "benchmarks.one_load", json.dumps(spec)),
            env=os.environ | {"SSL_CERT_FILE": str(self._target.authority)},
        )
        return json.loads(said), (self._target.cpu_s() - before_s) / self._seconds

    def highest(self, row: str, engine: str) -> Figures:
        """The highest rate that an engine holds, to within 4%."""
        low, high = 0.0, MOST_TPS[engine]
        best: tuple[dict[str, Any], float] | None = None
        while high - low > 0.04 * high:
            tps = (low + high) / 2
            one, share = self.one(row, engine, tps=tps)
            held = one["tps"] >= HELD_SHARE * tps and one["lag_p99_ms"] < HELD_LAG_MS and one["failed"] == 0
            low, high = (tps, high) if held else (low, tps)
            best = (one, share) if held else best
        assert best is not None, f"{engine} held no rate"
        one, share = best
        note = f"send lag p50 {one['lag_p50_ms']:.2f}, p99 {one['lag_p99_ms']:.2f} ms; {self._cores(one)}"
        return Figures(engine, "open, recorded and streamed", one["tps"], share, note)

    def closed(self, row: str) -> Figures:
        """What an engine does in a closed loop, for what it is held beside knows no other."""
        engine, users = CLOSED[row]
        one, share = self.one(row, engine, users=users)
        return Figures(f"{engine}, closed", "closed, recorded and streamed", one["tps"], share, self._cores(one))

    def peer(self, name: str, run: Peer) -> Figures:
        """What a peer does when asked for more than it can."""
        before_s = self._target.cpu_s()
        model, tps = run(self._target, self._seconds)
        share = (self._target.cpu_s() - before_s) / self._seconds
        return Figures(name, model, tps, None if model == BY_BISECTION else share)

    def _cores(self, one: dict[str, Any]) -> str:
        return f"{one['cpu_s'] / self._seconds:.2f} core"


def measured(bench: Bench, row: str, tell: Callable[[str], None]) -> tuple[list[Figures], list[str]]:
    """All tools of a row, and the names of those that are not there."""
    found, absent = [], []
    for engine in MOST_TPS:
        tell(f"{row}: {engine}")
        found.append(bench.highest(row, engine))
    found.append(bench.closed(row))
    for name, run in (STATIC if row == "static" else RICH).items():
        tell(f"{row}: {name}")
        try:
            found.append(bench.peer(name, run))
        except AbsentError:
            absent.append(name)
    return found, absent


def table_of(row: str, found: list[Figures], absent: list[str]) -> Table:
    """One row a tool, and what the engines do for each request that it does."""
    title = f"{row}: requests/s on one core, nginx on another"
    table = Table("tool", "model", title=title + (f"; absent: {', '.join(absent)}" if absent else ""))
    engines = [one for one in found if one.tool.startswith(("wire", "aiohttp"))]
    for name in ("requests/s", *(f"{one.tool} does" for one in engines), "nginx's core"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in found:
        ratios = [_ratio(row, engine, one) for engine in engines]
        busy = f"{one.server_share:.0%}" if one.server_share is not None else ""
        note = "nginx was the limit" if (one.server_share or 0) > BUSY_SHARE else one.note
        table.add_row(one.tool, one.model, f"{one.tps:,.0f}", *ratios, busy, note)
    return table


def _ratio(row: str, engine: Figures, one: Figures) -> str:
    times, aim = engine.tps / one.tps, AIMS.get((row, engine.tool, one.tool))
    if aim is None:
        return f"{times:.2f}x"
    return f"[{'green' if times >= aim else 'red'}]{times:.2f}x (aim {aim:g}x)[/]"


def schedule(bench: Bench, highest_tps: float) -> str:
    """How wire keeps the schedule at half its highest rate."""
    one, _ = bench.one("static", "wire", tps=round(highest_tps / 2))
    return (
        f"wire at half of that, {one['tps']:,.0f}/s: send lag p50 {one['lag_p50_ms']:.3f} ms (aim 1), "
        f"p99 {one['lag_p99_ms']:.2f} ms (aim 5); arrivals in any second off the plan by at most "
        f"{one['rate_error']:.3%} (aim 0.1%); {one['dropped']} dropped, {one['failed']} failed"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rows", default="static,rich")
    options = parser.parse_args()
    console = Console(width=max(150, Console().width))
    with nginx(SERVER_CORE) as target, LocalBroker() as broker:
        bench = Bench(target, broker, options.seconds)
        for row in options.rows.split(","):
            found, absent = measured(bench, row, lambda what: print(what, file=sys.stderr))
            console.print(table_of(row, found, absent))
            if row == "static":
                console.print(schedule(bench, found[0].tps), highlight=False)


if __name__ == "__main__":
    main()
