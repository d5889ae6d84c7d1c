"""What changes with time while the rate does not: cost per request, latency, memory; by and by, or at once.

The unit is a minute of the Unix clock, or so many of them that there are at most 120. What is still warming up at the
beginning is left out. Of each series it is asked

- whether its level changed at once (`change_points`); where a line explains the series as well, by the Bayesian
  information criterion, it is no change (Schwarz, "Estimating the dimension of a model", Ann. Statist. 6, 1978);
- whether it rises, beside such changes (`trend`). A function's own CPU must rise per request and against the rest of
  its process: what makes all code dearer (a neighbour, a slower clock of the CPU) is the process's, not the function's.

Claims are corrected for the number of series (Holm) such that independent noise makes one in 1 of 200 runs, and are
of rises that matter: 5% in all, and 2% by the low end of the interval. For memory see `leak`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.over_time.leak import Leak, leak
from analysis.statistics.change_points import Step, cut, steps
from analysis.statistics.regression import holm
from analysis.statistics.trend import Trend, trend

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Measure = Literal["cost", "function", "p50", "p99"]

MINUTE_US = 60_000_000
MOST_UNITS = 120
LEAST_UNITS, LEAST_FOR_CHANGES = 20, 40
"""Simulated at 27 units whose neighbours correlate by 0.8, one clean service in nine seemed to change."""
WARM_UP_SHARE, WARM_UP_UNITS = 0.10, 10
STILL_WARMING_SHARE, STILL_WARMING_UNITS = 0.25, 20
LEAST_DEGREES = 6.0
"""A series whose neighbours are so alike that it comes to fewer independent units tells nothing."""
FALSE_CLAIMS, SURE = 0.005, 0.025
LEAST_RISE, LEAST_RISE_LOW = 0.05, 0.02
LEAST_CHANGE = 0.10
WEIGHS_SHARE = 0.01
"""A function's rise is told when it adds so much to what the whole service cost at the beginning."""
OTHERS_SHARE = 0.05
LEVELS_OFF = 0.5
EXPLAINS = 0.5
NEAR_UNITS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Soak:
    """A stretch of equal offered rate, columns of shape (units,) in order of time; units are `unit_us` long.

    `cpu_us` and `functions` (own CPU by label) are of `requests`, those that ended while the profiler watched.
    `rss_bytes` is by process; NaN where it was not there.
    """

    tps: float
    unit_us: int
    starts_us: Ints
    requests: Floats
    cpu_us: Floats
    p50_us: Floats
    p99_us: Floats
    functions: Mapping[str, Floats]
    rss_bytes: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.starts_us)

    @property
    def hours(self) -> Floats:
        """The middle of each unit, from the beginning of the first."""
        middles_us: Floats = self.starts_us - self.starts_us[0] + self.unit_us / 2
        return middles_us / 3.6e9

    def since(self, unit: int) -> "Soak":
        """Without the units before one."""
        return replace(
            self,
            **{name: getattr(self, name)[unit:] for name in ("starts_us", "requests", "cpu_us", "p50_us", "p99_us")},
            functions={label: own[unit:] for label, own in self.functions.items()},
            rss_bytes={name: rss[unit:] for name, rss in self.rss_bytes.items()},
        )

    def gathered(self, most: int = MOST_UNITS) -> "Soak":
        """With so many units put together that at most `most` are left; what is over at the end goes."""
        together = -(-len(self) // most)
        if together < 2:
            return self
        whole = len(self) // together * together

        def parts(values: Floats) -> Floats:
            found: Floats = values[:whole].reshape(-1, together)
            return found

        def latency(values: Floats) -> Floats:
            found: Floats = np.exp(np.log(parts(values)).mean(axis=1))
            return found

        return replace(
            self,
            unit_us=self.unit_us * together,
            starts_us=self.starts_us[:whole:together],
            requests=parts(self.requests).sum(axis=1),
            cpu_us=parts(self.cpu_us).sum(axis=1),
            p50_us=latency(self.p50_us),
            p99_us=latency(self.p99_us),
            functions={label: parts(own).sum(axis=1) for label, own in self.functions.items()},
            rss_bytes={name: parts(rss).mean(axis=1) for name, rss in self.rss_bytes.items()},
        )


@dataclass(frozen=True, slots=True)
class Rise:
    """How one measure ran: `trend` beside its changes of level. `claimed` when it rises, and enough to matter.

    `function` is set for a function's own CPU per request. Costs and latencies are in microseconds.
    """

    measure: Measure
    trend: Trend
    claimed: bool
    levels_off: bool = False
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The level of one measure changed with a unit that begins at `at_us`, from `before` to `after` microseconds.

    `function` is the one whose own CPU makes up most of a change of cost, by `function_us` a request.
    """

    measure: Measure
    at_us: int
    before: float
    after: float
    function: str | None = None
    function_us: float = 0.0


@dataclass(frozen=True, slots=True)
class Drifts:
    """What a stretch shows; `since_us` is where warming up was over, `functions` how many functions were judged."""

    tps: float
    since_us: int
    until_us: int
    units: int
    unit_us: int
    rises: tuple[Rise, ...]
    changes: tuple[Change, ...]
    leaks: tuple[Leak, ...]
    functions: int = 0

    @property
    def hours(self) -> float:
        """How long was looked at."""
        return (self.until_us - self.since_us) / 3.6e9


def drifts(soak: Soak) -> Drifts | None:
    """Judge a stretch; None when it leaves fewer than 20 warm units. Under 40, changes are not looked for."""
    soak = _warm(soak.gathered())
    if len(soak) < LEAST_UNITS:
        return None
    hours, cost = soak.hours, soak.cpu_us / soak.requests
    found: list[tuple[Rise, float]] = []
    beside: Floats | None = None
    changes: list[Change] = []
    series: dict[Measure, Floats] = {"cost": cost, "p50": soak.p50_us, "p99": soak.p99_us}
    for measure, values in series.items():
        if not (np.isfinite(values).all() and (values > 0).all()):
            continue
        is_log = measure != "cost"
        at_once = _at_once(np.log(values) if is_log else values, hours)
        parts = _parts(values, at_once)
        for step, before, after in zip(at_once, parts, parts[1:], strict=False):
            if abs(after / before - 1) >= LEAST_CHANGE:
                change = Change(measure, int(soak.starts_us[step.at]), before, after)
                changes.append(_explained(change, soak, step, at_once) if measure == "cost" else change)
        columns = _columns(at_once, len(soak))
        beside = columns if measure == "cost" else beside
        line = trend(values, hours, columns, is_log=is_log)
        if line is not None:
            found.append((Rise(measure, line, claimed=False, levels_off=_levels_off(values, hours)), line.p_rises))
    functions = [_of_function(label, own, soak, beside) for label, own in soak.functions.items()]
    found += [one for one in functions if one is not None]
    stands = holm(np.array([p for _, p in found]), FALSE_CLAIMS)
    return Drifts(
        tps=soak.tps,
        since_us=int(soak.starts_us[0]),
        until_us=int(soak.starts_us[-1]) + soak.unit_us,
        units=len(soak),
        unit_us=soak.unit_us,
        rises=tuple(
            replace(rise, claimed=bool(stand) and rise.trend.degrees >= LEAST_DEGREES and _matters(rise, cost))
            for (rise, _), stand in zip(found, stands, strict=True)
        ),
        changes=tuple(changes),
        leaks=_leaks(soak),
        functions=sum(one is not None for one in functions),
    )


def _warm(soak: Soak) -> Soak:
    """Without its first tenth, and without what comes before a change early on, of cost or of the median latency."""
    soak = soak.since(min(WARM_UP_UNITS, round(len(soak) * WARM_UP_SHARE)))
    early = min(STILL_WARMING_UNITS, len(soak) * STILL_WARMING_SHARE)
    known = len(soak) >= LEAST_UNITS
    places = [0]
    for values in (soak.cpu_us / soak.requests, np.log(soak.p50_us)) if known else ():
        if np.isfinite(values).all():
            places += [step.at for step in steps(values) if step.at <= early]
    return soak.since(max(places))


def _at_once(values: Floats, hours: Floats) -> tuple[Step, ...]:
    """Changes of level, unless a line explains the series as well with fewer coefficients."""
    found = steps(values) if len(values) >= LEAST_FOR_CHANGES else ()
    if not found:
        return ()
    size = len(values)
    columns = np.column_stack([np.ones(size), hours])
    line = values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]
    stairs = sum(float(part.var() * len(part)) for part in cut(values, [step.at for step in found]))
    by_line, by_stairs = float(line @ line), max(stairs, 1e-300)
    more = 2 * len(found) - 1
    return found if size * np.log(max(by_line, 1e-300) / by_stairs) > more * np.log(size) else ()


def _parts(values: Floats, at_once: tuple[Step, ...]) -> list[float]:
    """The mean of each level."""
    return [float(part.mean()) for part in cut(values, [step.at for step in at_once])]


def _columns(at_once: tuple[Step, ...], size: int) -> Floats | None:
    if not at_once:
        return None
    return np.column_stack([(np.arange(size) >= step.at).astype(np.float64) for step in at_once])


def _explained(change: Change, soak: Soak, step: Step, at_once: tuple[Step, ...]) -> Change:
    """With the function whose own CPU makes up most of the difference, if one does."""
    places = [0, *(one.at for one in at_once), len(soak)]
    here = places.index(step.at, 1)
    before, after = slice(places[here - 1], step.at), slice(step.at, places[here + 1])
    most, most_us = None, 0.0
    for label, own_us in soak.functions.items():
        costs = [float(own_us[part].sum() / soak.requests[part].sum()) for part in (before, after)]
        share = (costs[1] - costs[0]) / (change.after - change.before)
        if share >= EXPLAINS and abs(costs[1] - costs[0]) > abs(most_us):
            most, most_us = label, costs[1] - costs[0]
    return replace(change, function=most, function_us=most_us)


def _of_function(label: str, own_us: Floats, soak: Soak, beside: Floats | None) -> tuple[Rise, float] | None:
    """A function's rise, and how probable it is that there is none.

    Against the rest of the process most noise cancels out, so that comparison carries the claim; that it costs more per
    request too must be sure by itself only, for it may rise against a rest that falls.
    """
    line = trend(own_us / soak.requests, soak.hours, beside)
    rest_us = soak.cpu_us - own_us
    if line is None or not own_us.any():
        return None
    p = line.p_rises
    if rest_us.sum() >= OTHERS_SHARE * soak.cpu_us.sum() and (rest_us > 0).all():
        against = trend(own_us / rest_us, soak.hours, beside)
        p = against.p_rises if against and p <= SURE else 1.0
    off = _levels_off(own_us / soak.requests, soak.hours)
    return Rise("function", line, claimed=False, levels_off=off, function=label), p


def _levels_off(values: Floats, hours: Floats) -> bool:
    """Whether the later half rises less than half as steeply as the whole."""
    later = len(values) // 2
    whole, half = (float(np.polyfit(hours[since:], values[since:], 1)[0]) for since in (0, later))
    return half < LEVELS_OFF * whole


def _matters(rise: Rise, cost: Floats) -> bool:
    if rise.trend.rise() < LEAST_RISE or rise.trend.rise_low < LEAST_RISE_LOW:
        return False
    first, last = rise.trend.ends()
    return rise.measure != "function" or last - first >= WEIGHS_SHARE * float(cost[: LEAST_UNITS // 2].mean())


def _leaks(soak: Soak) -> tuple[Leak, ...]:
    """Of each process that was there all the time, the steepest first."""
    known = {name: rss for name, rss in soak.rss_bytes.items() if np.isfinite(rss).all() and len(rss) >= LEAST_UNITS}
    found = (leak(name, rss, soak.hours, len(known)) for name, rss in known.items())
    return tuple(sorted((one for one in found if one is not None), key=lambda one: -one.bytes_per_hour))
