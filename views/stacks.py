"""CPU of a range by stack: what flame graphs are drawn from, and what other viewers are given."""

from collections.abc import Iterator
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from schemas.stacks import unfold
from views.queries import fetch
from views.ranges import Span
from views.web import texts

UNATTRIBUTED = "(unattributed)"
"""CPU that no sample could place; it is shown, not spread."""


@dataclass(frozen=True, slots=True)
class StackCost:
    """One stack, root first: the CPU that it took in a bucket of the range, and the samples which say so."""

    frames: tuple[str, ...]
    bucket: int
    cpu_us: float
    samples: int


@dataclass(frozen=True, slots=True)
class RangeStacks:
    """The stacks of a range; `cpu_us` is all CPU of the service in it, `unattributed_us` is no stack's."""

    span: Span
    stacks: tuple[StackCost, ...]
    seconds: float
    requests: int
    cpu_us: int
    unattributed_us: int

    @property
    def samples(self) -> int:
        """Samples of all stacks."""
        return sum(one.samples for one in self.stacks)

    def merged(self) -> Iterator[StackCost]:
        """Each stack once, whatever its buckets; what no sample could place is a stack of its own."""
        found: dict[tuple[str, ...], list[float]] = {}
        for one in self.stacks:
            sums = found.setdefault(one.frames, [0.0, 0])
            sums[0] += one.cpu_us
            sums[1] += one.samples
        for frames, (cpu_us, samples) in found.items():
            yield StackCost(frames, 0, cpu_us, int(samples))


def range_stacks(client: Client, span: Span, *, step: int | None = None) -> RangeStacks:
    """Read the stacks of a range, by buckets of `step` windows (default: one for all). Blocks; raises StoreError."""
    (totals,) = fetch(client, texts.TOTALS, **span.parameters).to_pylist()
    rows = fetch(client, texts.STACKS, **span.parameters, step=step or max(span.windows, 1)).to_pylist()
    unattributed_us = int(totals["unattributed_us"] or 0)
    stacks = [
        StackCost(unfold(row["stack"]) or (UNATTRIBUTED,), int(row["bucket"]), row["cpu_us"], int(row["samples"]))
        for row in rows
    ]
    placed = sum(one.cpu_us for one in stacks if one.frames == (UNATTRIBUTED,))
    if unattributed_us - placed > 1:  # of windows in which the service ran, and no sample was taken
        stacks.append(StackCost((UNATTRIBUTED,), 0, unattributed_us - placed, 0))
    return RangeStacks(
        span=span,
        stacks=tuple(stacks),
        seconds=float(totals["seconds"] or 0.0),
        requests=int(totals["requests"] or 0),
        cpu_us=int(totals["cpu_us"] or 0),
        unattributed_us=unattributed_us,
    )
