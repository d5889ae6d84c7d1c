"""A load from outside: run a plan, then settle what was published."""

import asyncio
import contextlib
import gc
from collections.abc import Callable, Collection, Iterator

import aiohttp

from producers.load.course import Course, Progress
from producers.load.guard import Guard, TargetError, read_count
from producers.load.plan import Plan
from producers.load.shards import WHOLE, Shard
from producers.publisher import Publisher
from schemas.events import LoadTotals

_RARELY = (10_000, 20, 100)
"""Thresholds of the garbage collector; see the module gc."""


async def run_load(
    plan: Plan,
    *,
    publisher: Publisher,
    run_id: str,
    start_at_us: int,
    window_us: int,
    stop: asyncio.Event,
    on_progress: Callable[[Progress], None] | None = None,
    allow_hosts: Collection[str] = (),
    shard: Shard = WHOLE,
    on_start: Callable[[Course], None] = lambda _: None,
) -> LoadTotals:
    """Send a plan's requests and publish every outcome, one final batch for every window of the run.

    Args:
        plan: What to send. Check the target before (`producers.load.guard.check_target`).
        publisher: Takes the batches and events; how it fares never slows the schedule.
        run_id: Names the run in the events.
        start_at_us: When the first segment begins, microseconds by the publisher's clock: at the next window boundary,
            and if that is over already, at the next one from now. That clock is Kafka's where the host's is off, so
            loads that share a run and this time begin together, whatever their hosts' clocks say.
        window_us: Length of a window in microseconds.
        stop: Ends the schedule when set; what was measured is published all the same.
        on_progress: Called with each window's figures.
        allow_hosts: Hosts besides loopback that may be loaded.
        shard: Which part of the plan's arrivals is ours; the others' are left to others.
        on_start: Gets the course before its first arrival, for its figures.

    Returns:
        The totals, in which scheduled = completed + failed + dropped + in_flight_at_end. The last window is published
        but perhaps not yet acknowledged: call `finish`.
    """
    guard = Guard(allow_hosts)
    async with aiohttp.ClientSession(connector=guard.connector()) as session:
        counted_before = await _count(session, plan, shard)
        with _rare_collections():
            course = Course(
                plan,
                publisher=publisher,
                run_id=run_id,
                start_at_us=start_at_us,
                window_us=window_us,
                guard=guard,
                on_progress=on_progress,
                shard=shard,
            )
            on_start(course)
            totals = await course.play(stop)
        counted_after = await _count(session, plan, shard)
    if counted_before is None or counted_after is None:
        return totals
    return totals.model_copy(update={"target_counted": max(counted_after - counted_before, 0)})


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """A full collection over all that is imported stops the schedule for some 50 ms: only what comes is looked at.

    Requests leave next to no cycles behind, so even of that all is looked at only once in a while.
    """
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


async def _count(session: aiohttp.ClientSession, plan: Plan, shard: Shard) -> int | None:
    if plan.target_count_path is None or not shard.is_whole:
        return None  # of a shared load the target counts everybody's requests
    try:
        return await read_count(session, plan.target + plan.target_count_path)
    except TargetError:
        return None  # the target broke down under the load: then there is no count, and the totals say so
