"""What keeps a service from going faster at a rate that it did not hold: cores, a lock, the host, the load, or waiting.

From the windows of that rate, in this order, for each of these hides what comes after it: the generator was late, our
own processes took the service's cores, the service's CPU was used up (see `ceiling`), the host's was, by others. What
is left is waiting: requests pile up while the CPU has time, so the service waits for something (a lock, a pool of
connections or threads, a service behind it).
"""

from dataclasses import dataclass
from typing import Literal

from analysis.bounds.ceiling import Ceiling
from analysis.evidence.limits import Windows, generator_limited, host_limited
from analysis.evidence.overrun import mostly_fit

Cause = Literal["generator", "own", "cpu", "thread", "host", "waiting"]

USED_UP = 0.85
HOST_USED_UP = 0.90


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What limits at `tps` offered, in words; `cores` were in use by the service, of `of_cores` that it can use."""

    cause: Cause
    limited_by: str
    tps: float
    achieved_tps: float
    cores: float
    of_cores: float | None


def bottleneck(windows: Windows, ceiling: Ceiling | None, host_cores: int | None) -> Bottleneck | None:
    """From the windows of a rate that was not held; None without any, or where only a missing profile could tell."""
    total_us = float(windows.window_us.sum())
    if not total_us:
        return None
    watched = windows.at(windows.instances > 0)
    watched_us = max(float(watched.window_us.sum()), 1.0)
    cores = float(watched.cpu_us.sum()) / watched_us
    found = _cause(windows, watched, cores, ceiling, host_cores)
    if found is None:
        return None
    cause, words = found
    offered, achieved = (float(column.sum()) * 1e6 / total_us for column in (windows.scheduled, windows.completed))
    return Bottleneck(cause, words, offered, achieved, cores, ceiling.cores if ceiling else host_cores)


def _cause(
    windows: Windows, watched: Windows, cores: float, ceiling: Ceiling | None, host_cores: int | None
) -> tuple[Cause, str] | None:
    if not mostly_fit(windows):
        if generator_limited(windows).sum() >= host_limited(windows).sum():
            return "generator", "the load generator, which could not keep its schedule"
        return "own", "the host: loadflame's own processes took its cores"
    if not len(watched):
        return None
    return _used_up(watched, cores, ceiling, host_cores) or (
        "waiting",
        "waiting (for a lock, a pool, or a service behind it), not the CPU",
    )


def _used_up(
    watched: Windows, cores: float, ceiling: Ceiling | None, host_cores: int | None
) -> tuple[Cause, str] | None:
    if ceiling is not None and cores >= USED_UP * ceiling.cores:
        return "cpu", ceiling.limited_by
    watched_us = float(watched.window_us.sum())
    if watched.busiest_thread_us.sum() >= USED_UP * watched_us:
        return "thread", "one thread, which is always busy"
    host = float(watched.host_cpu_us.sum()) / watched_us
    if host_cores and host >= HOST_USED_UP * host_cores:
        return "host", f"the host's {host_cores} cores, of which others take {max(host - cores, 0):.1f}"
    return None
