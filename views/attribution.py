"""What requests of each endpoint make the functions cost, from the store: as it was seen, else by the mix."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from analysis.costs.growth import MIN_SAMPLES
from analysis.endpoints.attribution import Cost, Mix, attribute
from analysis.endpoints.endpoint_findings import samples_alone, why_not_told
from analysis.evidence.blocks import Selection, select
from analysis.finding import Figures
from views import queries
from views.facts import RunFacts
from views.placing import placed
from views.profile import block_matrix, function_costs, stack_counts
from views.served import read_served
from views.warnings import left_out


@dataclass(frozen=True, slots=True)
class Paid:
    """Costs by endpoint of each function, by its label, and of what some do `alone` (see `endpoint_findings`).

    Nothing stands `alone` where no part of the run is fit to claim anything: then costs are shown, and no more.

    `note` says what is not identifiable, or how it was seen who pays; empty: there is nothing to be said.
    """

    costs: Mapping[str, tuple[Cost, ...]]
    alone: Mapping[str, tuple[Cost, ...]]
    note: str = ""
    seen: bool = False


def read_paid(client: Client, run: RunFacts, figures: Mapping[str, Figures]) -> Paid:
    """Over all visits that findings may rest on, those with a swung mix as well. Blocks; raises StoreError.

    `figures` are of the functions of which it may matter what they do alone, by label.
    """
    selection = select(run.windows, run.segments, every_mix=True)
    paid = _read_paid(client, run, figures, selection)
    return replace(paid, alone={}) if selection.design == "unfit" else paid


def _read_paid(client: Client, run: RunFacts, figures: Mapping[str, Figures], selection: Selection) -> Paid:
    blocks = selection.blocks
    places = {"run": run.id, **placed([run.windows.window[block.rows] for block in blocks])}
    if seen := read_served(client, run, blocks, figures):
        return Paid(*seen, seen=True)
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
