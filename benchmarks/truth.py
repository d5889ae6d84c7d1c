"""Is the profile true? CPU found / CPU true per function, for each sampler and kind of service.

    python -m benchmarks.truth [--seconds 20] [--kinds async,threads,processes] [--backends austin,py-spy] [--json]

Services whose functions time themselves by their threads' CPU clocks are loaded at a few rates while the agent
watches as it does in a run; CPU is given to functions exactly as the join does (the kernel's figure for the process,
by share of samples). Beside the ratios stand how far they drift from the lowest rate to the highest, what the agent
costs as a share of a core, and the slow-down of the service: its CPU per request with and without the agent, visits
interleaved in the order ABBA.
"""

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import aiohttp
import uvloop
from rich.console import Console
from rich.table import Table

from processors.join import join_window
from producers.profiler.agent import run_agent
from producers.profiler.targets import instances_of, target_of
from producers.publisher import MemoryPublisher
from schemas.topics import Topics

KINDS = ("async", "threads", "processes")
RATES_TPS = (50, 100, 200, 400)
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
    unattributed_us: float = 0.0
    agent_us: float = 0.0
    samples: int = 0
    requests: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Result:
    """What one sampler found of one kind of service."""

    kind: str
    backend: str
    ratios: dict[str, float]
    shares: dict[str, float]
    drifts: dict[str, float]
    agent_share: float
    slow_down: float
    samples: int


@contextmanager
def service(kind: str) -> Iterator[tuple[str, int]]:
    """A service of its own process on a free loopback port; gives its URL and pid."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.truth_services.service", kind, str(port)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            for instance in instances_of(target_of(pid=process.pid)):
                if instance.pid != process.pid:
                    subprocess.run(["kill", str(instance.pid)], check=False)
            process.terminate()


async def truth_of(url: str, processes: int) -> tuple[dict[str, float], float]:
    """CPU microseconds by function, and of all processes, since their start; asks until each process has answered."""
    seen: dict[int, dict[str, object]] = {}
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
    started = time.perf_counter()
    requests = await load(url, rate_tps, seconds)
    elapsed = time.perf_counter() - started
    after_us, process_after_us = await truth_of(url, processes)
    found = Visit(rate_tps, requests=requests, seconds=elapsed, process_us=process_after_us - process_before_us)
    found.true_us = {name: us - before_us.get(name, 0.0) for name, us in after_us.items()}
    if agent is not None:
        stop.set()
        await agent
        _fill(found, publisher)
    return found


def _fill(found: Visit, publisher: MemoryPublisher) -> None:
    """What the join would say of the agent's batches."""
    totals: dict[str, float] = defaultdict(float)
    windows = {batch.header.key.window for batch in publisher.batches}
    for window in windows:
        batches = [batch for batch in publisher.batches if batch.header.key.window == window]
        joined = join_window(RUN, window, WINDOW_US, [], batches, closed_by="producers")
        for function in joined.functions:
            if function.file.endswith("work.py"):
                totals[function.function.rpartition(".")[2]] += function.total_cpu_us
        found.unattributed_us += joined.unattributed_us
        found.agent_us += joined.agent_cpu_us
        found.samples += joined.samples
    found.found_us = dict(totals)


async def measure(kind: str, backend: str, seconds: float, rates_tps: tuple[float, ...] = RATES_TPS) -> Result:
    """One kind of service under one sampler: each rate watched and unwatched, in the order ABBA."""
    watched: list[Visit] = []
    alone: list[Visit] = []
    with service(kind) as (url, pid):
        await load(url, 50, 2)  # warm-up
        for number, rate in enumerate(rates_tps):
            order = (backend, None, None, backend) if number % 2 == 0 else (None, backend, backend, None)
            for who in order:
                one = await visit(url, pid, kind, rate_tps=rate, seconds=seconds / 2, backend=who)
                (watched if who else alone).append(one)
    names = watched[0].true_us
    process_us = sum(one.process_us for one in watched)
    true_us = {name: sum(one.true_us.get(name, 0.0) for one in watched) for name in names}
    found_us = {name: sum(one.found_us.get(name, 0.0) for one in watched) for name in names}

    def ratio(name: str, rates: tuple[float, ...]) -> float:
        some = [one for one in watched if one.rate_tps in rates]
        return sum(one.found_us.get(name, 0.0) for one in some) / max(1.0, sum(one.true_us[name] for one in some))

    middle = len(rates_tps) // 2
    low, high = rates_tps[:middle], rates_tps[middle:]
    per_request = [
        sum(one.process_us for one in visits) / sum(one.requests for one in visits) for visits in (watched, alone)
    ]
    return Result(
        kind=kind,
        backend=backend,
        ratios={name: found_us[name] / true_us[name] for name in names},
        shares={name: true_us[name] / process_us for name in names},
        drifts={name: ratio(name, high) / max(ratio(name, low), 1e-9) for name in names},
        agent_share=sum(one.agent_us for one in watched) / 1e6 / sum(one.seconds for one in watched),
        slow_down=per_request[0] / per_request[1] - 1,
        samples=sum(one.samples for one in watched),
    )


def table_of(results: list[Result]) -> Table:
    """One row a function."""
    table = Table(title="CPU found / CPU true")
    for name in (
        "service",
        "sampler",
        "function",
        "share of CPU",
        "found/true",
        "high/low rates",
        "agent",
        "slow-down",
    ):
        table.add_column(name, justify="left" if name in ("service", "sampler", "function") else "right")
    for one in results:
        for place, name in enumerate(sorted(one.shares, key=lambda name: -one.shares[name])):
            cost = (f"{one.agent_share:.1%}", f"{one.slow_down:+.1%}") if place == 0 else ("", "")
            heads = (one.kind, one.backend) if place == 0 else ("", "")
            figures = (f"{one.shares[name]:.0%}", f"{one.ratios[name]:.2f}", f"{one.drifts[name]:.2f}")
            table.add_row(*heads, name, *figures, *cost)
        table.add_section()
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="watched seconds at each of four rates")
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
        Console().print(table_of(results))


if __name__ == "__main__":
    main()
