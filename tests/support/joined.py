"""Builders of joined windows."""

import numpy as np

from schemas.joined import JoinedEndpoint, JoinedFunction, JoinedWindow
from schemas.sketch import Sketch
from tests.support.batches import RUN, WINDOW, WINDOW_US


def joined_endpoint(
    endpoint: str = "search", *, stage: str = "hold", latencies_us: tuple[int, ...] = (9_000, 12_000, 30_000)
) -> JoinedEndpoint:
    """An endpoint whose requests took `latencies_us`; all of them were answered."""
    count = len(latencies_us)
    latency = Sketch.of(np.array(latencies_us, np.int64))
    return JoinedEndpoint(stage, endpoint, count, 0, 0, 180 * count, 2_400 * count, latency)


def joined_function(function: str = "sweep", *, service: str = "shop", self_cpu_us: int = 40_000) -> JoinedFunction:
    """A function of shop.py that spends all its time in itself, 10 ms a sample."""
    samples = self_cpu_us // 10_000
    return JoinedFunction(service, function, "shop.py", samples, samples, self_cpu_us, self_cpu_us)


def joined_window(
    *,
    run: str = RUN,
    window: int = WINDOW,
    batches_covered: int = 2,
    closed_by: str = "producers",
    endpoints: tuple[JoinedEndpoint, ...] | None = None,
    functions: tuple[JoinedFunction, ...] | None = None,
) -> JoinedWindow:
    """A healthy window of one second with one profiled instance; totals follow from its endpoints and functions."""
    endpoints = (joined_endpoint(),) if endpoints is None else endpoints
    functions = (joined_function(),) if functions is None else functions
    completed = sum(one.completed for one in endpoints)
    cpu_us = sum(one.self_cpu_us for one in functions)
    return JoinedWindow(
        run_id=run,
        window=window,
        window_us=WINDOW_US,
        batches_covered=batches_covered,
        closed_by=closed_by,
        scheduled=completed,
        sent=completed,
        dropped=0,
        in_flight=1,
        completed=completed,
        failed=sum(one.failed for one in endpoints),
        generator_cpu_us=21_000,
        busiest_generator_us=14_000,
        dispatch_lag_p99_us=300,
        instances=1,
        covered_us=990_000,
        samples=sum(one.self_samples for one in functions),
        cpu_us=cpu_us,
        unattributed_us=500,
        busiest_thread_us=cpu_us,
        run_queue_us=1_200,
        agent_cpu_us=9_000,
        own_cpu_us=62_000,
        host_cpu_us=130_000,
        endpoints=endpoints,
        functions=functions,
    )
