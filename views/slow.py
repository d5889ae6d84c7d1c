"""Slow against ordinary requests of a run: what the store has of them, read in bounded memory, and compared.

Requests that are compared are those answered as asked, and those waited for in vain, in windows that findings may rest
on: of stages of constant rate, settled, watched, limited neither by the generator nor by the host. All visits of one
rate are one level. Along a ramp rate and time are mixed with slowness, so nothing is compared there.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from analysis.evidence.blocks import settled
from analysis.evidence.limits import Ints, generator_limited, host_limited
from analysis.finding import Finding
from analysis.waiting.contrast import LEAST_SLOW, QUANTILE, Contrast, Groups, Intervals, contrast
from analysis.waiting.slow_findings import has_tail, slow_findings
from analysis.waiting.ticks import Ticks, WallStack
from analysis.waiting.waited import Draws
from schemas.sketch import GAMMA
from schemas.stacks import WAITING, unfold
from views import slow_queries as queries
from views.facts import RunFacts
from views.placing import among
from views.queries import fetch

MOST_INTERVALS, MOST_TICK_ROWS = 250_000, 3_000_000
SEED = 20_260_101
WINDOW_TIMED = "py-spy does not tell when its samples were taken, austin does"
NO_LOOKS = "the agent took no looks at all threads (they are off with LOADFLAME_LOOKS_HZ=0)"


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """One rate of a stage, or a whole one: the labels of its segments, and the windows that count."""

    labels: list[str]
    windows: Ints


def findings_of(client: Client, run: RunFacts, *, quantile: float = QUANTILE) -> tuple[Finding, ...]:
    """What is to be said of slow requests; nothing where nobody watched. Blocks; raises StoreError."""
    timings = {one["timing"] for one in run.instances}
    if not timings:
        return ()
    if timings == {"window"}:
        return slow_findings(run.service, (), lacks=WINDOW_TIMED)
    levels = _levels(run)
    here = {"run": run.id, **among(np.concatenate([np.array([], np.int64), *(one.windows for one in levels.values())]))}
    (row,) = fetch(client, queries.TICK_ROWS, **here).to_pylist()
    if levels and not row["found"]:
        return slow_findings(run.service, (), lacks=NO_LOOKS)
    looks = {**here, "thin": max(1, ceil(row["found"] / MOST_TICK_ROWS))}
    return slow_findings(run.service, list(_contrasts(client, run, levels, looks, quantile)))


def _levels(run: RunFacts) -> dict[str, _Level]:
    windows = run.windows
    fit = (windows.instances > 0) & ~generator_limited(windows) & ~host_limited(windows)
    found: dict[str, list[tuple[str, Ints]]] = {}
    for segment in run.segments:
        if segment.form == "ramp" or segment.role != "measure":
            continue
        rows = settled(windows, segment)
        name = f"{segment.stage}@{segment.rate_from_tps:g}" if segment.form == "level" else segment.label
        found.setdefault(name, []).append((segment.label, windows.window[rows[fit[rows]]]))
    levels = {
        name: _Level([label for label, _ in segments], np.concatenate([some for _, some in segments]))
        for name, segments in found.items()
    }
    return {name: level for name, level in levels.items() if len(level.windows)}


def _ticks(client: Client, looks: dict[str, Any]) -> Ticks:
    """The looks, or one in so many of them, with all that they saw."""
    table = fetch(client, queries.TICKS, **looks)
    ids, stack = numbered(table["stack_id"])
    texts = {}
    if len(ids):
        found = fetch(client, queries.TEXTS, run=looks["run"], stacks=ids.tolist())
        texts = dict(zip(found["stack_id"].to_pylist(), found["stack"].to_pylist(), strict=True))
    _, process = numbered(table["process"])
    at_us, weight_us = (table[name].to_numpy() for name in ("at_us", "weight_us"))
    stacks = [_wall_stack(texts.get(one, "")) for one in ids.tolist()]
    return Ticks.of(process, at_us, weight_us, stack, stacks)


def numbered(column: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """As `np.unique` with its inverse, which would sort all rows to know the few that are different."""
    coded = column.combine_chunks().dictionary_encode()
    values = coded.dictionary.to_numpy()
    order = np.argsort(values)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return values[order], places[coded.indices.to_numpy()]


def _wall_stack(text: str) -> WallStack:
    labels = unfold(text)
    waits = bool(labels) and labels[-1] == WAITING
    return WallStack(labels[:-1] if waits else labels, waits)


def _contrasts(
    client: Client, run: RunFacts, levels: dict[str, _Level], looks: dict[str, Any], quantile: float
) -> Iterator[Contrast]:
    """Looks are read once it is known that there is something to compare: most services have no tail."""
    ticks: Ticks | None = None
    draws = Draws(SEED)
    for name, level in levels.items():
        there = {"run": run.id, "stages": level.labels, **among(level.windows)}
        cuts = [_Cut.of(endpoint, name, one, quantile) for endpoint, one in _histograms(client, there).items()]
        compared = [cut for cut in cuts if cut.is_compared]
        yield from (cut.alone for cut in cuts if not cut.is_compared)
        if compared:
            ticks = _ticks(client, looks) if ticks is None else ticks
            seen = ticks.at(np.isin(ticks.at_us // int(run.windows.window_us.max()), level.windows))
            requests = sum(cut.requests for cut in cuts)
            yield from (contrast(groups, seen, draws) for groups in _groups(client, there, compared, requests))


def _histograms(client: Client, here: dict[str, Any]) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    for row in fetch(client, queries.TOOK, **here, gamma=GAMMA).to_pylist():
        found.setdefault(row["endpoint"], Counter())[row["bucket"]] += row["requests"]
    return found


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where an endpoint's requests are cut at a level: times in microseconds, and how many lie there."""

    endpoint: str
    level: str
    slow_us: int
    low_us: int
    high_us: int
    median_us: float
    requests: int
    slow: int
    middle: int

    @property
    def alone(self) -> Contrast:
        """What is known without a comparison."""
        lacks = f"{self.slow} slow requests, of {LEAST_SLOW} that it takes" if self.slow < LEAST_SLOW else ""
        return Contrast(self.endpoint, self.level, self.slow_us, self.median_us, self.requests, self.slow, lacks=lacks)

    @property
    def is_compared(self) -> bool:
        """Whether there is a tail worth a comparison, and requests enough in it."""
        return self.slow >= LEAST_SLOW and has_tail(self.alone)

    @classmethod
    def of(cls, endpoint: str, level: str, histogram: Counter[int], quantile: float) -> "_Cut":
        """By the buckets of the sketch, 2% wide; whole ones, so that equal latencies are on one side of a cut."""
        buckets = np.array(sorted(histogram))
        counts = np.array([histogram[bucket] for bucket in buckets.tolist()])
        until = np.cumsum(counts)
        first, middle, last, above = (int(np.searchsorted(until, q * until[-1])) for q in (0.25, 0.5, 0.75, quantile))
        edge: Ints = np.floor(GAMMA**buckets).astype(np.int64)
        return cls(
            endpoint,
            level,
            slow_us=int(np.floor(GAMMA ** (buckets[above] - 1))),
            low_us=int(np.floor(GAMMA ** (buckets[first] - 1))),
            high_us=int(edge[last]),
            median_us=float(GAMMA ** (buckets[middle] - 0.5)),
            requests=int(until[-1]),
            slow=int(counts[above:].sum()),
            middle=int(counts[first : last + 1].sum()),
        )


def _groups(client: Client, here: dict[str, Any], cuts: list[_Cut], requests: int) -> Iterator[Groups]:
    """The intervals of both groups of each endpoint, in one reading of the level's `requests`, and another for all."""
    table = fetch(
        client,
        queries.INTERVALS,
        **here,
        endpoints=[cut.endpoint for cut in cuts],
        sides=[2 * place for place in range(len(cuts))],
        slow_us=[cut.slow_us for cut in cuts],
        low_us=[cut.low_us for cut in cuts],
        high_us=[cut.high_us for cut in cuts],
        thin_slow=[max(1, ceil(cut.slow / MOST_INTERVALS)) for cut in cuts],
        thin_middle=[max(1, ceil(cut.middle / MOST_INTERVALS)) for cut in cuts],
    )
    side, starts_us, ends_us = (table[name].to_numpy() for name in ("side", "starts_us", "ends_us"))
    order = np.argsort(side, kind="stable")  # of 16 bits: by radix, in a few passes
    until = np.cumsum(np.bincount(side, minlength=2 * len(cuts)))[:-1]
    sides = [Intervals(starts_us[rows], ends_us[rows]) for rows in np.split(order, until)]
    everyone = fetch(
        client,
        queries.EVERYONE,
        **here,
        endpoints=[cut.endpoint for cut in cuts],
        places=list(range(len(cuts))),
        thin=max(1, ceil(requests / MOST_INTERVALS)),
    )
    place, starts_us, ends_us = (everyone[name].to_numpy() for name in ("place", "starts_us", "ends_us"))
    for number, (cut, middle, slow) in enumerate(zip(cuts, sides[::2], sides[1::2], strict=True)):
        own, others = (Intervals(starts_us[rows], ends_us[rows]) for rows in (place == number, place != number))
        yield Groups(cut.endpoint, cut.level, slow, middle, cut.slow_us, cut.median_us, cut.requests, own, others)
