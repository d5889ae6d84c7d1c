"""Windows of a run as columns, and which of them say more about the generator or the host than about the service."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LAG_LIMIT_US = 10_000
LAG_SHARE_OF_P99 = 0.10
GENERATOR_CORE_SHARE = 0.90
QUEUE_SHARE_OF_MEDIAN = 0.25
OWN_SHARE_OF_CPU = 0.25
FREE_SHARE = 0.5
LIMITED_SHARE = 0.10
"""More of the windows of a run, a stage or a level than this may not be limited if it is to be judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Joined windows in time order, one array of shape (n,) a column; the names are those of a joined window.

    `p50_us` and `p99_us` are NaN where nothing ended. `instances` is 0 where there is no profile, `host_cpu_us` and
    `host_cores` where nobody told.
    """

    window: Ints
    starts_us: Ints
    window_us: Ints
    scheduled: Ints
    sent: Ints
    completed: Ints
    failed: Ints
    dropped: Ints
    in_flight: Ints
    dispatch_lag_p99_us: Ints
    generator_cpu_us: Ints
    busiest_generator_us: Ints
    p50_us: Floats
    p99_us: Floats
    instances: Ints
    covered_us: Ints
    samples: Ints
    cpu_us: Ints
    unattributed_us: Ints
    busiest_thread_us: Ints
    run_queue_us: Ints
    agent_cpu_us: Ints
    own_cpu_us: Ints
    host_cpu_us: Ints
    host_cores: Ints

    def __len__(self) -> int:
        return len(self.window)

    @property
    def ends_us(self) -> Ints:
        """Where each window ends, microseconds since the Unix epoch."""
        return self.starts_us + self.window_us

    def at(self, rows: Ints | Mask) -> Self:
        """Some of the windows."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def generator_limited(windows: Windows) -> Mask:
    """Windows in which the generator could not keep its schedule: late by itself, or a core of its own over 90% busy.

    Several load processes have a core each, so the busiest one is judged and not their sum. Late means a p99 of the
    dispatch lag over 10 ms and over 10% of the p99 latency: less does not show in a result.
    """
    latency_us = np.nan_to_num(windows.p99_us)
    late = windows.dispatch_lag_p99_us > np.maximum(LAG_LIMIT_US, LAG_SHARE_OF_P99 * latency_us)
    return np.asarray(late | (windows.busiest_generator_us > GENERATOR_CORE_SHARE * windows.window_us))


def host_limited(windows: Windows) -> Mask:
    """Windows in which the service waited for a core that loadflame itself was using.

    All must hold: the wait in the run queue per request is over 25% of the median latency; loadflame's processes on
    that host took over a quarter of the busy CPU (a load on another host takes nothing from the service, and what
    neighbours take is not ours); and half of the cores' time was used. For the wait alone is no want of cores: being
    woken up takes its time also on idle ones, 10 to 16% of the CPU time of an async service and 25 to 50% of one of
    many threads, where nothing else runs.
    """
    ended = np.maximum(windows.completed + windows.failed, 1)
    waits = windows.run_queue_us / ended > QUEUE_SHARE_OF_MEDIAN * np.nan_to_num(windows.p50_us, nan=np.inf)
    busy_us = np.maximum(windows.host_cpu_us, np.maximum(windows.own_cpu_us + windows.cpu_us, 1))
    is_told = (windows.host_cpu_us > 0) & (windows.host_cores > 0)
    was_free = is_told & (windows.host_cpu_us < FREE_SHARE * windows.host_cores * windows.window_us)
    takes = windows.own_cpu_us > OWN_SHARE_OF_CPU * busy_us
    return np.asarray(waits & takes & ~was_free & (windows.instances > 0))
