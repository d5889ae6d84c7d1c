"""Two groups of runs of one service side by side: what got dearer, what slower, and how much would have been found.

Every figure of a run is one number: CPU microseconds per answered request at the same rates (see `cells`), or a
percentile of an endpoint's latency. They are compared by their logarithms, so effects are ratios. Half a sample is
added to each cost first, as is usual for counts, so that a function which was not seen on one side can be compared.

Where a report could cry wolf it does so in at most 5% of comparisons of identical services, whatever depends on what:
3 of the 5 go to the functions, by themselves and with what they call, 1 to the service as a whole, 1 to latencies, and
Holm's procedure holds within each. It is chosen over Benjamini and Hochberg's, which bounds the *share* of wrong ones
among what is told: one report is read by itself, next to a true regression it may not name an innocent function, and
callers hold their callees' cost with either sign, for which theirs is not proven.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.moderation import Contrast, Moderated, Prior, detectable, moderate
from analysis.statistics.regression import holm

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEWEST_RUNS = 3
"""A side of fewer cannot tell a difference from the spread between its runs."""
FUNCTIONS_LEVEL, SERVICE_LEVEL, LATENCY_LEVEL = 0.03, 0.01, 0.01
CONFIDENCE = 0.95
LEAST_SAMPLES = 15.0
"""A run, on average, for a function to be judged."""
LEAST_SPREAD = 0.001
"""Standard deviation between runs that is never gone below: figures that happen to be alike are no clockwork."""
LEAST_SHARE = 0.005
"""Of the service's CPU: what takes less is shown, not judged."""
WHOLE_SHARE = 0.95
"""Of the service's CPU: what holds so much of it is the service, and judged as such."""
TYPICAL_SHARE = 0.10
"""Of the service's CPU: the function whose least detectable change the report names."""

What = Literal["service", "self", "total", "p50", "p95", "p99"]
Verdict = Literal["dearer", "cheaper", "new", "gone", "slower", "faster", "none", "unclear"]


@dataclass(frozen=True, slots=True, eq=False)
class Latency:
    """A percentile of one endpoint in each run, shape (runs,), milliseconds; NaN where it is not known."""

    endpoint: str
    what: What
    ms: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All runs of both sides: `is_new` and `at` (when each began, any unit) have the shape (runs,).

    `us` are CPU microseconds per request of functions, shape (functions, runs), with the samples they rest on; a
    label is `function (file.py)`. Latencies come in steps of `resolution` (a ratio, 1.02 for 2%).
    """

    is_new: Mask
    at: Floats
    service_us: Floats
    functions: tuple[str, ...]
    self_us: Floats
    total_us: Floats
    self_samples: Floats
    total_samples: Floats
    latencies: tuple[Latency, ...] = ()
    resolution: float = 1.0

    @property
    def fewest(self) -> int:
        """Runs on the side that has fewer."""
        return int(min(self.is_new.sum(), (~self.is_new).sum()))


@dataclass(frozen=True, slots=True)
class Change:
    """One figure on both sides: means of the runs (us per request, or ms), and new over base with its 95% interval.

    `difference` is new less base with its interval. `detectable` is the change (0.05: 5%) that would have been found
    in four of five such comparisons. `samples` are those of a run on average. None: two runs cannot tell.
    """

    what: What
    name: str
    base: float
    new: float
    verdict: Verdict = "unclear"
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    difference: float = 0.0
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None
    detectable: float | None = None
    samples: float | None = None

    @property
    def is_told(self) -> bool:
        """Whether it is a difference for certain, as certain as a report is."""
        return self.verdict not in ("none", "unclear")


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """A function by itself, and with what it calls; shares are of the service's CPU of each side."""

    label: str
    alone: Change
    whole: Change
    base_share: float
    new_share: float

    @property
    def is_worse(self) -> bool:
        """Whether it costs more per request, and not only took over what it called before."""
        taken_over = self.whole.difference < 0.5 * self.alone.difference
        return self.whole.verdict == "dearer" or (self.alone.verdict == "dearer" and not taken_over)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two groups say. `spread` is the standard deviation between runs of functions (0.02: 2%), None if unknown.

    `typical` is the change of a function of 10% of the CPU that would have been found in four of five comparisons.
    """

    base_runs: int
    new_runs: int
    service: Change
    functions: tuple[FunctionChange, ...]
    latencies: tuple[Change, ...]
    judged: int
    interleaved: bool
    drift_removed: bool
    spread: float | None
    typical: float | None

    @property
    def enough(self) -> bool:
        """Whether there are runs enough for anything to be told."""
        return min(self.base_runs, self.new_runs) >= FEWEST_RUNS

    @property
    def is_worse(self) -> bool:
        """Whether anything is dearer or slower. A new function alone is not: it may do what another did before."""
        of_service = self.service.verdict == "dearer" or any(one.verdict == "slower" for one in self.latencies)
        return of_service or any(one.is_worse for one in self.functions)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All that may be told: the service, functions with and without what they call, latencies."""
        functions = (change for one in self.functions for change in (one.alone, one.whole))
        return (self.service, *functions, *self.latencies)


def compare(measured: Measured) -> Comparison:
    """Compare two groups of runs; with fewer than three a side there are numbers, and nothing is told of them."""
    enough = measured.fewest >= FEWEST_RUNS
    service = _Figures.of(measured, "service", [""], measured.service_us[None, :])
    alone = _Figures.of(measured, "self", measured.functions, measured.self_us, measured.self_samples)
    # What calls nothing is judged once, and what holds everything with the service.
    mean_us = measured.total_us.mean(axis=1)
    leaves = mean_us <= 1.01 * measured.self_us.mean(axis=1)
    own = ~leaves & (mean_us < WHOLE_SHARE * measured.service_us.mean())
    whole = _Figures.of(measured, "total", measured.functions, measured.total_us, measured.total_samples, own=own)
    (of_service,) = service.changes(_fallen(service.p[None, :], SERVICE_LEVEL)[0], SERVICE_LEVEL)
    fallen = _fallen(np.stack([alone.p, whole.p]), FUNCTIONS_LEVEL)
    judged = int((~np.isnan(alone.p)).sum() + (~np.isnan(whole.p)).sum())
    first = FUNCTIONS_LEVEL / max(judged, 1)
    selves, totals = alone.changes(fallen[0], first), whole.changes(fallen[1], first)
    totals = tuple(replace(selves[place], what="total") if leaves[place] else one for place, one in enumerate(totals))
    means = _means(measured.service_us[None, :], measured.is_new)
    shares = [_means(measured.self_us, measured.is_new)[side] / max(float(means[side][0]), 1e-9) for side in (0, 1)]
    functions = tuple(
        FunctionChange(label, selves[place], totals[place], float(shares[0][place]), float(shares[1][place]))
        for place, label in enumerate(measured.functions)
    )
    contrast = alone.contrast
    return Comparison(
        base_runs=int((~measured.is_new).sum()),
        new_runs=int(measured.is_new.sum()),
        service=of_service,
        functions=tuple(sorted(functions, key=lambda one: -abs(one.alone.difference))),
        latencies=_latencies(measured),
        judged=judged if enough else 0,
        interleaved=contrast.interleaved,
        drift_removed=contrast.drift_removed,
        spread=None if alone.prior is None else float(np.sqrt(alone.prior.between)),
        typical=_typical(alone, measured, first) if enough else None,
    )


def _latencies(measured: Measured) -> tuple[Change, ...]:
    """Each percentile by itself: those of an endpoint vary differently, and there are few to learn from."""
    found = [
        _Figures.of(measured, one.what, [one.endpoint], one.ms[None, :], resolution=measured.resolution)
        for one in measured.latencies
    ]
    if not found:
        return ()
    fallen = _fallen(np.array([[one.p[0] for one in found]]), LATENCY_LEVEL)[0]
    tested = max(int(sum(not np.isnan(one.p[0]) for one in found)), 1)
    return tuple(one.changes(fallen[place : place + 1], LATENCY_LEVEL / tested)[0] for place, one in enumerate(found))


@dataclass(frozen=True, slots=True, eq=False)
class _Figures:
    """Like figures of all runs with what their statistics come to; `p` is NaN where nothing is judged."""

    what: What
    names: Sequence[str]
    base: Floats
    new: Floats
    contrast: Contrast
    moderated: Moderated
    p: Floats
    samples: Floats | None
    seen: tuple[Mask, Mask]
    resolution: float

    @classmethod
    def of(
        cls,
        measured: Measured,
        what: What,
        names: Sequence[str],
        values: Floats,
        samples: Floats | None = None,
        *,
        own: Mask | None = None,
        resolution: float = 1.0,
    ) -> "_Figures":
        """`own` are those that are judged by themselves, None: all that have samples enough."""
        is_new = measured.is_new
        base, new = _means(values, is_new)
        known = np.isfinite(values).all(axis=1) if own is None else own.copy()
        offset: Floats | float = 0.0
        mean_samples = None
        sampling = np.zeros(len(values))
        if samples is not None:
            offset = 0.5 * values.sum(axis=0) / np.maximum(samples.sum(axis=0), 1.0)
            mean_samples = samples.mean(axis=1)
            sampling = 1 / (mean_samples + 0.5)
            known &= (mean_samples >= LEAST_SAMPLES) & (values.mean(axis=1) >= LEAST_SHARE * measured.service_us.mean())
        logs = np.log(np.maximum(np.nan_to_num(values) + offset, 1e-9))
        # Only what is judged tells of the spread between runs: in a function that is hardly seen there is only chance.
        contrast = Contrast.of(logs, is_new, measured.at)
        kept = np.flatnonzero(known)
        of_kept = moderate(Contrast.of(logs[kept], is_new, measured.at), sampling[kept])
        plain = np.sqrt(contrast.variance * contrast.per_variance)
        degrees = np.full(len(values), float(contrast.degrees))
        plain[kept], degrees[kept] = of_kept.standard_error, of_kept.degrees
        plain = np.maximum(plain, LEAST_SPREAD * contrast.per_variance**0.5)
        moderated = Moderated(contrast.effect, plain, degrees, of_kept.prior)
        p = np.full(len(values), np.nan)
        if measured.fewest >= FEWEST_RUNS:
            p[kept] = moderated.p_values(float(np.log(resolution)))[kept]
        seen = np.isfinite(values) if samples is None else (samples > 0)
        some = np.all if samples is None else np.any  # a latency that is not known in one run is not known
        sides = some(seen[:, ~is_new], axis=1), some(seen[:, is_new], axis=1)
        return cls(what, names, base, new, contrast, moderated, p, mean_samples, sides, resolution)

    @property
    def prior(self) -> Prior | None:
        return self.moderated.prior

    def changes(self, fallen: Mask, threshold: float) -> tuple[Change, ...]:
        """One change a figure; `fallen`: those told, by a procedure whose first threshold is `threshold`."""
        step = float(np.log(self.resolution))
        halves = self.moderated.half_widths(CONFIDENCE) + step
        findable = np.expm1(self.moderated.detectable(threshold, step))
        found = []
        for place, name in enumerate(self.names):
            effect, half = self.contrast.effect[place], halves[place]
            judged, both = not np.isnan(self.p[place]), bool(self.seen[0][place] and self.seen[1][place])
            middle = 2 * float(np.exp(self.contrast.middle[place]))
            low, high = (effect - half, effect + half) if judged else (None, None)
            found.append(
                Change(
                    what=self.what,
                    name=name,
                    base=float(self.base[place]),
                    new=float(self.new[place]),
                    verdict=self._verdict(place, told=bool(fallen[place])) if judged else "unclear",
                    ratio=float(np.exp(effect)) if both else None,
                    ratio_low=float(np.exp(low)) if both and low is not None else None,
                    ratio_high=float(np.exp(high)) if both and high is not None else None,
                    difference=float(self.new[place] - self.base[place]),
                    difference_low=None if low is None else middle * float(np.sinh(low / 2)),
                    difference_high=None if high is None else middle * float(np.sinh(high / 2)),
                    p=float(self.p[place]) if judged else None,
                    detectable=float(findable[place]) if judged else None,
                    samples=None if self.samples is None else float(self.samples[place]),
                )
            )
        return tuple(found)

    def _verdict(self, place: int, *, told: bool) -> Verdict:
        if not told:
            return "none"
        up = self.contrast.effect[place] > 0
        if self.what in ("p50", "p95", "p99"):
            return "slower" if up else "faster"
        if not self.seen[0][place]:
            return "new"
        if not self.seen[1][place]:
            return "gone"
        return "dearer" if up else "cheaper"


def _means(values: Floats, is_new: Mask) -> tuple[Floats, Floats]:
    return values[:, ~is_new].mean(axis=1), values[:, is_new].mean(axis=1)


def _fallen(p: Floats, level: float) -> Mask:
    """Holm over all that are judged (not NaN), in the shape of `p`."""
    fallen = np.zeros(p.shape, dtype=bool)
    judged = ~np.isnan(p)
    fallen[judged] = holm(p[judged], level) if judged.any() else False
    return fallen


def _typical(alone: _Figures, measured: Measured, threshold: float) -> float | None:
    """What would have been found of a function that takes 10% of the CPU."""
    samples = TYPICAL_SHARE * float(measured.self_samples.sum(axis=0).mean())
    if alone.prior is None or samples < LEAST_SAMPLES:
        return None
    sampling = np.array([1 / (samples + 0.5)])
    error = float(np.sqrt(alone.prior.variance(sampling)[0] * alone.contrast.per_variance))
    own = float(alone.contrast.degrees)
    degrees = max(own, min(own + alone.prior.degrees, float(alone.prior.bound(sampling)[0])))
    return float(np.expm1(detectable(error, degrees, threshold)))
