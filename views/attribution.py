"""What requests of each endpoint make the functions cost, from the store."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from analysis.attribution import Cost, Mix, attribute
from analysis.blocks import select
from analysis.endpoint_findings import samples_alone, why_not_told
from analysis.findings import Figures
from analysis.growth import MIN_SAMPLES
from views import queries
from views.facts import RunFacts
from views.profile import block_matrix, function_costs, stack_counts
from views.warnings import left_out


@dataclass(frozen=True, slots=True)
class Paid:
    """Costs by endpoint of each function, by its label, and of what some do `alone` (see `endpoint_findings`).

    `note` says what is not identifiable; empty: nothing is.
    """

    costs: Mapping[str, tuple[Cost, ...]]
    alone: Mapping[str, tuple[Cost, ...]]
    note: str = ""


def read_paid(client: Client, run: RunFacts, figures: Mapping[str, Figures]) -> Paid:
    """Over all visits that findings may rest on, those with a swung mix as well. Blocks; raises StoreError.

    `figures` are of the functions of which it may matter what they do alone, by label.
    """
    selection = select(run.windows, run.segments, every_mix=True)
    blocks = selection.blocks
    places = {
        "run": run.id,
        "windows": [int(window) for block in blocks for window in run.windows.window[block.rows]],
        "blocks": [number for number, block in enumerate(blocks) for _ in block.rows],
    }
    mix = _mix(
        queries.fetch(client, queries.MIX, **places), np.array([block.level_tps for block in blocks], np.float64)
    )
    note = why_not_told(mix) or ""
    if note and (lost := left_out(selection)):
        note += f" Left out: {'; '.join(lost)}."
    if not mix.tells().any():
        return Paid({}, {}, note)
    functions = function_costs(queries.fetch(client, queries.FUNCTIONS, **places), len(blocks))
    rows = np.concatenate([block.rows for block in blocks])
    process_us, samples = (float(column[rows].sum()) for column in (run.windows.cpu_us, run.windows.samples))
    known = np.flatnonzero(functions.samples >= MIN_SAMPLES)
    # Functions that are always on the stack together (main, run_forever and their kin) are fitted once.
    distinct, place = np.unique(functions.total_us[known], axis=0, return_inverse=True)
    costs = attribute(distinct, process_us, samples, mix)
    stacks = stack_counts(queries.fetch(client, queries.STACKS, **places), len(blocks))
    alone = samples_alone(figures, stacks)
    cpu_us = np.array([float(run.windows.cpu_us[block.rows].sum()) for block in blocks])
    own_us = np.array(list(alone.values())).reshape(-1, len(blocks)) * cpu_us / np.maximum(stacks.total, 1)
    return Paid(
        {functions.label(one): costs[at] for one, at in zip(known.tolist(), place.ravel().tolist(), strict=True)},
        dict(zip(alone, attribute(own_us, process_us, samples, mix), strict=True)),
        note,
    )


def _mix(table: pa.Table, level_tps: np.ndarray) -> Mix:
    return Mix(tuple(table["endpoint"].to_pylist()), block_matrix(table, "requests", len(level_tps)), level_tps)
