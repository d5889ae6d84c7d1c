"""One rate of a search: when it has been held for long enough, and what came of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from analysis.evidence.blocks import ERROR_SHARE
from analysis.evidence.limits import GENERATOR_CORE_SHARE, LAG_LIMIT_US, LAG_SHARE_OF_P99, LIMITED_SHARE
from analysis.judging.steadiness import PLAIN_S, halves_agree, lost_for_long, plain_share
from analysis.statistics.percentiles import Latencies
from schemas.censoring import unanswered
from schemas.rows import RequestFacts
from schemas.thresholds import Threshold
from views.facts import EndpointFacts
from views.load import broken_by
from views.outcome import Outcome

SETTLE_SHARE = 1 / 3
"""Of each step, at its beginning, that is for things to settle."""
LONGEST = 3
"""How many times its length a step is held at most, where it does not become steady."""

Window = tuple[int, pa.RecordBatch, RequestFacts]
"""A window as the load published it: number, rows, facts."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate that was tried. `broken` says what did not hold, None when all did; `late` how the generator was.

    `steady` is whether the two halves of what it is judged by were alike.
    """

    tps: float
    achieved_tps: float
    p99_ms: float | None
    broken: str | None
    late: str | None = None
    seconds: float = 0.0
    steady: bool = True


@dataclass(slots=True)
class StepWatch:
    """Follows a step window by window: is it over, and what came of it?"""

    thresholds: Sequence[Threshold]
    each_s: float
    window_us: int
    _windows: int = field(default=0, init=False)
    _steady: bool = field(default=False, init=False)
    _lost: float | None = field(default=None, init=False)

    def is_over(self, batches: Sequence[Window]) -> bool:
        """Whether the step has been held for long enough, by all its windows until now. Called after each of them."""
        if self._windows:
            return True
        limits = [one.limit for one in self.thresholds if one.metric in ("errors", "dropped") and one.is_from_above]
        share = plain_share(max(limits, default=ERROR_SHARE))
        lost = [rows.num_rows - rows["error"].null_count + facts.dropped for _, rows, facts in batches]
        self._lost = lost_for_long(lost, [facts.scheduled for *_, facts in batches], self.window_us, share)
        count = len(batches)
        if self._lost is None and count * self.window_us < self.each_s * 1e6:
            return False
        self._steady = self._lost is None and _is_steady(batches[_first_settled(count) :])
        if self._steady or self._lost is not None or count * self.window_us >= LONGEST * self.each_s * 1e6:
            self._windows = count
        return self._windows > 0

    def judged(self, batches: Sequence[Window], endpoints: Sequence[str], tps: float) -> Step:
        """What came of the step, of which some windows were over its end."""
        count = self._windows or len(batches)
        step = judged_step(batches, endpoints, self.thresholds, tps=tps, count=count, window_us=self.window_us)
        broken = step.broken
        if self._lost is not None:
            broken = broken or f"{self._lost:.0%} failed or were dropped, for {PLAIN_S:.0f} s"
        return replace(step, broken=broken, seconds=count * self.window_us / 1e6, steady=self._steady)


def _first_settled(count: int) -> int:
    return round(SETTLE_SHARE * count)


def _is_steady(settled: Sequence[Window]) -> bool:
    half = len(settled) // 2
    halves = settled[len(settled) - 2 * half :][:half], settled[len(settled) - half :]
    first_us, second_us = (
        np.concatenate([np.empty(0), *(_answered_us(rows) for _, rows, _ in windows)]) for windows in halves
    )
    return halves_agree(first_us, second_us)


def _answered_us(rows: pa.RecordBatch) -> np.ndarray:
    latency_us: np.ndarray = rows["latency_us"].to_numpy()[~unanswered(rows)]
    return latency_us.astype(np.float64)


def judged_step(
    batches: Sequence[Window],
    endpoints: Sequence[str],
    thresholds: Sequence[Threshold],
    *,
    tps: float,
    count: int,
    window_us: int,
) -> Step:
    """Judge a step by its first `count` windows once it has settled; what was left unended counts too."""
    settled = [(rows, facts) for _, rows, facts in batches[_first_settled(count) : count]]
    seconds = len(settled) * window_us / 1e6
    rows = pa.Table.from_batches([rows for rows, _ in settled])
    names, in_vain = rows["endpoint"].to_numpy(), np.concatenate([unanswered(part) for part, _ in settled])
    latency_us = rows["latency_us"].to_numpy().astype(np.float64)
    errors = rows["error"].cast(pa.string())
    failed = errors.is_valid().to_numpy()
    found = []
    for name in endpoints:
        mine = names == name
        counted = errors.filter(pa.array(mine & failed)).value_counts().to_pylist()
        found.append(
            EndpointFacts(
                label="",
                endpoint=name,
                completed=int((mine & ~failed).sum()),
                failed=int((mine & failed).sum()),
                sent_bytes=0,
                received_bytes=0,
                latencies=Latencies.of(_counted(latency_us[mine & ~in_vain]), _counted(latency_us[mine & in_vain])),
                errors={one["values"]: one["counts"] for one in counted},
            )
        )
    scheduled, dropped = (sum(getattr(facts, name) for _, facts in settled) for name in ("scheduled", "dropped"))
    left = batches[-1][2].in_flight
    outcome = Outcome(tuple(found), scheduled, dropped, dropped + left, (~failed).sum() / seconds)
    p99 = outcome.latencies().quantile(0.99)
    lag_us = _lasting_lag_us([part["dispatch_lag_us"].to_numpy() for part, _ in settled])
    return Step(
        tps=tps,
        achieved_tps=float(outcome.tps),
        p99_ms=None if p99 is None else p99.us / 1000,
        broken=broken_by(thresholds, outcome, scheduled / seconds),
        late=_late(lag_us, p99.us if p99 else 0.0, sum(facts.generator_cpu_us for _, facts in settled) / seconds / 1e6),
    )


def _lasting_lag_us(lags_us: Sequence[np.ndarray]) -> float:
    """What the p99 of a window's lag came to in more windows than are borne (see `overrun.mostly_fit`)."""
    by_window = sorted((float(np.percentile(one, 99)) for one in lags_us if len(one)), reverse=True)
    borne = max(1, int(LIMITED_SHARE * len(lags_us)))
    return by_window[borne] if len(by_window) > borne else 0.0


def _late(lag_us: float, p99_us: float, core_share: float) -> str | None:
    """How the generator itself was the limit, as in `analysis.evidence.limits`; None when it was not."""
    if lag_us > max(LAG_LIMIT_US, LAG_SHARE_OF_P99 * p99_us):
        return f"it sent {lag_us / 1000:.0f} ms late"
    if core_share > GENERATOR_CORE_SHARE:
        return f"its own core was {core_share:.0%} busy"
    return None


def _counted(values: np.ndarray) -> list[tuple[float, int]]:
    distinct, counts = np.unique(values, return_counts=True)
    return list(zip(distinct.tolist(), counts.tolist(), strict=True))
