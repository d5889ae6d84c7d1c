"""Is the profile true? CPU found / CPU true per function, for each sampler and kind of service.

    python -m benchmarks.truth [--seconds 20] [--kinds async,threads,processes] [--backends austin,py-spy] [--json]

Services whose functions time themselves by their threads' CPU clocks are loaded at a few rates while the agent
watches as it does in a run; CPU is given to functions exactly as the join does (the kernel's figure for the process,
by share of samples). Beside each ratio stands its sampling noise, one standard error: sqrt(1/k - 1/n) for k of n
samples. `high/low rates` is the ratio at the highest rate over that at the lowest, with its noise, per function and
(`all`) for all of them together. The agent's cost is taken from the windows that the load filled. The slow-down is the
service's CPU per request with the agent over that without, visits in the order ABBA, mean of the pairs with its
standard error. Low rates are visited for longer, so that they have samples enough.

What is aimed at: found/true within 0.85-1.15 for every function of 3% of CPU or more, high/low within 0.95-1.05, the
agent at most 5% of a core, the slow-down under 2%; with noise under 5%. One whole run takes 20 minutes.
"""

import argparse
import asyncio
import json
import math
import os
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.serving import free_port, serving
from processors.join import join_window
from producers.profiler.agent import run_agent
from producers.profiler.targets import instances_of, target_of
from producers.publisher import MemoryPublisher
from schemas.topics import Topics

KINDS = ("async", "threads", "processes")
RATES_TPS = (80, 160, 320)
NOTABLE_SHARE = 0.03
WINDOW_US = 1_000_000
RUN = "truth"


@dataclass(slots=True)
class Visit:
    """One rate for a while: CPU in microseconds by function, and of the whole service."""

    rate_tps: float
    true_us: dict[str, float] = field(default_factory=dict)
    found_us: dict[str, float] = field(default_factory=dict)
    process_us: float = 0.0
    found_samples: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    agent_us: float = 0.0
    agent_windows: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure and one standard error of it."""

    value: float
    noise: float


@dataclass(slots=True)
class Result:
    """What one sampler found of one kind of service; `drifts` also holds `all`, every function together."""

    kind: str
    backend: str
    shares: dict[str, float]
    ratios: dict[str, Figure]
    drifts: dict[str, Figure]
    agent_share: float
    slow_down: Figure
    samples: int


@contextmanager
def service(kind: str) -> Iterator[tuple[str, int]]:
    """A service of its own process on a free loopback port; gives its URL and pid."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.truth_services.service", kind, str(port)]
    with serving(command, port) as process:
        try:
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            for instance in instances_of(target_of(pid=process.pid)):
                os.kill(instance.pid, signal.SIGTERM)


async def truth_of(url: str, processes: int) -> tuple[dict[str, float], float]:
    """CPU microseconds by function, and of all processes, since their start; asks until each process has answered."""
    seen: dict[int, dict[str, Any]] = {}
    for _ in range(400):
        async with aiohttp.ClientSession() as session, session.get(f"{url}/truth") as answer:  # a new connection each
            state = json.loads(await answer.text())
            seen[state["pid"]] = state
        if len(seen) >= processes:
            break
    assert len(seen) >= processes, "not every process answered"
    functions: dict[str, float] = defaultdict(float)
    for state in seen.values():
        for name, ns in state["functions"].items():
            functions[name] += ns / 1e3
    return dict(functions), sum(state["process"] for state in seen.values()) / 1e3


async def load(url: str, rate_tps: float, seconds: float) -> int:
    """Load from a process of its own, so that this one's CPU is the agent's alone; gives how many were answered."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.truth_services.client", url, str(rate_tps), str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return int(said)


async def visit(url: str, pid: int, kind: str, *, rate_tps: float, seconds: float, backend: str | None) -> Visit:
    """Load at one rate, watched by `backend` or by nobody."""
    processes = 2 if kind == "processes" else 1
    publisher, stop = MemoryPublisher(Topics(), RUN), asyncio.Event()
    agent = None
    if backend is not None:
        ready = asyncio.Event()
        agent = asyncio.create_task(
            run_agent(
                target_of(pid=pid),
                publisher=publisher,
                service=kind,
                run_id=RUN,
                window_us=WINDOW_US,
                stop=stop,
                on_ready=ready.set,
                backend=backend,
            )
        )
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, agent}, return_when=asyncio.FIRST_COMPLETED)
        if agent.done():
            agent.result()
    before_us, process_before_us = await truth_of(url, processes)
    started_us = time.time_ns() // 1000
    requests = await load(url, rate_tps, seconds)
    ended_us = time.time_ns() // 1000
    after_us, process_after_us = await truth_of(url, processes)
    found = Visit(rate_tps, requests=requests, process_us=process_after_us - process_before_us)
    found.true_us = {name: us - before_us.get(name, 0.0) for name, us in after_us.items()}
    if agent is not None:
        stop.set()
        await agent
        _fill(found, publisher, started_us, ended_us)
    return found


def _fill(found: Visit, publisher: MemoryPublisher, started_us: int, ended_us: int) -> None:
    """What the join would say of the agent's batches; its cost in the windows that lie within the load."""
    totals: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    windows = {batch.header.key.window for batch in publisher.batches}
    for window in windows:
        batches = [batch for batch in publisher.batches if batch.header.key.window == window]
        joined = join_window(RUN, window, WINDOW_US, [], batches, closed_by="producers")
        for function in joined.functions:
            if function.file.endswith("work.py"):
                totals[function.function.rpartition(".")[2]] += function.total_cpu_us
                counts[function.function.rpartition(".")[2]] += function.total_samples
        found.samples += joined.samples
        if started_us <= window * WINDOW_US and (window + 1) * WINDOW_US <= ended_us:
            found.agent_us += joined.agent_cpu_us
            found.agent_windows += 1
    found.found_us, found.found_samples = dict(totals), dict(counts)


def ratio(visits: list[Visit], names: Iterable[str]) -> Figure:
    """CPU found over CPU true, and its sampling noise, of functions that do not call one another."""
    found_us = sum(one.found_us.get(name, 0.0) for one in visits for name in names)
    true_us = sum(one.true_us.get(name, 0.0) for one in visits for name in names)
    hits = max(1, sum(one.found_samples.get(name, 0) for one in visits for name in names))
    value = found_us / max(true_us, 1.0)
    return Figure(value, value * math.sqrt(max(0.0, 1 / hits - 1 / max(hits, sum(one.samples for one in visits)))))


def quotient(high: Figure, low: Figure) -> Figure:
    """One figure over another, their noise independent."""
    value = high.value / max(low.value, 1e-9)
    return Figure(value, value * math.hypot(high.noise / max(high.value, 1e-9), low.noise / max(low.value, 1e-9)))


def slow_down(pairs: list[tuple[Visit, Visit]]) -> Figure:
    """CPU per request watched over unwatched, less one: the mean over neighbouring visits, and its standard error."""
    changes = [
        (watched.process_us / watched.requests) / (alone.process_us / alone.requests) - 1 for watched, alone in pairs
    ]
    return Figure(statistics.fmean(changes), statistics.stdev(changes) / math.sqrt(len(changes)))


async def measure(kind: str, backend: str, seconds: float, rates_tps: tuple[float, ...] = RATES_TPS) -> Result:
    """One kind of service under one sampler: each rate watched and unwatched, in the order ABBA.

    `seconds` is how long the highest rate is watched; a quarter of the rate is watched for twice as long.
    """
    watched: list[Visit] = []
    pairs: list[tuple[Visit, Visit]] = []
    with service(kind) as (url, pid):
        await load(url, 50, 2)  # warm-up
        for rate in rates_tps:
            part_s = seconds / 2 * math.sqrt(max(rates_tps) / rate)
            visits = [
                await visit(url, pid, kind, rate_tps=rate, seconds=part_s, backend=who)
                for who in (backend, None, None, backend)
            ]
            pairs += [(visits[0], visits[1]), (visits[3], visits[2])]
            watched += [visits[0], visits[3]]
    names = tuple(watched[0].true_us)
    process_us = sum(one.process_us for one in watched)
    high = [one for one in watched if one.rate_tps == max(rates_tps)]
    low = [one for one in watched if one.rate_tps == min(rates_tps)]
    return Result(
        kind=kind,
        backend=backend,
        shares={name: sum(one.true_us.get(name, 0.0) for one in watched) / process_us for name in names},
        ratios={name: ratio(watched, [name]) for name in names},
        drifts={name: quotient(ratio(high, [name]), ratio(low, [name])) for name in names}
        | {"all": quotient(ratio(high, names), ratio(low, names))},
        agent_share=sum(one.agent_us for one in watched)
        / WINDOW_US
        / max(1, sum(one.agent_windows for one in watched)),
        slow_down=slow_down(pairs),
        samples=sum(one.samples for one in watched),
    )


def table_of(results: list[Result]) -> Table:
    """One row a function."""
    table = Table(title="CPU found / CPU true, \u00b1 one standard error")
    for name in ("service", "sampler", "function"):
        table.add_column(name)
    for name in ("share of CPU", "found/true", "high/low rates", "samples", "agent", "slow-down"):
        table.add_column(name, justify="right")
    for one in results:
        rows = [("all", "", "", one.drifts["all"])]
        rows += [
            (name, f"{one.shares[name]:.0%}", _shown(one.ratios[name]), one.drifts[name])
            for name in sorted(one.shares, key=lambda name: -one.shares[name])
        ]
        for place, (name, share, found, drift) in enumerate(rows):
            heads, costs = ("", ""), ("", "", "")
            if place == 0:
                heads = (one.kind, one.backend)
                down = f"{one.slow_down.value:+.1%} \u00b1{one.slow_down.noise:.1%}"
                costs = (f"{one.samples:,}", f"{one.agent_share:.1%}", down)
            table.add_row(*heads, name, share, found, _shown(drift), *costs)
        table.add_section()
    return table


def _shown(figure: Figure) -> str:
    return f"{figure.value:.2f} \u00b1{figure.noise:.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="watched seconds at the highest rate")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--backends", default="austin,py-spy")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = [
        uvloop.run(measure(kind, backend, options.seconds))
        for kind in options.kinds.split(",")
        for backend in options.backends.split(",")
    ]
    if options.json:
        print(json.dumps([asdict(one) for one in results], indent=2))
    else:
        Console(width=max(120, Console().width)).print(table_of(results))


if __name__ == "__main__":
    main()
