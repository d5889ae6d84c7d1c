"""How many cores a service can use before it cannot go faster."""

from collections.abc import Sequence
from dataclasses import dataclass

BEYOND_ONE_LOCK = 1.05
IDLE_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most cores, and in words what sets the bound."""

    cores: float
    limited_by: str


def ceiling(instance_cpu_us: Sequence[float], peak_cores: float, host_cores: int | None) -> Ceiling | None:
    """The bound for a service whose processes took `instance_cpu_us`, and which used `peak_cores` at its busiest.

    Each Python process has one interpreter lock: one core, threads or not. Work is taken to stay divided as it was, so
    the process that takes most fills up first. A process that was seen above one core runs code that releases the
    lock, and then only the host's cores bound it. None when that leaves no bound that is known.
    """
    total_us = sum(instance_cpu_us)
    if total_us <= 0:
        return None
    largest = max(instance_cpu_us) / total_us
    locks = 1 / largest
    if peak_cores * largest > BEYOND_ONE_LOCK:
        locks = float("inf")
    if host_cores is not None and host_cores < locks:
        return Ceiling(float(host_cores), f"the host's {host_cores} {'core' if host_cores == 1 else 'cores'}")
    if locks == float("inf"):
        return None
    working = sum(cpu_us > IDLE_SHARE * total_us for cpu_us in instance_cpu_us)
    if working == 1:
        return Ceiling(locks, "one interpreter lock: one core of Python code, whatever the threads")
    return Ceiling(locks, f"{working} interpreter locks: the busiest process takes {largest:.0%} of the work")
