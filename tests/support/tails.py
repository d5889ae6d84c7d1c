"""Simulated services with a tail: when requests were waited for, and what their threads did at ticks of the wall clock.

Ticks come as the agent sends them: a row for each stack at a tick, with the thread-time that stood in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from analysis.waiting.contrast import Groups, Intervals
from analysis.waiting.ticks import Ints, Ticks, WallStack

HZ = 37
T0_US = 1_790_000_000_000_000
ROOT = ("main (shop.py)", "run_forever (asyncio/base_events.py)")
SELECT = WallStack((*ROOT, "select (python3.11/selectors.py)"), waits=True)
Random = np.random.Generator


def loop_stack(*labels: str) -> WallStack:
    """A stack of an event loop that runs these functions of shop.py."""
    return WallStack((*ROOT, *(f"{label} (shop.py)" for label in labels)), waits=False)


RANK, RENDER, PRICE = loop_stack("search", "rank"), loop_stack("search", "render"), loop_stack("checkout", "price")
REBUILD = loop_stack("search", "find", "rebuild")
STACKS = (SELECT, RANK, RENDER, PRICE, REBUILD)


@dataclass(frozen=True, slots=True)
class Simulated:
    """Requests of two endpoints (`is_search` tells them apart), and ticks."""

    starts_us: Ints
    ends_us: Ints
    is_search: NDArray[np.bool_]
    ticks: Ticks

    def groups(self) -> list[Groups]:
        """By endpoint, at the one level."""
        sides = [Intervals(self.starts_us[mine], self.ends_us[mine]) for mine in (self.is_search, ~self.is_search)]
        return [
            Groups.of(own.starts_us, own.ends_us, endpoint=name, level="hold", others=others)
            for name, own, others in zip(("search", "checkout"), sides, reversed(sides), strict=True)
        ]


def tick_times(random: Random, seconds: float) -> Ints:
    """Of a sampler that keeps its rate to a millisecond."""
    at_us = np.arange(0, seconds * 1e6, 1e6 / HZ) + random.normal(0, 500, int(np.ceil(seconds * HZ)))
    return T0_US + (np.maximum(at_us, 0) // 1000 * 1000).astype(np.int64)


def one_thread(
    random: Random,
    *,
    tps: float = 60,
    seconds: float = 60,
    rank_us: float = 4_000,
    price_us: float = 6_000,
    spread: float = 0.25,
    slow_share: float = 0.0,
    slow_us: float = 90_000,
    burst: float = 0.0,
) -> Simulated:
    """One event loop that serves in order. `slow_share` of the searches run `rebuild` for `slow_us` as well.

    Costs vary by the coefficient `spread`; with `burst` the rate swings by so much, once in 10 s.
    """
    arrives = np.sort(random.uniform(0, seconds * 1e6, random.poisson(tps * seconds)))
    if burst:
        arrives = arrives + burst * 10e6 / (2 * np.pi) * np.sin(arrives * 2 * np.pi / 10e6)
    count = len(arrives)
    is_search = random.random(count) < 0.7
    gamma = random.gamma(1 / spread**2, spread**2, count)
    costs = np.stack(
        [
            np.where(is_search, rank_us * gamma, 0.0),
            np.where(is_search, 800.0, 0.0),
            np.where(is_search, 0.0, price_us * gamma),
            np.where(is_search & (random.random(count) < slow_share), slow_us, 0.0),
        ]
    )  # in the order of STACKS[1:]
    total = costs.sum(axis=0)
    ends = np.cumsum(total) + np.maximum.accumulate(arrives - np.concatenate([[0.0], np.cumsum(total)[:-1]]))
    begins = ends - total
    at_us = tick_times(random, seconds)
    now = (at_us - T0_US).astype(np.float64)
    job = np.searchsorted(begins, now, side="right") - 1
    inside = now - begins[np.maximum(job, 0)]
    part = (inside[:, None] >= np.cumsum(costs, axis=0).T[np.maximum(job, 0)]).sum(axis=1)
    stack = np.where((job >= 0) & (part < 4), part + 1, 0)
    weight = np.full(len(at_us), 1_000_000 // HZ)
    ticks = Ticks.of(np.zeros(len(at_us), np.int64), at_us, weight, stack, STACKS)
    starts_us, ends_us = T0_US + arrives.astype(np.int64), T0_US + ends.astype(np.int64)
    return Simulated(starts_us, ends_us, is_search, ticks)


BOOT = ("_bootstrap (python3.11/threading.py)", "run (python3.11/threading.py)", "_worker (futures/thread.py)")
STORE = (*BOOT, "search (shop.py)", "load (shop.py)")
ACQUIRE = WallStack((*STORE, "get_connection (db.py)", "acquire (python3.11/threading.py)"), waits=True)
QUERY = WallStack((*STORE, "query (db.py)"), waits=True)
PAY = WallStack((*BOOT, "checkout (shop.py)", "pay (bank.py)"), waits=True)
RESTING, WORKS = WallStack(BOOT, waits=True), WallStack((*BOOT, "search (shop.py)", "rank (shop.py)"), waits=False)
TURN = WallStack(WORKS.labels, waits=True)
MAIN = WallStack(("main (shop.py)", "select (python3.11/selectors.py)"), waits=True)
POOL_STACKS = (MAIN, RESTING, WORKS, TURN, ACQUIRE, QUERY)


def pool(
    random: Random,
    *,
    tps: float = 60,
    seconds: float = 60,
    work_us: float = 3_000,
    query_us: float = 4_000,
    connections: int = 2,
    slow_share: float = 0.0,
    slow_us: float = 150_000,
    threads: int = 24,
) -> Simulated:
    """A pool of threads: each request works under the interpreter lock, then asks a downstream over one of a few
    connections, which takes `slow_us` for some. Both are had in order of coming.
    """
    count = random.poisson(tps * seconds)
    arrives = np.sort(random.uniform(0, seconds * 1e6, count))
    works = work_us * random.gamma(16, 1 / 16, count)
    begins, worked = _in_line(arrives, works, 1)
    asks = np.where(random.random(count) < slow_share, slow_us, query_us * random.gamma(4, 1 / 4, count))
    order = np.argsort(worked)
    granted, ends = np.empty(count), np.empty(count)
    granted[order], ends[order] = _in_line(worked[order], asks[order], connections)
    at_us = tick_times(random, seconds)
    now = (at_us - T0_US).astype(np.float64)

    def within(since: NDArray[np.float64], until: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(np.sort(since), now, "right") - np.searchsorted(np.sort(until), now, "right")

    seen = [within(arrives, begins), within(worked, granted), within(granted, ends)]
    runs = within(begins, worked)
    rest = np.maximum(threads - runs - sum(seen), 0)
    columns = np.stack([np.ones(len(now), np.int64), rest, runs, *seen], axis=1)
    tick, stack = np.nonzero(columns)
    weight = columns[tick, stack] * (1_000_000 // HZ)
    ticks = Ticks.of(np.zeros(len(tick), np.int64), at_us[tick], weight, stack, POOL_STACKS)
    starts_us, ends_us = T0_US + arrives.astype(np.int64), T0_US + ends.astype(np.int64)
    return Simulated(starts_us, ends_us, np.ones(count, np.bool_), ticks)


def bursts(
    random: Random,
    *,
    seconds: float = 240,
    wait_us: float = 40_000,
    size: float = 24,
    of_search: float = 1.0,
    threads: int = 8,
    slow_share: float = 0.0,
    slow_us: float = 300_000,
) -> Simulated:
    """A clean service, idle mostly: each request waits for a downstream as long as any other, and works for a moment.

    20 come in a second, and about every 3 s some `size` more at once, which stand in line for one of the `threads`; of
    those `of_search` are searches. Some of the searches, `slow_share`, ask the bank and wait `slow_us`: a defect.
    """
    calm = random.uniform(0, seconds * 1e6, random.poisson(20 * seconds))
    moments = random.uniform(0, seconds * 1e6, random.poisson(seconds / 3))
    crowd = np.repeat(moments, random.poisson(size, len(moments)))
    crowd += random.uniform(0, 20_000, len(crowd))
    is_search = np.concatenate([random.random(len(calm)) < 0.7, random.random(len(crowd)) < of_search])
    arrives = np.concatenate([calm, crowd])
    order = np.argsort(arrives)
    arrives, is_search = arrives[order], is_search[order]
    slow = is_search & (random.random(len(arrives)) < slow_share)
    waits = np.where(slow, slow_us, wait_us)
    asks = is_search & ~slow
    begins, ends = _in_line(arrives, waits + 1_000, threads)
    at_us = tick_times(random, seconds)
    now = (at_us - T0_US).astype(np.float64)
    seen = []
    for which, since, until in (
        (asks, begins, ends - 1_000),
        (~asks, begins, ends - 1_000),
        (begins >= 0, ends - 1_000, ends),
    ):
        counts = [np.searchsorted(np.sort(some[which]), now, "right") for some in (since, until)]
        seen.append(counts[0] - counts[1])
    columns = np.stack([np.ones(len(now), np.int64), np.maximum(threads - sum(seen), 0), *seen], axis=1)
    tick, stack = np.nonzero(columns)
    weight = columns[tick, stack] * (1_000_000 // HZ)
    stacks = (MAIN, RESTING, QUERY, PAY, WORKS)
    ticks = Ticks.of(np.zeros(len(tick), np.int64), at_us[tick], weight, stack, stacks)
    return Simulated(T0_US + arrives.astype(np.int64), T0_US + ends.astype(np.int64), is_search, ticks)


def _in_line(
    comes: NDArray[np.float64], takes: NDArray[np.float64], servers: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When each is served and done, first come first served."""
    free = [0.0] * servers
    begins, ends = np.empty(len(comes)), np.empty(len(comes))
    for place, (at, took) in enumerate(zip(comes.tolist(), takes.tolist(), strict=True)):
        begins[place] = max(at, heappop(free))
        ends[place] = begins[place] + took
        heappush(free, ends[place])
    return begins, ends


Simulation = Callable[[Random], Simulated]
