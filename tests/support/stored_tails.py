"""A simulated service with a tail as a run in a store, written as the pipeline writes it."""

import numpy as np

from schemas.events import EventData, RunEnded, RunStarted, StageEntered
from schemas.rows import StackFacts
from schemas.stacks import WAITING
from sinks.store import Store, StoredBatch
from tests.support.batches import WINDOW_US, Request, Sample, request_batch, stack_batch
from tests.support.joined import joined_window
from tests.support.tails import T0_US, Simulated

STAGE = "hold"


def write_tail(
    store: Store, run: str, simulated: Simulated, *, seconds: int, tps: float, timing: str = "exact"
) -> None:
    """One stage `hold` of so many seconds from `T0_US` on; with `timing` "window" nobody looked at the threads."""
    first, batches = T0_US // WINDOW_US, []
    ended_in = simulated.ends_us // WINDOW_US - first
    ticks = simulated.ticks
    looked_in = ticks.at_us // WINDOW_US - first
    for number in range(seconds):
        requests = [
            Request(
                scheduled_at=int(simulated.starts_us[one]) - 100,
                dispatch_lag_us=100,
                write_lag_us=150,
                latency_us=int(simulated.ends_us[one] - simulated.starts_us[one]) + 100,
                endpoint="search" if simulated.is_search[one] else "checkout",
                stage=STAGE,
            )
            for one in np.flatnonzero(ended_in == number).tolist()
        ]
        samples = [Sample("main (shop.py)", sampled_at=T0_US + number * WINDOW_US)]
        here = np.flatnonzero(looked_in[ticks.tick] == number) if timing == "exact" else ()
        for row in np.asarray(here, np.int64).tolist():
            stack, tick = ticks.stacks.each[ticks.stack[row]], ticks.tick[row]
            samples.append(
                Sample(
                    ";".join((*stack.labels, WAITING) if stack.waits else stack.labels),
                    sampled_at=int(ticks.at_us[tick]),
                    weight_us=round(float(ticks.threads[row] * ticks.weight_us[tick])),
                    mode="wall",
                )
            )
        facts = StackFacts(
            service="shop", instance="pid-100", pid=100, timing=timing, cpu_us=10_000, covered_us=WINDOW_US
        )
        window = first + number
        for batch in (
            request_batch(requests, run=run, window=window, final=True),
            stack_batch(samples, run=run, window=window, facts=facts, final=True),
        ):
            batches.append(StoredBatch(batch, 0, len(batches)))
    store.write_batches(batches)
    store.write_windows([joined_window(run=run, window=first + number) for number in range(seconds)])
    events = hold_events(run, T0_US, T0_US + seconds * WINDOW_US, tps)
    store.write_events(events, [T0_US] * len(events))


def hold_events(run: str, began_us: int, ends_us: int, tps: float) -> list[EventData]:
    """What is told of a run that holds one rate from its beginning to its end."""
    return [
        RunStarted(
            run_id=run,
            service="shop",
            target="http://127.0.0.1:8080",
            started_at_us=began_us,
            window_us=WINDOW_US,
            partitions=4,
            engine="aiohttp",
            plan={"service": "shop"},
        ),
        StageEntered(
            run_id=run,
            label=STAGE,
            stage=STAGE,
            form="hold",
            visit=0,
            starts_at_us=began_us,
            ends_at_us=ends_us,
            rate_from_tps=tps,
            rate_to_tps=tps,
        ),
        RunEnded(run_id=run, ended_at_us=ends_us, reason="finished", producers=2),
    ]
