"""Ending a run early: thresholds with `for 10s`, judged by the joined windows while the run is on.

What is told of a window are percentiles by endpoint and stage, which cannot be merged. Where several rows make up a
value, the mildest of them is taken: a run is never ended by what its report would not find broken.
Percentiles among the dropped and the unanswered are beyond every limit, as they are in the report.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf

from analysis.judging.sustained import windows_for
from producers.load.plan import Plan
from producers.load.segments import segments_of
from schemas.durations import format_duration
from schemas.events import EndpointOutcome, WindowJoined
from schemas.thresholds import Threshold


@dataclass(slots=True)
class EarlyEnd:
    """Hears of joined windows, in any order and again after late batches.

    Once a threshold is broken, `note` says which, and `broken` is set. Without thresholds nothing ever is.
    """

    thresholds: Sequence[Threshold] = ()
    stage_of: Mapping[str, str] = field(default_factory=dict)
    note: str = field(default="", init=False)
    broken: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _windows: dict[str, set[int]] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, plan: Plan) -> "EarlyEnd":
        """For those thresholds of a plan that have a time."""
        lasting = [threshold for threshold in plan.parsed_thresholds() if threshold.for_s is not None]
        return cls(lasting, {segment.label: segment.stage for segment in segments_of(plan)})

    def hears(self, window: WindowJoined) -> None:
        """Take in a window."""
        for threshold in self.thresholds:
            value = value_in(threshold, window, self.stage_of)
            broken = self._windows.setdefault(threshold.text, set())
            if value is None or threshold.holds(value):
                broken.discard(window.window)
                continue
            broken.add(window.window)
            seconds = threshold.for_s or 0.0
            if not self.note and _stretch(broken, window.window) >= windows_for(seconds, window.window_us):
                self.note = f"ended early: `{threshold.text}` had not held for {format_duration(seconds)}"
                self.broken.set()


def _stretch(windows: set[int], of: int) -> int:
    """How many neighbours in a row, with one of them."""
    first = last = of
    while first - 1 in windows:
        first -= 1
    while last + 1 in windows:
        last += 1
    return last - first + 1


def value_in(threshold: Threshold, window: WindowJoined, stage_of: Mapping[str, str]) -> float | None:
    """A threshold's value in one window, in the unit of its limit; None where there is nothing to judge."""
    stages = {stage_of.get(label, label) for label in window.stages}
    if threshold.stage is not None and threshold.stage not in stages:
        return None
    is_pure = threshold.stage is None or stages == {threshold.stage}
    rows = [
        row
        for row in window.endpoints
        if threshold.endpoint in (None, row.endpoint) and threshold.stage in (None, stage_of.get(row.stage, row.stage))
    ]
    if threshold.metric == "dropped":
        scheduled = window.offered_tps * window.window_us / 1e6
        return window.dropped / scheduled if is_pure and scheduled else None
    if threshold.metric == "tps":
        return _tps(threshold, window, rows) if is_pure and window.offered_tps else None
    if threshold.metric == "errors":
        return _error_share(rows)
    if is_pure and threshold.endpoint is None:
        return _latency_ms(threshold, [window], window.dropped)
    ended = sum(map(_ended, rows))
    return _latency_ms(threshold, rows, window.dropped * ended // max(_ended(window), 1) if is_pure else 0)


def _tps(threshold: Threshold, window: WindowJoined, rows: Iterable[EndpointOutcome]) -> float:
    completed = window.completed if threshold.endpoint is None else sum(row.completed for row in rows)
    return completed * 1e6 / window.window_us


def _error_share(rows: Sequence[EndpointOutcome]) -> float | None:
    failed, ended = sum(row.failed for row in rows), sum(row.completed + row.failed for row in rows)
    return failed / ended if ended else None


def _ended(of: WindowJoined | EndpointOutcome) -> int:
    return of.completed + of.failed


def _latency_ms(threshold: Threshold, of: Sequence[WindowJoined | EndpointOutcome], dropped: int) -> float | None:
    """The mildest of some rows; beyond every limit where it lies among the dropped and the unanswered of them all."""
    ended, lost = sum(map(_ended, of)), dropped + sum(one.unanswered for one in of)
    rank = ended + dropped if threshold.rank is None else ceil(threshold.rank * (ended + dropped) - 1e-9)
    if threshold.is_from_above and rank > ended + dropped - lost:
        return inf
    name = f"{threshold.metric.replace('.', '')}_ms"
    known: list[float] = [value for one in of if (value := getattr(one, name)) is not None]
    return _mildest(threshold, known)


def _mildest(threshold: Threshold, values: Sequence[float]) -> float | None:
    if not values:
        return None
    return min(values) if threshold.is_from_above else max(values)
