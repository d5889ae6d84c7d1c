"""Is the profile true? CPU found / CPU true per function, for each sampler and kind of service, held against the aims.

    python -m benchmarks.truth [--kinds async,threads,processes] [--backends austin,py-spy] [--pairs 16] [--json]

Services whose functions time themselves by their threads' CPU clocks are loaded while the agent watches as it does in a
run; CPU is given to functions exactly as the join does (the kernel's figure for the process, by share of samples).
What is compared are slices of three whole windows (of one second); at each window's start the service notes its own
figures.

1. At the high rate 2 x `--pairs` slices, watched and unwatched in the order ABBA: for the slow-down, which is the
   service's own CPU per request with the agent over that without, pair by pair of neighbours; and for the agent's cost.
2. At the high rate watched slices until every notable function (3% of CPU or more) is known to 4%, one standard error,
   for at most `--longer` seconds: for found/true.
3. At the low rate the same until all functions together are known to 1.5%, for at most `--low` seconds: for the ratio
   of found/true at the high rate over that at the low one, of the sampler that has an aim there.

Beside each figure stands one standard error of it. `within` or `OUTSIDE` the aim is said when the 95% interval is, and
`cannot tell` else. A sampler that is slow to get samples (py-spy in a thread pool falls to 20 Hz) stays hard to tell.
The slow-down is small beside what a shared machine does, so it is also told of all kinds of service together.
A quiet machine matters more than a long run: where a service waits long for a core, that is told on standard error. All
together take 25 minutes at most.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.serving import free_port, serving
from benchmarks.truth_figures import Figure, Slice, mean, pooled, quotient, ratio, slow_down
from processors.join import join_window
from producers.profiler.agent import run_agent
from producers.profiler.targets import instances_of, target_of
from producers.publisher import MemoryPublisher
from schemas.batches import Batch
from schemas.topics import Topics

KINDS = ("async", "threads", "processes")
LOW_TPS, HIGH_TPS = 80, 320
NOTABLE_SHARE = 0.03
WINDOW_US = 1_000_000
SLICE_WINDOWS = 3
WARM_UP_S = 2.5
_PAST_S = 0.05
"""After a slice's end: the service has noted it by then."""
RUN = "truth"
FOUND_AIMS = {"austin": (0.85, 1.15), "py-spy": (0.75, 1.25)}
RATES_AIM, RATES_AIMED = (0.95, 1.05), ("austin",)
"""Of found/true at the high rate over that at the low one; and for which samplers there is that aim."""
COST_AIM, SLOW_DOWN_AIM = 0.05, 0.02
ENOUGH_FOUND, ENOUGH_RATES = 0.04, 0.015


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure: pairs of slices, and the most seconds of watching besides, see above."""

    pairs: int = 16
    longer_s: float = 60.0
    low_s: float = 100.0


@dataclass(slots=True)
class Result:
    """What one sampler found of one kind of service; `rates` also holds `all`, every function together.

    `waited` is the service's time in the run queue over its time on a core: on a busy machine it is long.
    """

    kind: str
    backend: str
    shares: dict[str, float]
    found: dict[str, Figure]
    rates: dict[str, Figure]
    cost: Figure
    slow_down: Figure
    samples: int
    watched_s: float
    waited: float


@dataclass(frozen=True, slots=True)
class _Truth:
    """What all processes of a service together had used at a moment since their start; CPU in microseconds."""

    functions_us: dict[str, float]
    process_us: float
    requests: int


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


@asynccontextmanager
async def loading(url: str, rate_tps: float) -> AsyncIterator[None]:
    """Load from a process of its own, so that this one's CPU is the agent's alone."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.truth_services.client", url, str(rate_tps)
    )
    try:
        await asyncio.sleep(WARM_UP_S)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def truth_of(url: str, processes: int) -> dict[int, _Truth]:
    """By window of one second, what the service had used at its start. Asks until each process has answered."""
    seen: dict[int, dict[str, Any]] = {}
    for _ in range(400):
        async with aiohttp.ClientSession() as session, session.get(f"{url}/truth") as answer:  # a new connection each
            state = json.loads(await answer.text())
            seen[state["pid"]] = state["by_second"]
        if len(seen) >= processes:
            break
    assert len(seen) >= processes, "not every process answered"
    truths = {}
    for second in set.intersection(*(set(states) for states in seen.values())):
        states = [states[second] for states in seen.values()]
        functions: dict[str, float] = defaultdict(float)
        for state in states:
            for name, ns in state["functions"].items():
                functions[name] += ns / 1e3
        process_us, requests = (sum(state[name] for state in states) for name in ("process", "requests"))
        truths[int(second)] = _Truth(dict(functions), process_us / 1e3, requests)
    return truths


class Bench:
    """A service under load at one rate; slices are taken of it, one after the other, and filled in by `filled`."""

    def __init__(self, url: str, pid: int, kind: str, backend: str, rate_tps: float) -> None:
        self._url, self._pid, self._kind, self._backend = url, pid, kind, backend
        self._rate_tps = rate_tps
        self._publisher = MemoryPublisher(Topics(), RUN)
        self._stop = asyncio.Event()
        self._agent: asyncio.Task[Any] | None = None
        self._slices: list[tuple[int, Slice]] = []
        self._batches: dict[int, list[Batch]] = defaultdict(list)
        self._next_window: int | None = None

    async def slice(self, *, watched: bool) -> None:
        """Let the next slice pass, watched or not."""
        if watched != (self._agent is not None):
            await (self._on() if watched else self._off())
        window = self._next_window or time.time_ns() // 1000 // WINDOW_US + 1
        self._slices.append((window, Slice(self._rate_tps, watched)))
        self._next_window = window + SLICE_WINDOWS
        await asyncio.sleep(max(0.0, self._next_window * WINDOW_US / 1e6 + _PAST_S - time.time()))

    async def filled(self) -> list[Slice]:
        """Stop watching; the slices since the last time, with what the service and the samplers say of them."""
        if self._agent is not None:
            await self._off()
        truths = await truth_of(self._url, 2 if self._kind == "processes" else 1)
        for window, one in self._slices:
            before, after = truths.get(window), truths.get(window + SLICE_WINDOWS)
            if before is None or after is None:
                continue  # a whole second without a request: the machine had no time for the service
            one.requests, one.process_us = after.requests - before.requests, after.process_us - before.process_us
            one.true_us = {name: us - before.functions_us.get(name, 0.0) for name, us in after.functions_us.items()}
            if one.watched:
                for place in range(window, window + SLICE_WINDOWS):
                    _fill(one, place, self._batches[place])
        slices, self._slices = [one for _, one in self._slices], []
        self._batches.clear()
        self._next_window = None
        return slices

    async def _on(self) -> None:
        self._publisher, self._stop, ready = MemoryPublisher(Topics(), RUN), asyncio.Event(), asyncio.Event()
        self._agent = asyncio.create_task(
            run_agent(
                target_of(pid=self._pid),
                publisher=self._publisher,
                service=self._kind,
                run_id=RUN,
                window_us=WINDOW_US,
                stop=self._stop,
                on_ready=ready.set,
                backend=self._backend,
            )
        )
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, self._agent}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._agent.done():
            self._agent.result()
        self._next_window = None

    async def _off(self) -> None:
        assert self._agent is not None
        self._stop.set()
        await self._agent
        self._agent = self._next_window = None
        for batch in self._publisher.batches:
            self._batches[batch.header.key.window].append(batch)


def _fill(one: Slice, window: int, batches: list[Batch]) -> None:
    """Add what the join would say of the agent's batches of one window."""
    joined = join_window(RUN, window, WINDOW_US, [], batches, closed_by="producers")
    for function in joined.functions:
        if function.file.endswith("work.py"):
            name = function.function.rpartition(".")[2]
            one.found_us[name] = one.found_us.get(name, 0.0) + function.total_cpu_us
            one.found_samples[name] = one.found_samples.get(name, 0) + function.total_samples
    one.samples += joined.samples
    one.waited_us += joined.run_queue_us
    one.agent_us.append(joined.agent_cpu_us)


async def _paired(bench: Bench, pairs: int) -> list[Slice]:
    """ABBA ABBA ..., A watched."""
    for number in range(pairs):
        for watched in (True, False) if number % 2 == 0 else (False, True):
            await bench.slice(watched=watched)
    return await bench.filled()


async def _watched(bench: Bench, most_s: float, is_enough: Callable[[list[Slice]], bool]) -> list[Slice]:
    """Watched slices until there are enough; looked at every ten, for to look is to stop watching for a moment."""
    slices: list[Slice] = []
    slice_s = SLICE_WINDOWS * WINDOW_US / 1e6
    while (left := int((most_s - len(slices) * slice_s) / slice_s)) > 0 and not is_enough(slices):
        for _ in range(min(10, left)):
            await bench.slice(watched=True)
        slices += await bench.filled()
    return slices


def _shares(slices: Sequence[Slice]) -> dict[str, float]:
    """By function, of the service's CPU."""
    process_us = sum(one.process_us for one in slices)
    names = sorted({name for one in slices for name in one.true_us})
    return {name: sum(one.true_us.get(name, 0.0) for one in slices) / max(process_us, 1.0) for name in names}


async def measure(kind: str, backend: str, effort: Effort) -> Result:
    """One kind of service under one sampler."""
    with service(kind) as (url, pid):
        async with loading(url, HIGH_TPS):
            bench = Bench(url, pid, kind, backend, HIGH_TPS)
            paired = await _paired(bench, effort.pairs)
            high = [one for one in paired if one.watched]

            def is_known(more: list[Slice]) -> bool:
                notable = [name for name, share in _shares(high).items() if share >= NOTABLE_SHARE]
                return all(ratio([*high, *more], [name]).noise <= ENOUGH_FOUND for name in notable)

            high += await _watched(bench, effort.longer_s, is_known)
        low: list[Slice] = []
        names = tuple(_shares(high))
        if backend in RATES_AIMED and effort.low_s:
            async with loading(url, LOW_TPS):
                bench = Bench(url, pid, kind, backend, LOW_TPS)
                low = await _watched(
                    bench, effort.low_s, lambda more: bool(more) and ratio(more, names).noise <= ENOUGH_RATES
                )
    rates = {"all": quotient(ratio(high, names), ratio(low, names))} if low else {}
    rates |= {name: quotient(ratio(high, [name]), ratio(low, [name])) for name in names if low}
    slices = [*high, *low]
    return Result(
        kind=kind,
        backend=backend,
        shares=_shares(high),
        found={name: ratio(high, [name]) for name in names},
        rates=rates,
        cost=mean([us / WINDOW_US for one in high for us in one.agent_us]),
        slow_down=slow_down(paired),
        samples=sum(one.samples for one in slices),
        watched_s=len(slices) * SLICE_WINDOWS * WINDOW_US / 1e6,
        waited=sum(one.waited_us for one in slices) / max(1.0, sum(one.process_us for one in slices)),
    )


def table_of(results: Sequence[Result]) -> Table:
    """One row a function, and before them one for what is said of the service as a whole."""
    table = Table(title="CPU found / CPU true, \u00b1 one standard error, and whether that is within the aim")
    for name in ("service", "sampler", "of", "share of CPU", "found/true", "aim", "high/low rate", "aim"):
        figures = name in ("share of CPU", "found/true", "high/low rate")
        table.add_column(name, justify="right" if figures else "left", no_wrap=name != "share of CPU")
    for one in results:
        table.add_row(one.kind, one.backend, "agent, cores", "", *_judged(one.cost, 0.0, COST_AIM), "", "")
        table.add_row("", "", "slow-down", "", *_slowed(one.slow_down), "", "")
        table.add_row("", "", "all functions", "", "", "", *_rates(one, "all"))
        for name in sorted(one.shares, key=lambda name: -one.shares[name]):
            share, aim = one.shares[name], FOUND_AIMS[one.backend]
            found = _judged(one.found[name], *aim)
            aimed = found if share >= NOTABLE_SHARE else (found[0], "")
            table.add_row("", "", name, f"{share:.0%}", *aimed, _rates(one, name)[0], "")
        table.add_section()
    for backend in sorted({one.backend for one in results}):
        downs = [one.slow_down for one in results if one.backend == backend]
        if len(downs) > 1:
            table.add_row("all kinds", backend, "slow-down", "", *_slowed(pooled(downs)), "", "")
    return table


def _slowed(figure: Figure) -> tuple[str, str]:
    return _judged(figure, -1.0, SLOW_DOWN_AIM, form="{:+.2%}", noise_form="{:.2%}")


def _rates(one: Result, name: str) -> tuple[str, str]:
    return _judged(one.rates[name], *RATES_AIM) if name in one.rates else ("", "")


def _judged(
    figure: Figure, low: float, high: float, *, form: str = "{:.3f}", noise_form: str = "{:.3f}"
) -> tuple[str, str]:
    said = figure.says(low, high)
    between = f"under {high:g}" if low <= 0 else f"{low:g}-{high:g}"
    return f"{form.format(figure.value)} \u00b1{noise_form.format(figure.noise)}", f"{said} {between}"


def main() -> None:
    """Measure and print."""
    usual = Effort()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--backends", default=",".join(FOUND_AIMS))
    parser.add_argument("--pairs", type=int, default=usual.pairs, help="pairs of slices, watched and unwatched")
    parser.add_argument("--longer", type=float, default=usual.longer_s, help="most seconds more at the high rate")
    parser.add_argument("--low", type=float, default=usual.low_s, help="most seconds at the low rate")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    effort = Effort(options.pairs, options.longer, options.low)
    results = []
    try:
        for kind in options.kinds.split(","):
            for backend in options.backends.split(","):
                began = time.monotonic()
                one = uvloop.run(measure(kind, backend, effort))
                results.append(one)
                took = f"{one.samples:,} samples in {one.watched_s:.0f} s of {time.monotonic() - began:.0f}"
                waited = f"the service waited for a core {one.waited:.2f} times as long as it had one"
                print(f"{kind}, {backend}: {took}; {waited}", file=sys.stderr, flush=True)
    finally:  # what was measured is shown, whatever became of the rest
        if options.json:
            print(json.dumps([asdict(one) for one in results], indent=2))
        else:
            Console(width=max(140, Console().width)).print(table_of(results))


if __name__ == "__main__":
    main()
