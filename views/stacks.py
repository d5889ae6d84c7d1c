"""CPU of a range by stack: what flame graphs are drawn from, and what other viewers are given."""

from collections.abc import Iterator
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from schemas.stacks import unfold
from views.queries import fetch
from views.ranges import Part
from views.web import queries
from views.web.more_queries import STACKS
from views.web.summed import summed

UNATTRIBUTED = "(unattributed)"
"""CPU that no sample could place; it is shown, not spread."""
SMALL = "(small stacks)"


@dataclass(frozen=True, slots=True)
class StackCost:
    """One stack, root first: the CPU that it took in a bucket of the range, and the samples which say so."""

    frames: tuple[str, ...]
    bucket: int
    cpu_us: int
    samples: int


@dataclass(frozen=True, slots=True)
class RangeStacks:
    """The stacks of a range; `cpu_us` is all CPU of the service in it, `unattributed_us` is no stack's."""

    part: Part
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
        found: dict[tuple[str, ...], list[int]] = {}
        for one in self.stacks:
            sums = found.setdefault(one.frames, [0, 0])
            sums[0] += one.cpu_us
            sums[1] += one.samples
        for frames, (cpu_us, samples) in found.items():
            yield StackCost(frames, 0, cpu_us, samples)


def range_stacks(client: Client, part: Part, *, buckets: int = 1, least_share: float = 0.0) -> RangeStacks:
    """Read the stacks of a range, in one bucket or at most so many. Blocks; raises StoreError.

    Of one bucket, what no stack stands for is a stack as well: CPU without samples, and stacks under `least_share` of
    the CPU. Of several, a series knows it.
    """
    span = part.span(buckets)
    asked = {"run": part.clock.run, **span.parameters}
    (totals,) = fetch(client, queries.HEALTH.at(span.tier), **asked).to_pylist()
    cpu_us, unattributed_us = int(totals["cpu_us"]), int(totals["unattributed_us"])
    if buckets == 1:
        sums = summed(client, part.clock.run, span)
        least = {"run": part.clock.run, "least_us": int(least_share * cpu_us)}
        rows = fetch(client, queries.FLAME.at(sums.way), **least, **sums.parameters).to_pylist()
    else:
        rows = fetch(client, STACKS.at(span.tier), **asked).to_pylist()
    stacks = [
        StackCost(unfold(row["stack"]) or (UNATTRIBUTED,), row.get("bucket", 0), row["self_us"], row["samples"])
        for row in rows
    ]
    if buckets == 1:
        placed_us = sum(one.cpu_us for one in stacks if one.frames == (UNATTRIBUTED,))
        if unattributed_us > placed_us:  # of windows in which the service ran, and no sample was taken
            stacks.append(StackCost((UNATTRIBUTED,), 0, unattributed_us - placed_us, 0))
        left_us = cpu_us - sum(one.cpu_us for one in stacks)
        if left_us > len(stacks):  # less is what rounding leaves
            stacks.append(StackCost((SMALL,), 0, left_us, 0))
    return RangeStacks(
        part=part,
        stacks=tuple(stacks),
        seconds=int(totals["watched_us"]) / 1e6,
        requests=int(totals["watched_requests"]),
        cpu_us=cpu_us,
        unattributed_us=unattributed_us,
    )
