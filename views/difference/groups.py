"""Two groups of runs from the store, as the arrays that a comparison is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from clickhouse_connect.driver.client import Client
from numpy.typing import NDArray

from analysis.comparison.cells import Cell, Level, Shared, cells_of, shared_cells
from analysis.comparison.difference import LEAST_SAMPLES, Latency, Measured, What
from analysis.comparison.matching import Key, Moved, moved, new_key
from schemas.sketch import GAMMA
from schemas.stacks import join_frame
from views import queries
from views.facts import RunFacts, read_run
from views.outcome import Outcome, outcome_of
from views.placing import placed
from views.profile import FunctionCosts, function_costs

_TAILS: tuple[tuple[What, float, int], ...] = (("p99", 0.99, 1000), ("p95", 0.95, 200))
"""Percentiles of a tail, with the requests that each needs in every run: ten beyond it."""
_MEDIAN_NEEDS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The runs of both sides, oldest first, what they measured where they may be compared, and what was left out.

    `measured` is of the runs `kept` (ids), None where a side has none.
    """

    runs: tuple[RunFacts, ...]
    kept: tuple[str, ...]
    left_out: Mapping[str, str]
    levels: tuple[Level, ...]
    measured: Measured | None
    moved: tuple[Moved, ...]


def read_groups(client: Client, base: Sequence[str], new: Sequence[str]) -> Groups:
    """Read two groups of runs. Blocks; raises UnknownRunError or StoreError."""
    runs = sorted((read_run(client, run) for run in (*base, *new)), key=lambda run: run.started_at)
    left_out = {run.id: why for run in runs if (why := _unfit(client, run))}
    fit = [run for run in runs if run.id not in left_out]
    is_new = np.array([run.id in new for run in fit], dtype=bool)
    cells = [cells_of(run.windows, run.segments) for run in fit]
    shared = shared_cells(cells, is_new)
    left_out |= {fit[place].id: why for place, why in shared.left_out.items()}
    kept, sides = [fit[place] for place in shared.runs], is_new[list(shared.runs)]
    measured: Measured | None = None
    moves: tuple[Moved, ...] = ()
    if shared.compared and sides.any() and not sides.all():
        mine = [_of(cells[place], shared) for place in shared.runs]
        measured, moves = _measured(client, kept, mine, sides)
    return Groups(tuple(runs), tuple(run.id for run in kept), left_out, shared.levels, measured, moves)


def _unfit(client: Client, run: RunFacts) -> str:
    """Why nothing of a run may be relied upon; empty when it may."""
    if not run.reason:
        return "it has not ended"
    checks = queries.fetch(client, queries.CHECKS, run=run.id).to_pylist()
    broken = next((check for check in checks if check["ok"] is False), None)
    return "" if broken is None else f"not every outcome is accounted for: {broken['name']}: {broken['sentence']}"


def _of(cells: Sequence[Cell], shared: Shared) -> list[Cell]:
    by_name = {cell.name: cell for cell in cells}
    return [by_name[name] for name in shared.compared]


def _measured(
    client: Client, runs: Sequence[RunFacts], cells: Sequence[Sequence[Cell]], is_new: NDArray[np.bool_]
) -> tuple[Measured, tuple[Moved, ...]]:
    """Of each cell a run has a cost per request, and of all of them the mean by the requests of all runs together:
    the same weights for every run, so that none is dearer for having had more requests at a dear rate.
    """
    completed = np.array([[cell.completed for cell in mine] for mine in cells], np.float64)
    weights = completed.sum(axis=0) / completed.sum() / completed  # of a microsecond in a cell of a run
    service_us = (np.array([[cell.cpu_us for cell in mine] for mine in cells]) * weights).sum(axis=1)
    costs = [_function_costs(client, run, mine) for run, mine in zip(runs, cells, strict=True)]
    moves = moved(_samples(costs, ~is_new), _samples(costs, is_new), LEAST_SAMPLES)
    names = [
        found.names if is_new[run] else tuple(new_key(key, moves) for key in found.names)
        for run, found in enumerate(costs)
    ]
    places = {key: place for place, key in enumerate(dict.fromkeys(key for some in names for key in some))}
    shape = (len(places), len(runs))
    self_us, total_us, self_samples, total_samples = (np.zeros(shape) for _ in range(4))
    for run, found in enumerate(costs):
        rows = [places[key] for key in names[run]]
        us_per_sample = float(found.total_us.sum()) / max(float(found.samples.sum()), 1.0)
        self_us[rows, run] = found.self_us @ weights[run]
        total_us[rows, run] = found.total_us @ weights[run]
        self_samples[rows, run] = found.self_us.sum(axis=1) / max(us_per_sample, 1e-9)
        total_samples[rows, run] = found.samples
    measured = Measured(
        is_new=is_new,
        at=np.array([run.started_at.timestamp() for run in runs]),
        service_us=service_us,
        functions=tuple(join_frame(*key) for key in places),
        self_us=self_us,
        total_us=total_us,
        self_samples=self_samples,
        total_samples=total_samples,
        latencies=_latencies(runs, cells),
        resolution=GAMMA,
    )
    return measured, moves


def _function_costs(client: Client, run: RunFacts, cells: Sequence[Cell]) -> FunctionCosts:
    """CPU of each function in each cell."""
    places = placed([run.windows.window[cell.rows] for cell in cells])
    table = queries.fetch(client, queries.FUNCTIONS, run=run.id, **places)
    return function_costs(table, len(cells))


def _samples(costs: Sequence[FunctionCosts], of_side: NDArray[np.bool_]) -> dict[Key, float]:
    """Samples of each function in a run of one side, on average."""
    found: dict[Key, float] = {}
    runs = int(of_side.sum())
    for one, mine in zip(costs, of_side, strict=True):
        if mine:
            for key, samples in zip(one.names, one.samples.tolist(), strict=True):
                found[key] = found.get(key, 0.0) + samples / runs
    return found


def _latencies(runs: Sequence[RunFacts], cells: Sequence[Sequence[Cell]]) -> tuple[Latency, ...]:
    """The median of every endpoint that all runs asked, and a percentile of its tail, where there are requests for it.

    What was dropped or not answered ranks above every answer; a percentile among those is not known, so it is NaN.
    """
    outcomes = []
    for run, mine in zip(runs, cells, strict=True):
        labels = {label for cell in mine for label in cell.labels}
        outcomes.append(outcome_of(run, [one for one in run.segments if one.label in labels]))
    asked = [{one.endpoint for one in outcome.endpoints} for outcome in outcomes]
    found = []
    for endpoint in sorted(set.intersection(*asked)):
        fewest = min(outcome.latencies(endpoint).count for outcome in outcomes)
        tail = next(((what, q) for what, q, needs in _TAILS if fewest >= needs), None)
        wanted: list[tuple[What, float]] = [("p50", 0.5)] if fewest >= _MEDIAN_NEEDS else []
        for what, q in (*wanted, *([tail] if tail else [])):
            found.append(Latency(endpoint, what, np.array([_ms(outcome, endpoint, q) for outcome in outcomes])))
    return tuple(found)


def _ms(outcome: Outcome, endpoint: str, q: float) -> float:
    value = outcome.latencies(endpoint).quantile(q)
    return float("nan") if value is None or value.censored else value.us / 1000
