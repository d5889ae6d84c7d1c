"""Experiments of known truth for the statistics: what a service costs by stack and rate, what a sampler sees of it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from analysis.costs.growth import Experiment
from analysis.evidence.stacks import StackCounts

Floats = NDArray[np.float64]
Costs = dict[tuple[str, ...], Callable[[float], float]]

LOOP = ("main", "run_forever", "_run_once")
HANDLE = (*LOOP, "_run", "handle")


def service(*, sweep: Callable[[float], float], fixed_us_per_s: float = 12_000.0) -> Costs:
    """CPU us per request by stack, at a rate: fixed work, plumbing, two handlers, and `sweep` below both."""
    return {
        LOOP: lambda tps: fixed_us_per_s / tps + 60,
        (*HANDLE,): lambda _: 90.0,
        (*HANDLE, "search"): lambda _: 40.0,
        (*HANDLE, "search", "rank"): lambda _: 350.0,
        (*HANDLE, "search", "sweep"): lambda tps: 0.7 * sweep(tps),
        (*HANDLE, "checkout"): lambda _: 20.0,
        (*HANDLE, "checkout", "sign"): lambda _: 120.0,
        (*HANDLE, "checkout", "sweep"): lambda tps: 0.3 * sweep(tps),
    }


def experiment(
    costs: Costs,
    *,
    seed: int = 0,
    rates: tuple[float, ...] = (40, 80, 160, 320),
    visits: int = 4,
    seconds: float = 3.0,
    hz: float = 400.0,
    drift: float = 0.0,
    spread: float = 0.03,
    randomised: bool = True,
) -> tuple[StackCounts, Experiment]:
    """What was sampled and measured.

    The sampler finds 90% at the highest rate and `drift` less at the lowest (more, if negative). Costs vary from
    visit to visit by `spread`, each stack's on its own.
    """
    random = np.random.default_rng(seed)
    levels = np.repeat(np.array(rates, np.float64), visits)
    order = random.permutation(len(levels)) if randomised else np.arange(len(levels))
    minutes = np.empty(len(levels))
    minutes[order] = np.arange(len(levels)) * (seconds + 2) / 60
    completed = random.poisson(levels * seconds).astype(np.float64)
    place = np.log(levels / levels.min()) / max(np.log(levels.max() / levels.min()), 1e-9)
    recall = 0.9 * (1 - drift * (1 - place))
    spent = np.array(
        [
            np.array([cost(tps) for tps in levels]) * completed * np.exp(random.normal(0, spread, len(levels)))
            for cost in costs.values()
        ]
    )
    seen = random.poisson(spent / 1e6 * hz * recall).astype(np.float64)
    measured = Experiment(
        tps=completed / seconds,
        level_tps=levels,
        minutes=minutes,
        seconds=np.full(len(levels), seconds),
        completed=completed,
        cpu_us=spent.sum(axis=0),
        randomised=randomised,
    )
    return StackCounts.of(list(costs), seen), measured
