"""Slow against ordinary: what a process did while slow requests waited, and while the middle half of requests did.

Requests of one endpoint at one level meet ticks of the wall clock (`ticks`). A tick counts in a group as often as
requests of the group were waited for at it, so a share is one of waiting time. What overlaps in time is compared,
nothing more: on a thread that serves many requests most of what runs while one waits is for others.

Three things are compared. Idle: the share of ticks at which no thread ran. Running functions: their share (with what
they call) of the time that was not idle, because requests that queue see a busier process, and all of its functions
more often, without any of them being to blame. They see those of other endpoints besides, where an ordinary request
sees its own, so a function must stand out against what the process runs at that level overall as well: its test is the
weaker of the two (an intersection-union test, Berger 1982). Places in which threads waited: how many stood there.
Slow requests coincide with many requests, of this endpoint or of others, and each of those stands somewhere (Little
1961). So a place must stand out against what the requests under way account for as well, by the same kind of test.

The intervals are those of a bootstrap over busy periods (maximal stretches in which any of the compared requests was
under way), the units that share no request: Künsch (1989) for blocks, Efron and Tibshirani (1993), chapter 13, for the
percentiles. Short ones that follow each other are taken together, long ones are cut, both at about `_LEAST_US`, and
four times as long as slow requests last. The tests go by the linearised variance of the same differences (Fieller
for ratios), Student's t with the degrees of freedom that Kish's effective number of blocks leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import nan
from typing import Literal, Self

import numpy as np

from analysis.waiting.ticks import Floats, Ints, Ticks
from analysis.waiting.waited import Cells, Draws, Ratio, Rises, Times, rises

QUANTILE = 0.99
LEAST_SLOW, LEAST_BLOCKS, LEAST_TICKS = 12, 5, 16
LEAST_SHARE = 0.02
LEAST_RISE = 0.10
"""Slow less ordinary, of a share or in threads: less is no explanation of a tail, and nobody asks for its interval."""
MOSTLY_IDLE = 0.5
"""Of the time while slow requests waited: more, and no queue for a core is why."""
_LEAST_US, _MOST_BLOCKS, _TIMES_SLOW = 1_000_000, 400, 4.0
_LEAST_APART = 0.02
"""Singular values, of the largest: endpoints that wait in step more than this cannot be told apart, and count alike."""

What = Literal["idle", "runs", "waits"]


@dataclass(frozen=True, eq=False)
class Intervals:
    """When requests were waited for: from dispatch to completion, microseconds since the Unix epoch, shape (n,)."""

    starts_us: Ints
    ends_us: Ints

    @cached_property
    def sorted_us(self) -> tuple[Ints, Ints]:
        """All starts, and all ends, each ascending: how many are under way hangs on no more."""
        return np.sort(self.starts_us), np.sort(self.ends_us)

    def under_way(self, at_us: Ints) -> Floats:
        """How many were under way at each of some times, in O(n log n)."""
        begun, ended = (np.searchsorted(some_us, at_us, side="right") for some_us in self.sorted_us)
        return (begun - ended).astype(np.float64)

    def __len__(self) -> int:
        return len(self.starts_us)


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The slow requests of an endpoint at a level, and the middle half (or a fair part of it).

    `slow_us` is what slow ones took at least, `median_us` the median of all; `requests` is how many these are.
    `own` is all requests of the endpoint at the level and `others` those of other endpoints, or a fair part of both
    that was drawn apart from the groups.
    """

    endpoint: str
    level: str
    slow: Intervals
    middle: Intervals
    slow_us: float
    median_us: float
    requests: int
    own: Intervals
    others: Intervals

    @classmethod
    def of(
        cls,
        starts_us: Ints,
        ends_us: Ints,
        *,
        quantile: float = QUANTILE,
        endpoint: str = "",
        level: str = "",
        others: Intervals | None = None,
    ) -> Self:
        """From all requests of one endpoint at one level; it is the only one where `others` are not given."""
        took_us = ends_us - starts_us
        low, median, high, above = np.quantile(took_us, [0.25, 0.5, 0.75, quantile]) if len(took_us) else (0.0,) * 4
        slow, middle = took_us >= above, (took_us >= low) & (took_us <= high)
        return cls(
            endpoint,
            level,
            Intervals(starts_us[slow], ends_us[slow]),
            Intervals(starts_us[middle], ends_us[middle]),
            float(above),
            float(median),
            len(took_us),
            Intervals(starts_us, ends_us),
            others or Intervals(starts_us[:0], ends_us[:0]),
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing while slow requests waited against while the middle half did; `low` to `high` is the 95% interval of
    slow - middle, `p` the chance of such a rise by chance alone (one-sided, of this test alone).

    The interval is NaN where the rise is less than `LEAST_RISE`, up or down.

    `idle`: shares of the time. `runs`: shares of the running time, `overall` that of the whole level; `slow_share` and
    `middle_share` are of all time.
    `waits`: threads that stood there, on average; the name is the last frame, `under` the nearest that is not Python's;
    `overall` is what the requests under way account for (`beyond_requests`).
    `turnless`: it is code that else runs, and lacked its turn.
    """

    what: What
    name: str
    under: str
    slow: float
    middle: float
    low: float
    high: float
    p: float
    depth: float = 0.0
    overall: float = 0.0
    slow_share: float = 0.0
    middle_share: float = 0.0
    turnless: bool = field(default=False, kw_only=True)

    @property
    def rise(self) -> float:
        """Slow less middle."""
        return self.slow - self.middle


@dataclass(frozen=True, slots=True)
class Contrast:
    """An endpoint at a level, compared. `lacks` says why nothing was; then there are no differences.

    `ready_slow` and `ready_middle` are threads, on average, that had no core and stood in code that else runs: what
    waiting for the interpreter lock looks like. `ticks` are those at which a slow request was waited for. Where nothing
    rises or falls enough to be told, of a process that was busy, nobody asks where threads stood: there are no `waits`,
    and these two are NaN.
    """

    endpoint: str
    level: str
    slow_us: float
    median_us: float
    requests: int
    slow_requests: int
    ticks: int = 0
    blocks: int = 0
    idle: Difference | None = None
    runs: tuple[Difference, ...] = ()
    waits: tuple[Difference, ...] = ()
    ready_slow: float = nan
    ready_middle: float = nan
    lacks: str = ""


def contrast(groups: Groups, ticks: Ticks, draws: Draws | None = None) -> Contrast:
    """Compare the groups over ticks of the same windows. Cost: sorting the requests, then a few passes over the rows.

    A service that has its slow requests in one busy period, or few of them, gives nothing but `lacks`.
    """
    named = (groups.endpoint, groups.level, groups.slow_us, groups.median_us, groups.requests, len(groups.slow))
    plain = Contrast(*named)
    if len(groups.slow) < LEAST_SLOW:
        return replace(plain, lacks=f"{len(groups.slow)} slow requests, of {LEAST_SLOW} that it takes")
    slow, middle = (one.under_way(ticks.at_us) for one in (groups.slow, groups.middle))
    seen = int((slow > 0).sum())
    if seen < LEAST_TICKS:
        lacks = f"{seen} looks at the threads while slow requests waited, of {LEAST_TICKS}"
        return replace(plain, ticks=seen, lacks=lacks)
    cells = Cells(ticks, blocks_of(groups, ticks.at_us))
    of_slow, of_middle = (cells.times(weight) for weight in (slow, middle))
    effective = of_slow.effective_blocks
    if effective < LEAST_BLOCKS or not of_middle.time.sum():
        lacks = f"slow requests in the equivalent of {effective:.0f} separate stretches, of {LEAST_BLOCKS}"
        return replace(plain, ticks=seen, blocks=int(effective), lacks=lacks)
    test = _Test(max(1, int(effective - 1)), draws or Draws(1))
    idle_slow, idle_middle = (Ratio(one.idle[:, None], one.time) for one in (of_slow, of_middle))
    (idle,) = _differences("idle", [("", "")], test.rises(idle_slow, idle_middle))
    runs = _running(ticks, (of_slow, of_middle, cells.times(np.ones(len(ticks)))), test)
    found = replace(plain, ticks=seen, blocks=int(effective), idle=idle, runs=runs)
    if idle.slow < MOSTLY_IDLE and max(abs(one.rise) for one in (idle, *runs)) < LEAST_RISE:
        return found
    requests = [one.under_way(ticks.at_us) for one in (groups.own, groups.others)]
    ready, stood = [], []
    for weight in (slow, middle, np.ones(len(ticks))):
        time, where = cells.time(weight), cells.stood(weight)
        under_way = np.stack([cells.time(weight * one) for one in requests], axis=1)
        stood.append(StoodAmong(Ratio(where.waits, time), Ratio(under_way, time)))
        ready.append(where.ready / float(time.sum()))
    return replace(found, waits=_waiting(ticks, stood, test), ready_slow=ready[0], ready_middle=ready[1])


@dataclass(frozen=True, slots=True)
class StoodAmong:
    """Of a group, or of the level: threads by place, and requests under way, of the endpoint and others."""

    stood: Ratio
    under_way: Ratio


@dataclass(frozen=True, slots=True)
class _Test:
    """How two ratios of this comparison are held against each other."""

    degrees: int
    draws: Draws

    def rises(self, first: Ratio, second: Ratio, least: float = LEAST_RISE) -> Rises:
        return rises(first, second, self.degrees, self.draws, least=least)


def _differences(what: What, names: Iterable[tuple[str, str]], found: Rises) -> list[Difference]:
    columns = zip(found.first, found.second, found.low, found.high, found.p, strict=True)
    return [Difference(what, *name, *map(float, one)) for name, one in zip(names, columns, strict=True)]


def _running(ticks: Ticks, of: tuple[Times, Times, Times], test: _Test) -> tuple[Difference, ...]:
    """Functions that weigh something in either group, as shares of the running time; the most telling first."""
    slow, middle, level = (Ratio(one.runs, one.busy) for one in of)
    weighs = np.flatnonzero(np.maximum(slow.value, middle.value) >= LEAST_SHARE)
    slow, middle, level = (one.only(weighs) for one in (slow, middle, level))
    names = ((ticks.stacks.functions[place], "") for place in weighs)
    found = _differences("runs", names, test.rises(slow, middle))
    against_level = test.rises(slow, level, np.inf)
    busy = [float(one.busy.sum() / max(one.time.sum(), 1e-9)) for one in of]
    told = (
        replace(
            one,
            p=max(one.p, float(p)),
            depth=float(ticks.stacks.depth[place]),
            overall=float(overall),
            slow_share=one.slow * busy[0],
            middle_share=one.middle * busy[1],
        )
        for one, p, overall, place in zip(found, against_level.p, against_level.second, weighs, strict=True)
    )
    return tuple(sorted(told, key=lambda one: one.p))


def _waiting(ticks: Ticks, groups: list[StoodAmong], test: _Test) -> tuple[Difference, ...]:
    """Places in which threads stood, in threads; the greatest rise first."""
    weighs = np.flatnonzero(np.maximum(*(one.stood.value for one in groups[:2])) >= LEAST_SHARE)
    slow, middle, level = (replace(one, stood=one.stood.only(weighs)) for one in groups)
    places = _differences(
        "waits", [ticks.stacks.places[place] for place in weighs], test.rises(slow.stood, middle.stood)
    )
    beyond = test.rises(*beyond_requests(slow, middle, level), np.inf)
    lacking = {ticks.stacks.each[stack].place for stack in np.flatnonzero(ticks.turnless).tolist()}
    told = (
        replace(one, p=max(one.p, float(p)), overall=one.slow - more, turnless=(one.name, one.under) in lacking)
        for one, p, more in zip(places, beyond.p, beyond.first.tolist(), strict=True)
    )
    return tuple(sorted(told, key=lambda one: -one.rise))


def beyond_requests(slow: StoodAmong, middle: StoodAmong, level: StoodAmong) -> tuple[Ratio, Ratio]:
    """Threads beyond what the requests under way account for, and 0 with all the doubt there is about that.

    So many stand in a place for each request of the endpoint, and for each other one, that both the middle half and all
    of the level come out right: two unknown figures of two averages, which a thinned count of requests does not bias.
    """
    seen = np.stack([middle.under_way.value, level.under_way.value])
    inverse = np.linalg.pinv(seen, rcond=_LEAST_APART)
    each = inverse @ np.stack([middle.stood.value, level.stood.value])
    left = [one.stood.parts - one.under_way.parts @ each for one in (slow, middle, level)]
    of_middle, of_level = slow.under_way.value @ inverse
    of_level *= float(middle.stood.whole.sum() / level.stood.whole.sum())
    return Ratio(left[0], slow.stood.whole), Ratio(of_middle * left[1] + of_level * left[2], middle.stood.whole)


def blocks_of(groups: Groups, at_us: Ints) -> Ints:
    """The block of each tick, numbered from 0: by the start of its busy period, or by its time in a long one."""
    begins_us, until_us = busy_periods(groups.slow, groups.middle)
    period = np.maximum(np.searchsorted(begins_us, at_us, side="right") - 1, 0)
    slow_us = float((groups.slow.ends_us - groups.slow.starts_us).mean())
    length_us = max(_LEAST_US, _TIMES_SLOW * slow_us, float(at_us[-1] - at_us[0]) / _MOST_BLOCKS)
    anchor_us = np.where((until_us - begins_us)[period] <= length_us, begins_us[period], at_us)
    cells = ((anchor_us - min(int(anchor_us[0]), int(at_us[0]))) // length_us).astype(np.int64)
    return np.cumsum(np.diff(cells, prepend=cells[:1]) > 0)  # ticks ascend, and what they are anchored at does as well


def busy_periods(*several: Intervals) -> tuple[Ints, Ints]:
    """Begins and ends of the maximal stretches in which any of the requests was under way, ascending.

    One begins wherever as many have ended as had begun before. So it needs the starts and the ends in order, and not
    which belong to each other.
    """
    starts_us, ends_us = (
        np.sort(np.concatenate(some)) for some in zip(*(one.sorted_us for one in several), strict=True)
    )
    first = np.append(True, starts_us[1:] > ends_us[:-1])
    return starts_us[first], ends_us[np.append(first[1:], True)]
