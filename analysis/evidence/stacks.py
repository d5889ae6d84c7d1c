"""Stack samples as a matrix: which functions are on which stack, and how often each stack was seen in each block."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StackCounts:
    """Samples of busy stacks: `counts` has the shape (stacks, blocks), `member` (functions, stacks) is 1 or 0.

    A function that is on a stack twice counts once. `depth` (functions,) is the mean place of its first frame, root 0.
    `unattributed` (blocks,) counts busy samples without a stack. `leaves` (stacks,) are the functions whose own code
    ran, None of an empty stack.
    """

    functions: tuple[str, ...]
    member: sparse.csr_array
    counts: Floats
    depth: Floats
    unattributed: Floats
    leaves: tuple[str | None, ...] = ()

    @classmethod
    def of(cls, stacks: Sequence[Iterable[str]], counts: Floats) -> Self:
        """From stacks (labels of their frames, root first) and their counts, of shape (stacks, blocks)."""
        places: dict[str, int] = {}
        rows, columns, depths = [], [], []
        leaves: list[str | None] = []
        empty = np.zeros(len(stacks), dtype=bool)
        for column, labels in enumerate(stacks):
            first: dict[str, int] = {}
            leaves.append(None)
            for depth, label in enumerate(labels):
                first.setdefault(label, depth)
                leaves[-1] = label
            empty[column] = not first
            for label, depth in first.items():
                rows.append(places.setdefault(label, len(places)))
                columns.append(column)
                depths.append(depth)
        shape = (len(places), len(stacks))
        member = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
        by_depth = sparse.csr_array((np.array(depths, np.float64), (rows, columns)), shape=shape)
        weight = counts.sum(axis=1)
        depth_of = (by_depth @ weight) / np.maximum(member @ weight, 1)
        seen, unattributed = np.where(empty[:, None], 0.0, counts), counts[empty].sum(axis=0)
        return cls(tuple(places), member, seen, depth_of, unattributed, tuple(leaves))

    @property
    def total(self) -> Floats:
        """All busy samples of each block, those without a stack included."""
        return np.asarray(self.counts.sum(axis=0) + self.unattributed)

    def stacks_with(self, function: int) -> NDArray[np.bool_]:
        """Which stacks hold a function."""
        mask = np.zeros(self.counts.shape[0], dtype=bool)
        mask[self.member.indices[self.member.indptr[function] : self.member.indptr[function + 1]]] = True
        return mask

    def without(self, functions: Iterable[int]) -> Floats:
        """The counts with every stack that holds one of these functions at zero."""
        counts = self.counts.copy()
        for function in functions:
            counts[self.stacks_with(function)] = 0
        return counts

    def inclusive(self, counts: Floats | None = None) -> Floats:
        """Samples in which each function was on the stack, shape (functions, blocks)."""
        return np.asarray(self.member @ (self.counts if counts is None else counts))
