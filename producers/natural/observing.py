"""Plain traffic to Kafka, as a load producer would publish it: what ended, window by window, until it is stopped."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from producers.natural.source import Source
from producers.natural.windows import NaturalWindows
from producers.publisher import Publisher
from schemas.events import LoadTotals, StageEntered
from schemas.rows import RequestFacts

STAGE = "traffic"
WAIT_US = 400_000
"""How long a window stays open for what is told of late. The worker joins it 1.5 s after its end, complete or not."""
LONGEST_US = 30 * 86_400 * 1_000_000
"""How long a stage is said to last when nobody knows: it is said again when it is over."""
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Observed:
    """What was published; the times are microseconds of the Unix epoch. Nothing is known of what was under way."""

    totals: LoadTotals
    started_at_us: int
    ended_at_us: int


async def observe(
    source: Source,
    *,
    publisher: Publisher,
    run_id: str,
    start_us: int,
    window_us: int,
    stop: asyncio.Event,
    wait_us: int = WAIT_US,
    on_window: Callable[[int], None] = lambda _: None,
) -> Observed:
    """Publish every request that ends from `start_us` on (a window's beginning) until `stop` is set.

    One final batch for every window, `wait_us` after its end by the publisher's clock. The stage is called a ramp, for
    rate and time move together as they will: nobody visits rates in random order here. `on_window` hears how many
    requests there are, with each window.
    """
    windows = NaturalWindows(STAGE, start_us=start_us, window_us=window_us, tally=source.tally)
    now_us = publisher.clock.now_us
    cpu_ns = time.process_time_ns()
    told = 0

    def publish_ended(until_us: int) -> None:
        nonlocal cpu_ns, told
        for window, rows in windows.over(until_us):
            spent_ns, cpu_ns = time.process_time_ns() - cpu_ns, time.process_time_ns()
            publisher.publish("requests", window, rows, _facts(source, rows.num_rows, spent_ns), final=True)
            told += rows.num_rows
            on_window(told)

    publisher.announce(_stage(run_id, start_us, start_us + LONGEST_US, 0.0))
    ended_us: int | None = None
    while ended_us is None or now_us() < ended_us + max(source.settle_us, wait_us):
        for seen in source.look(now_us()):
            windows.add(seen)
        publish_ended(now_us() - wait_us)
        if ended_us is None and stop.is_set():
            ended_us = max(now_us(), start_us + 1)
            windows.until_us = ended_us + source.settle_us
        await _pause(stop, 0.0 if source.behind else _LOOK_S)
    tally = source.tally
    rest = list(windows.rest())
    for window, rows in rest:
        last = window == rest[-1][0]
        publisher.publish("requests", window, rows, _facts(source, rows.num_rows, 0), final=True, goodbye=last)
    publisher.announce(_stage(run_id, start_us, ended_us, tally.requests * 1e6 / (ended_us - start_us)))
    completed = tally.requests - windows.failed
    totals = LoadTotals(scheduled=tally.requests, sent=tally.requests, completed=completed, failed=windows.failed)
    return Observed(totals, start_us, ended_us)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    if stop.is_set() or not seconds:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _facts(source: Source, requests: int, cpu_ns: int) -> RequestFacts:
    """What ended counts as what came: when a request came is known once it has ended, and that may be windows later."""
    return RequestFacts(engine=source.name, scheduled=requests, sent=requests, generator_cpu_us=cpu_ns // 1000)


def _stage(run_id: str, starts_us: int, ends_us: int, rate_tps: float) -> StageEntered:
    return StageEntered(
        run_id=run_id,
        label=STAGE,
        stage=STAGE,
        form="ramp",
        visit=0,
        starts_at_us=starts_us,
        ends_at_us=ends_us,
        rate_from_tps=rate_tps,
        rate_to_tps=rate_tps,
    )
