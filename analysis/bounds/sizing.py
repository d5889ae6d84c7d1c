"""How many cores and workers a service needs at a rate, and how many it has too many.

Utilisation law: cores in use = throughput x CPU per request (Denning, Buzen, 1978; see `capacity`). From levels the
curves of `capacity` say it for any rate; from one steady rate it is that rate's cost per request, and no further than
half as much again. A worker is a process with one interpreter lock, so it has one core at most, and is meant to be 70%
busy: there a queue still empties (an M/M/1 server at 70% has its requests wait 2.3 times their service time, at 90% 9
times), and what one worker of two more or less does not tip it over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from analysis.bounds.capacity import Modelled
from analysis.bounds.ceiling import BEYOND_ONE_LOCK, IDLE_SHARE
from analysis.costs.cost import cost_per_request
from analysis.costs.growth import Experiment
from analysis.evidence.blocks import Design

BUSY_TARGET = 0.70
FURTHEST_FROM_ONE_RATE = 1.5
FURTHEST_FROM_LEVELS = 2.0


@dataclass(frozen=True, slots=True)
class Sizing:
    """What `tps` needs in `cores`, with its 95% interval (None where nothing was repeated).

    `workers` are the processes that do the work, of which `needed` would be `busy_target` busy at most by the high end
    of the interval; both are None where a worker is not bound to one core.
    """

    tps: float
    cores: float
    low: float | None
    high: float | None
    workers: int | None
    needed: int | None
    host_cores: int | None
    highest_tps: float
    busy_target: float = BUSY_TARGET

    @property
    def too_many(self) -> int:
        """Workers more than are needed; negative when there are too few; 0 where that is not known."""
        return 0 if self.workers is None or self.needed is None else self.workers - self.needed


def sizing(
    experiment: Experiment,
    design: Design,
    model: Modelled | None,
    instance_cpu_us: Sequence[float],
    *,
    at_tps: float | None = None,
    host_cores: int | None = None,
) -> Sizing | None:
    """At a rate, by default the highest that was measured; `experiment` holds only what the load did not limit.

    None when nothing may be judged, or when the rate is further from what was measured than can be told: above 2 times
    the highest level, or 1.5 times the highest rate of a run without levels.
    """
    if design == "unfit" or not len(experiment.tps) or experiment.cpu_us.sum() <= 0:
        return None
    highest_tps = float(experiment.level_tps.max())
    tps = highest_tps if at_tps is None else at_tps
    if tps > highest_tps * (FURTHEST_FROM_ONE_RATE if model is None else FURTHEST_FROM_LEVELS):
        return None
    if model is not None:
        estimate = model.cores_at(tps)
        cores, low, high = estimate.tps, estimate.low, estimate.high
    else:
        # Of a ramp the nearest rates speak for the one that is asked for.
        near = experiment.at(abs(experiment.level_tps / tps - 1) <= FURTHEST_FROM_ONE_RATE - 1)
        cost = cost_per_request(near.cpu_us, near.completed, near.level_tps)
        if cost is None:
            return None
        cores = cost.us * tps / 1e6
        low, high = (None if us is None else us * tps / 1e6 for us in (cost.low, cost.high))
    workers = _workers(instance_cpu_us, float((experiment.cpu_us / (experiment.seconds * 1e6)).max()))
    busiest = cores if high is None else high
    needed = None if workers is None else max(1, ceil(busiest / BUSY_TARGET))
    return Sizing(tps, cores, low, high, workers, needed, host_cores, highest_tps)


def _workers(instance_cpu_us: Sequence[float], peak_cores: float) -> int | None:
    """Processes that do part of the work; None when one of them was seen above one core, so that no lock binds it."""
    total_us = sum(instance_cpu_us)
    if total_us <= 0 or peak_cores * max(instance_cpu_us) / total_us > BEYOND_ONE_LOCK:
        return None
    return sum(cpu_us > IDLE_SHARE * total_us for cpu_us in instance_cpu_us)
