"""Which functions grow of their own, and which only inherit it from one that they call.

A caller's time holds its callees', so when one function grows, every caller up to `main` does. The deepest function
that grows is taken out, with every sample in which it ran, and the others are judged again without it: what no longer
grows is folded under it, what still does has a cause of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.costs.growth import CONFIDENCE, Experiment, Fit, Shape, fit_growths, shape_of
from analysis.evidence.stacks import StackCounts
from analysis.statistics.regression import holm

Floats = NDArray[np.float64]

ROUNDS = 12
MOSTLY_INSIDE = 0.9
MOST_OF_IT = 0.5
INHERITS = 0.1


@dataclass(frozen=True, slots=True)
class Growth:
    """One function's growth. Where it inherits growth, `fit` is its own, without the functions it inherits from.

    `inherits_from` names the function that explains it, `part_of` the growing function that it belongs to.
    """

    function: str
    fit: Fit | None
    shape: Shape
    inherits_from: str | None = None
    part_of: str | None = None


@dataclass(frozen=True, slots=True)
class Growths:
    """The growth of every function by its label; `culprits` are those that grow of their own, deepest first.

    From a ramp they are candidates: their shape is "unclear", for time and throughput moved together.
    """

    by_function: dict[str, Growth]
    culprits: tuple[str, ...]


def growths(stacks: StackCounts, experiment: Experiment) -> Growths:
    """Judge every function of a profile."""
    culprits = _culprits(stacks, experiment)
    owners = _owners(stacks, list(culprits))
    names = stacks.functions
    free = stacks.without(culprits)
    rest, inclusive, own = free.sum(axis=0), stacks.inclusive(), stacks.inclusive(free)

    inherited = 1 - own.sum(axis=1) / np.maximum(inclusive.sum(axis=1), 1)
    # A culprit, and what is mostly one's, is told with all of its samples; others with what is their own.
    whole = inherited > MOSTLY_INSIDE
    whole[list(culprits)] = True
    causes = {
        index: _most_shared(stacks, index, list(culprits))
        for index in range(len(names))
        if culprits and index not in culprits and inherited[index] >= INHERITS
    }
    fits = fit_growths(
        np.where(whole[:, None], inclusive, own), np.where(whole[:, None], rest, rest - own), stacks.total, experiment
    )

    def judge(index: int) -> Growth:
        fit, cause = fits[index], causes.get(index)
        if index in culprits:
            if fit is None or not fit.seems_superlinear:
                fit = culprits[index]  # the claim stands on the fit that it was made with
            owner = names[owners[index]] if index in owners else None
            return Growth(names[index], fit, "superlinear" if experiment.randomised else "unclear", part_of=owner)
        above = cause is not None and stacks.depth[index] < stacks.depth[cause]
        inherits_from = names[cause] if cause is not None and above else None
        if cause is not None and whole[index]:
            return Growth(names[index], fit, "unclear", inherits_from, None if above else names[cause])
        shape: Shape = shape_of(fit, superlinear=False) if experiment.randomised else "unclear"
        return Growth(names[index], fit, shape, inherits_from)

    found = {name: judge(index) for index, name in enumerate(names)}
    return Growths(found, tuple(names[index] for index in culprits if index not in owners))


def _culprits(stacks: StackCounts, experiment: Experiment) -> dict[int, Fit]:
    """Functions that grow of their own, found one at a time, the deepest first, with the fit that convicts them."""
    culprits: dict[int, Fit] = {}
    for _ in range(ROUNDS):
        free = stacks.without(culprits)
        inclusive, rest = stacks.inclusive(free), free.sum(axis=0)
        tested = _distinct(stacks, inclusive)
        fits = fit_growths(inclusive[tested], rest - inclusive[tested], stacks.total, experiment)
        known = {index: fit for index, fit in zip(tested, fits, strict=True) if fit is not None}
        stands = holm(np.array([fit.p_superlinear for fit in known.values()]), (1 - CONFIDENCE) / 2)
        growing = [
            index for index, stand in zip(known, stands, strict=True) if stand and known[index].seems_superlinear
        ]
        if not growing:
            break
        deepest = max(growing, key=lambda index: stacks.depth[index])
        culprits[deepest] = known[deepest]
    return culprits


def _distinct(stacks: StackCounts, inclusive: Floats) -> list[int]:
    """One function, the deepest, of each set that is always on the stack together.

    `main`, `run`, `run_forever` and their kin are one hypothesis, not twenty: the correction need not pay for them.
    """
    deepest: dict[bytes, int] = {}
    for index in np.argsort(stacks.depth).tolist():
        deepest[inclusive[index].tobytes()] = index
    return list(deepest.values())


def _owners(stacks: StackCounts, culprits: Sequence[int]) -> dict[int, int]:
    """Culprits that belong to another: nearly always under it, and less than half of it."""
    owners: dict[int, int] = {}
    for inner in culprits:
        samples = stacks.counts[stacks.stacks_with(inner)].sum()
        for outer in culprits:
            if outer == inner or outer in owners or stacks.depth[outer] >= stacks.depth[inner]:
                continue
            shared = _shared(stacks, inner, outer)
            if shared >= MOSTLY_INSIDE * samples and shared < MOST_OF_IT * _samples(stacks, outer):
                owners[inner] = outer
                break
    return owners


def _samples(stacks: StackCounts, function: int) -> float:
    return float(stacks.counts[stacks.stacks_with(function)].sum())


def _shared(stacks: StackCounts, one: int, other: int) -> float:
    return float(stacks.counts[stacks.stacks_with(one) & stacks.stacks_with(other)].sum())


def _most_shared(stacks: StackCounts, function: int, culprits: Sequence[int]) -> int:
    return max(culprits, key=lambda culprit: _shared(stacks, function, culprit))
