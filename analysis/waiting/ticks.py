"""Ticks of the wall clock at which all threads of a process were seen, running or waiting, as columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = tuple[Ints, Ints, Floats]

_STANDARD = re.compile(
    # Labels keep the last two parts of a path: modules of Python itself stand in `python3.11/`, or in their package.
    r" \((python3\.\d+t?|asyncio|futures|multiprocessing|http|urllib|json|logging|email|unittest|importlib)/[^()]*\)$"
    r"|\((selectors|threading|socketserver|socket|ssl|queue|subprocess|contextlib|runpy)\.py\)$"
    r"|\(<frozen [^()]*\)$"
)


def is_standard(label: str) -> bool:
    """Whether a function is one of Python's own modules, as far as the last two parts of a path tell."""
    return bool(_STANDARD.search(label))


@dataclass(frozen=True, slots=True)
class WallStack:
    """A stack of a thread, labels of its frames root first, and whether the thread waited (else it ran)."""

    labels: tuple[str, ...]
    waits: bool

    @property
    def place(self) -> tuple[str, str]:
        """Where a thread stands that waits: its last frame, and the nearest frame above that is not Python's own.

        The second is empty when there is none: a thread of a pool that has nothing to do.
        """
        above = (label for label in reversed(self.labels[:-1]) if not is_standard(label))
        return self.labels[-1] if self.labels else "", next(above, "")


@dataclass(frozen=True, eq=False)
class Stacks:
    """Every stack in which a thread was seen, and what there is to know of them whenever that was."""

    each: Sequence[WallStack]

    def __len__(self) -> int:
        return len(self.each)

    @cached_property
    def waits(self) -> Mask:
        """Which stacks are of waiting threads."""
        return np.array([one.waits for one in self.each], np.bool_)

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """Labels of all functions on stacks of running threads."""
        return tuple(dict.fromkeys(label for one in self.each if not one.waits for label in one.labels))

    @cached_property
    def member(self) -> sparse.csr_array:
        """Which functions are on which running stack: shape (functions, stacks), 1 or 0."""
        place = {label: number for number, label in enumerate(self.functions)}
        pairs = [
            (place[label], number)
            for number, one in enumerate(self.each)
            if not one.waits
            for label in dict.fromkeys(one.labels)
        ]
        return _ones(pairs, (len(self.functions), len(self)))

    @cached_property
    def depth(self) -> Floats:
        """How deep each of `functions` stands, root 0: the mean over the stacks that hold it."""
        place = {label: number for number, label in enumerate(self.functions)}
        sums, counts = np.zeros(len(place)), np.zeros(len(place))
        for one in self.each:
            for depth, label in enumerate(one.labels) if not one.waits else ():
                sums[place[label]] += depth
                counts[place[label]] += 1
        return sums / np.maximum(counts, 1)

    @cached_property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Every place in which threads waited."""
        return tuple(dict.fromkeys(one.place for one in self.each if one.waits))

    @cached_property
    def stands(self) -> sparse.csr_array:
        """Which waiting stack stands in which place: shape (places, stacks), 1 or 0."""
        number = {place: row for row, place in enumerate(self.places)}
        pairs = [(number[one.place], column) for column, one in enumerate(self.each) if one.waits]
        return _ones(pairs, (len(self.places), len(self)))


@dataclass(frozen=True, eq=False)
class Ticks:
    """Ticks of one process or of several, and what was seen at each.

    `at_us` and `weight_us` (ticks,): when, ascending, and the time that a tick stands for. A row of `tick`, `stack` and
    `threads` (rows,) says that so many threads stood in a stack at a tick; both are positions. A tick without a running
    thread has the process idle.
    """

    at_us: Ints
    weight_us: Floats
    tick: Ints
    stack: Ints
    threads: Floats
    stacks: Stacks

    @classmethod
    def of(
        cls,
        process: NDArray[np.integer],
        at_us: Ints,
        weight_us: NDArray[np.integer],
        stack: NDArray[np.integer],
        stacks: Sequence[WallStack],
    ) -> Self:
        """From rows in any order: a process, a time, the thread-time that stood in a stack (microseconds).

        No other thread stands in the main thread's stack, so the least time of a tick's rows is that of one thread.
        """
        if (np.diff(at_us) < 0).any() or (process != process[:1]).any():  # a store has those of one process in order
            order = np.lexsort((process, at_us))
            process, at_us, weight_us, stack = process[order], at_us[order], weight_us[order], stack[order]
        new = np.ones(len(at_us), np.bool_)
        new[1:] = (at_us[1:] != at_us[:-1]) | (process[1:] != process[:-1])
        firsts = np.flatnonzero(new)
        tick = np.cumsum(new) - 1
        own_us = np.minimum.reduceat(weight_us, firsts).astype(np.float64) if len(firsts) else np.zeros(0)
        own_us = np.maximum(own_us, 1.0)
        threads = weight_us / own_us[tick] if len(firsts) else np.zeros(0)
        return cls(at_us[firsts], own_us, tick, stack.astype(np.int64, copy=False), threads, Stacks(stacks))

    def __len__(self) -> int:
        return len(self.at_us)

    def at(self, ticks: Mask) -> "Ticks":
        """Some of the ticks, by a mask."""
        rows = ticks[self.tick]
        place = np.cumsum(ticks) - 1
        return Ticks(
            self.at_us[ticks],
            self.weight_us[ticks],
            place[self.tick[rows]],
            self.stack[rows],
            self.threads[rows],
            self.stacks,
        )

    @cached_property
    def share(self) -> Floats:
        """Of each row, the part of its tick that is its stack's: running threads share it evenly, waiting have none."""
        runs = ~self.stacks.waits[self.stack]
        running = np.bincount(self.tick[runs], self.threads[runs], minlength=len(self))
        return np.where(runs, self.threads / np.maximum(running[self.tick], 1e-9), 0.0)

    @cached_property
    def running(self) -> Rows:
        """The rows of running threads: tick, stack, share."""
        runs = ~self.stacks.waits[self.stack]
        return self.tick[runs], self.stack[runs], self.share[runs]

    @cached_property
    def waiting(self) -> Rows:
        """The rows of waiting threads: tick, stack, threads."""
        waits = self.stacks.waits[self.stack]
        return self.tick[waits], self.stack[waits], self.threads[waits]

    @cached_property
    def turnless(self) -> Mask:
        """Waiting stacks whose last frame is running nearly as often: no call that waits, but code without its turn."""
        ran: dict[str, float] = {}
        waited: dict[str, float] = {}
        threads = np.bincount(self.stack, self.threads, minlength=len(self.stacks))
        for one, count in zip(self.stacks.each, threads.tolist(), strict=True):
            if one.labels:
                into = waited if one.waits else ran
                into[one.labels[-1]] = into.get(one.labels[-1], 0.0) + count
        often = {label for label, count in waited.items() if ran.get(label, 0.0) >= _TURNLESS_RATIO * count}
        return np.array([one.waits and bool(one.labels) and one.labels[-1] in often for one in self.stacks.each])


_TURNLESS_RATIO = 0.2
"""A lock that one thread holds and some wait for has one of them running; a call that waits shows none, or a few."""


def _ones(pairs: list[tuple[int, int]], shape: tuple[int, int]) -> sparse.csr_array:
    rows, columns = (np.array(some, np.int64) for some in (zip(*pairs, strict=True) if pairs else ((), ())))
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
