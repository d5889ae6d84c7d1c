"""Costs by endpoint as they were seen, of runs whose service tells which request its threads served, from the store."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from analysis.endpoints.attribution import Cost
from analysis.endpoints.endpoint_findings import samples_alone, stacks_alone
from analysis.endpoints.served import NOBODY, Served, joined_in_words, paid_costs
from analysis.evidence.blocks import Block
from analysis.evidence.stacks import StackCounts
from analysis.finding import Figures
from schemas.stacks import unfold
from views import queries, served_queries
from views.facts import RunFacts
from views.placing import placed
from views.profile import block_matrix

LEAST_SAMPLES = 10
"""Of a function whose costs are told: with fewer its interval would say nothing."""
Costs = Mapping[str, tuple[Cost, ...]]


def read_served(
    client: Client, run: RunFacts, blocks: Sequence[Block], figures: Mapping[str, Figures]
) -> tuple[Costs, Costs, str] | None:
    """Costs of each function and of what some do alone, by label, and what is to be known of them beside.

    None where nobody told. Blocks; raises StoreError.
    """
    if not queries.fetch(client, served_queries.SERVED, run=run.id)["samples"][0].as_py():
        return None
    places = {"run": run.id, **placed([run.windows.window[block.rows] for block in blocks])}
    ended = queries.fetch(client, served_queries.ENDED, **places)
    paid = queries.fetch(client, served_queries.PAID, **places)
    served = served_of(paid, ended, np.array([block.level_tps for block in blocks], np.float64))
    if not (served.endpoint != NOBODY).any():
        return None  # threads served others than this run's
    stacks = served.stacks
    samples = stacks.inclusive().sum(axis=1)
    every = {
        label: stacks.stacks_with(place)
        for place, label in enumerate(stacks.functions)
        if samples[place] >= LEAST_SAMPLES
    }
    alone = stacks_alone(figures, stacks)
    heavy = {label: alone[label] for label in samples_alone(figures, stacks)}
    return paid_costs(served, every), paid_costs(served, heavy), joined_in_words(served.joined_share)


def served_of(paid: pa.Table, ended: pa.Table, level_tps: np.ndarray) -> Served:
    """From rows of `served_queries.PAID` and `ENDED`, over blocks of such rates."""
    blocks = len(level_tps)
    samples = block_matrix(paid, "samples", blocks)
    names = tuple(ended["endpoint"].to_pylist())
    known = {name: place for place, name in enumerate(names)}
    texts: dict[str, int] = {}
    stack = np.array([texts.setdefault(text, len(texts)) for text in paid["stack"].to_pylist()], np.intp)
    counts = np.zeros((len(texts), blocks))
    np.add.at(counts, stack, samples)
    return Served(
        stacks=StackCounts.of([unfold(text) for text in texts], counts),
        endpoints=names,
        stack=stack,
        # Of an endpoint of which no request ended here nothing can be said for each.
        endpoint=np.array([known.get(name, NOBODY) for name in paid["endpoint"].to_pylist()], np.intp),
        cpu_us=block_matrix(paid, "cpu_us", blocks),
        samples=samples,
        ended=block_matrix(ended, "requests", blocks),
        level_tps=level_tps,
    )
