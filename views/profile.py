"""The profile side of a report: what each function costs, which of them grow, and what that limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from numpy.typing import NDArray

from analysis.bounds.capacity import Modelled, Prediction, modelled
from analysis.bounds.ceiling import Ceiling, ceiling
from analysis.bounds.sizing import Sizing, sizing
from analysis.costs.cost import Cost, cost_at, cost_per_request
from analysis.costs.folding import Growth, Growths, growths
from analysis.costs.growth import Experiment
from analysis.evidence.blocks import Selection, select
from analysis.evidence.stacks import StackCounts
from analysis.finding import Figures, Finding
from analysis.over_time.with_time import growing_with_time, told
from schemas.stacks import join_frame, unfold
from views import queries
from views.facts import RunFacts
from views.placing import placed

Floats = NDArray[np.float64]

SEED = 20_260_101
"""The intervals of a report are the same however often it is built."""


@dataclass(frozen=True, slots=True, eq=False)
class FunctionCosts:
    """CPU microseconds of each function in each block: shape (functions, blocks)."""

    names: tuple[tuple[str, str], ...]
    self_us: Floats
    total_us: Floats
    samples: NDArray[np.int64]

    def label(self, place: int) -> str:
        """As stacks name it."""
        return join_frame(*self.names[place])


class ProfileFacts:
    """The profile of a run over the blocks that findings may rest on. Reads the store when made; blocks."""

    def __init__(self, client: Client, run: RunFacts) -> None:
        self._run = run
        self._host_cores = run.host_cores
        self.selection: Selection = select(run.windows, run.segments)
        self.experiment = Experiment.of(run.windows, self.selection)
        places = {"run": run.id, **placed([run.windows.window[block.rows] for block in self.selection.blocks])}
        self.costs = function_costs(queries.fetch(client, queries.FUNCTIONS, **places), len(self.selection.blocks))
        self.stacks = stack_counts(queries.fetch(client, queries.STACKS, **places), len(self.selection.blocks))

    @cached_property
    def growths(self) -> Growths:
        """Growth of every function."""
        return growths(self.stacks, self.experiment)

    @cached_property
    def growing_with_time(self) -> tuple[Finding, ...]:
        """Functions that get dearer with time in a run of levels, and not with the rate."""
        found = growing_with_time(self.stacks, self.experiment)
        return tuple(told(one) for one in found if one.function not in self.growths.culprits)

    @cached_property
    def tested(self) -> int:
        """How many functions had samples enough for their growth to be told."""
        return sum(growth.fit is not None for growth in self.growths.by_function.values())

    @cached_property
    def ceiling(self) -> Ceiling | None:
        """How many cores the service can use, and what sets that bound."""
        cores = self.experiment.cpu_us / np.maximum(self.experiment.seconds * 1e6, 1)
        shares = [float(instance["cpu_us"]) for instance in self._run.instances]
        return ceiling(shares, float(cores.max(initial=0.0)), self._host_cores)

    @cached_property
    def prediction(self) -> Prediction | None:
        """Where the CPU runs out. From levels only: along a ramp the fits would rest on one pass."""
        return self._model.prediction(self.ceiling.cores) if self.ceiling and self._model else None

    @cached_property
    def _model(self) -> Modelled | None:
        growing = {label: cpu_us[self._unlimited] for label, cpu_us in self._growing().items()}
        levels = self.selection.design == "levels"
        return modelled(self.experiment.at(self._unlimited), growing, seed=SEED) if levels else None

    @cached_property
    def _unlimited(self) -> NDArray[np.bool_]:
        """Blocks of levels that may be judged: what is seen of the others is at the edge of our own limit."""
        return ~np.isin(self.experiment.level_tps, list(self.selection.limited_tps))

    def sizing(self, at_tps: float | None) -> Sizing | None:
        """What a rate needs, by default the highest that was measured."""
        shares = [float(instance["cpu_us"]) for instance in self._run.instances]
        experiment, design = self.experiment.at(self._unlimited), self.selection.design
        return sizing(experiment, design, self._model, shares, at_tps=at_tps, host_cores=self._host_cores)

    def _growing(self) -> dict[str, Floats]:
        """CPU of each growing function in each block; a sample in two of them belongs to the deeper one."""
        found, taken = {}, np.zeros(len(self.stacks.counts), dtype=bool)
        us_per_sample = self.experiment.cpu_us / np.maximum(self.stacks.total, 1)
        for label in self.growths.culprits:
            on = self.stacks.stacks_with(self.stacks.functions.index(label)) & ~taken
            taken |= on
            found[label] = self.stacks.counts[on].sum(axis=0) * us_per_sample
        return found

    def growth_of(self, label: str) -> Growth:
        """Growth of one function, unclear when no raw sample names it."""
        return self.growths.by_function.get(label) or Growth(label, None, "unclear")

    @cached_property
    def figures(self) -> Mapping[str, Figures]:
        """What is known of each function, by its label, the hottest in itself first."""
        found = {}
        experiment, service_us = self.experiment, max(float(self.experiment.cpu_us.sum()), 1.0)
        requests, levels = experiment.completed, experiment.level_tps
        answered = float(max(requests.sum(), 1))
        spread = self.selection.design in ("levels", "ramp") and len(self.selection.level_tps) > 1
        for place, (function, file) in enumerate(self.costs.names):
            self_us, total_us = self.costs.self_us[place], self.costs.total_us[place]
            cost = cost_per_request(total_us, requests, levels) or Cost(0.0, None, None)
            own = cost_per_request(self_us, requests, levels) or Cost(0.0, None, None)
            ends = (
                [cost_at(level, total_us, requests, levels) for level in (levels.min(), levels.max())] if spread else []
            )
            growth = self.growth_of(join_frame(function, file))
            found[join_frame(function, file)] = Figures(
                function=function,
                file=file,
                self_share=float(self_us.sum()) / service_us,
                total_share=float(total_us.sum()) / service_us,
                self_us=float(self_us.sum()) / answered,
                us=cost.us,
                us_low=cost.low,
                us_high=cost.high,
                self_low=own.low,
                self_high=own.high,
                us_lowest=ends[0].us if spread and ends[0] else None,
                us_highest=ends[1].us if spread and ends[1] else None,
                samples=int(self.costs.samples[place]),
                fit=growth.fit,
                shape=growth.shape,
            )
        return found


def block_matrix(table: pa.Table, column: str, blocks: int) -> Floats:
    """Rows of pairs (block, value) as a matrix of shape (rows, blocks)."""
    matrix = np.zeros((table.num_rows, blocks))
    places, values = (table[name].combine_chunks() for name in ("blocks", column))
    if table.num_rows:
        rows = np.repeat(np.arange(table.num_rows), np.diff(places.offsets.to_numpy()))
        matrix[rows, places.flatten().to_numpy()] = values.flatten().to_numpy()
    return matrix


def function_costs(table: pa.Table, blocks: int) -> FunctionCosts:
    """From rows of `queries.FUNCTIONS` over so many blocks."""
    names = zip(table["function"].to_pylist(), table["file"].to_pylist(), strict=True)
    samples = table["samples"].to_numpy().astype(np.int64)
    return FunctionCosts(
        tuple(names), block_matrix(table, "self_us", blocks), block_matrix(table, "total_us", blocks), samples
    )


def stack_counts(table: pa.Table, blocks: int) -> StackCounts:
    """From rows of `queries.STACKS` over so many blocks."""
    return StackCounts.of(
        [unfold(stack) for stack in table["stack"].to_pylist()], block_matrix(table, "samples", blocks)
    )
