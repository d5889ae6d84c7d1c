"""What a process did while a group of requests waited, summed by block, and how two such groups differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import stdtr

from analysis.waiting.ticks import Floats, Ints, Ticks


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Waiting time of one group by block: all of it, the idle part, and the part of each running function."""

    time: Floats
    idle: Floats
    runs: Floats

    @property
    def busy(self) -> Floats:
        """Waiting time in which a thread ran."""
        return self.time - self.idle

    @property
    def effective_blocks(self) -> float:
        """Kish's number of blocks that the waiting time is spread over evenly."""
        return float(self.time.sum() ** 2 / max(float((self.time**2).sum()), 1e-9))


@dataclass(frozen=True, slots=True, eq=False)
class Stood:
    """Thread-time of one group in which threads stood: by block and place, and in all in code that runs else."""

    waits: Floats
    ready: float


class Cells:
    """Rows of ticks by block and stack, placed once for all groups whose time is summed over the same blocks.

    `block` (ticks,): the block of each tick. A group's `under_way` (ticks,): how many of it were waited for at each.
    """

    def __init__(self, ticks: Ticks, block: Ints) -> None:
        self._ticks, self._block = ticks, block
        self._shape = int(block.max()) + 1, len(ticks.stacks)
        self._running, self._waiting = (
            block[tick] * len(ticks.stacks) + stack for tick, stack, _ in (ticks.running, ticks.waiting)
        )

    def time(self, under_way: Floats) -> Floats:
        """The waiting time of a group alone, by block."""
        weight = under_way * self._ticks.weight_us
        return np.bincount(self._block, weight, minlength=self._shape[0]).astype(np.float64)

    def times(self, under_way: Floats) -> Times:
        """What the process did while a group waited."""
        weight = under_way * self._ticks.weight_us
        time = self.time(under_way)
        tick, _, share = self._ticks.running
        ran = self._summed(self._running, weight[tick] * share)
        return Times(time, time - ran.sum(axis=1), _product(ran, self._ticks.stacks.member))

    def stood(self, under_way: Floats) -> Stood:
        """Where its threads stood meanwhile."""
        tick, _, threads = self._ticks.waiting
        stood = self._summed(self._waiting, (under_way * self._ticks.weight_us)[tick] * threads)
        return Stood(_product(stood, self._ticks.stacks.stands), float(stood[:, self._ticks.turnless].sum()))

    def _summed(self, cells: Ints, values: Floats) -> Floats:
        count = self._shape[0] * self._shape[1]
        return np.bincount(cells, values, minlength=count).reshape(self._shape).astype(np.float64, copy=False)


def _product(dense: Floats, which: sparse.csr_array) -> Floats:
    return np.asarray((which @ dense.T).T)


class Draws:
    """Draws of blocks for a bootstrap, the same for whatever is compared over as many blocks.

    `of(blocks)` has the shape (draws, blocks) and says how often each block was drawn, `blocks` of them in each draw.
    """

    _REPLICATES = 2000

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._last = np.zeros((0, 0))

    def of(self, blocks: int) -> Floats:
        """Kept until others are asked for: at one rate most endpoints have as many."""
        if self._last.shape[1] != blocks:
            random = np.random.default_rng(self._seed)
            self._last = random.multinomial(blocks, np.full(blocks, 1 / blocks), self._REPLICATES).astype(np.float64)
        return self._last


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """Sums by block, `parts` (blocks, columns) over one `whole` (blocks,)."""

    parts: Floats
    whole: Floats

    def only(self, columns: NDArray[np.integer]) -> "Ratio":
        """Some of the columns."""
        return Ratio(self.parts[:, columns], self.whole)

    @property
    def value(self) -> Floats:
        """All blocks together, shape (columns,)."""
        return np.asarray(self.parts.sum(axis=0) / max(float(self.whole.sum()), 1e-9))

    @property
    def influence(self) -> Floats:
        """What each block adds to the value, to first order; shape (blocks, columns)."""
        return np.asarray((self.parts - self.value * self.whole[:, None]) / max(float(self.whole.sum()), 1e-9))

    def drawn(self, draws: Floats) -> Floats:
        """Values of other draws of the blocks, `draws` (draws, blocks) says how often each was drawn."""
        return np.asarray((draws @ self.parts) / np.maximum(draws @ self.whole, 1e-9)[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class Rises:
    """Two ratios and their difference, first less second: 95% interval, and the chance of such a rise by chance alone.

    Each of shape (columns,). The interval is NaN of what differs too little to be told.
    """

    first: Floats
    second: Floats
    low: Floats
    high: Floats
    p: Floats


def rises(first: Ratio, second: Ratio, degrees: int, draws: Draws, *, least: float = np.inf) -> Rises:
    """Compare ratios over the same blocks. The variance is linearised; `degrees` of freedom are Student's t's.

    Only what differs by `least` has an interval, which is what takes the time.
    """
    influence = first.influence - second.influence
    blocks, columns = influence.shape
    error = np.sqrt((influence**2).sum(axis=0) * blocks / max(blocks - 1, 1))
    rise = first.value - second.value
    p = np.where(error > 0, stdtr(degrees, -rise / np.maximum(error, 1e-12)), 1.0)
    low, high = np.full((2, columns), np.nan)
    told = np.flatnonzero(np.abs(rise) >= least)
    if len(told):
        drawn = [one.only(told).drawn(draws.of(blocks)) for one in (first, second)]
        low[told], high[told] = np.quantile(drawn[0] - drawn[1], [0.025, 0.975], axis=0)
    return Rises(first.value, second.value, low, high, p)
