"""Windows as columns for the analysis: healthy ones of one second, to be changed with `dataclasses.replace`."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from analysis.evidence.limits import Windows

US = 1_000_000


def windows_of(rates: Sequence[float]) -> Windows:
    """One window a rate, from time 0 on: all answered, one profiled process at 1 ms of CPU a request."""
    count = len(rates)
    answered = np.array(rates, np.int64)
    columns: dict[str, Any] = {field.name: np.zeros(count, np.int64) for field in fields(Windows)}
    columns |= {
        "window": np.arange(count),
        "starts_us": np.arange(count) * US,
        "window_us": np.full(count, US),
        "scheduled": answered,
        "sent": answered,
        "completed": answered,
        "in_flight": np.full(count, 2),
        "dispatch_lag_p99_us": np.full(count, 200),
        "generator_cpu_us": np.full(count, 30_000),
        "busiest_generator_us": np.full(count, 30_000),
        "own_cpu_us": np.full(count, 30_000),
        "instances": np.ones(count, np.int64),
        "covered_us": np.full(count, 990_000),
        "samples": answered,
        "cpu_us": answered * 1_000,
        "busiest_thread_us": answered * 1_000,
        "p50_us": np.full(count, 8_000.0),
        "p99_us": np.full(count, 20_000.0),
    }
    return Windows(**columns)
