"""The load side of a report: one row a stage or level, and the thresholds over all of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from analysis.blocks import ERROR_SHARE, Segment, backlog_grows, settled
from analysis.percentiles import Latencies, Percentile
from schemas.thresholds import Threshold
from views import model
from views.facts import EndpointFacts, RunFacts

_QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}
KEPT_UP = 0.95
"""A rate is sustained when at least this part of it gets through."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of the arrivals of some segments: `unended` were dropped, or under way when the load ended."""

    endpoints: tuple[EndpointFacts, ...]
    scheduled: int
    dropped: int
    unended: int
    tps: float

    @property
    def completed(self) -> int:
        """Answered as asked."""
        return sum(one.completed for one in self.endpoints)

    @property
    def failed(self) -> int:
        """Ended otherwise."""
        return sum(one.failed for one in self.endpoints)

    def error_rate(self, endpoint: str | None = None) -> float | None:
        """Failed requests of those that ended; None when none did."""
        mine = self._of(endpoint)
        ended = sum(one.completed + one.failed for one in mine)
        return sum(one.failed for one in mine) / ended if ended else None

    def latencies(self, endpoint: str | None = None) -> Latencies:
        """Latencies with the unended as censored; an endpoint bears those in proportion to what ended of it."""
        mine = self._of(endpoint)
        if endpoint is not None and not mine:
            return Latencies.of(())
        ended = self.completed + self.failed
        part = sum(one.completed + one.failed for one in mine) / ended if ended else 1.0
        lost = Latencies.of((), [(0.0, ceil(self.unended * part))])
        return Latencies.merged([*(one.latencies for one in mine), lost])

    def _of(self, endpoint: str | None) -> tuple[EndpointFacts, ...]:
        return tuple(one for one in self.endpoints if endpoint in (None, one.endpoint))


def whole_outcome(run: RunFacts, rows: Sequence[model.LoadRow]) -> Outcome:
    """Of the whole run; its throughput is that of the stage that got through most."""
    dropped = run.total("dropped")
    return Outcome(
        run.endpoints,
        run.total("scheduled"),
        dropped,
        dropped + run.in_flight_at_end,
        max((row.achieved_tps for row in rows), default=0.0),
    )


def judged(thresholds: Iterable[Threshold], outcome: Outcome) -> tuple[model.Threshold, ...]:
    """Each threshold with its value. One on a percentile that is only known from below does not hold."""
    return tuple(_judge(threshold, outcome) for threshold in thresholds)


def _judge(threshold: Threshold, outcome: Outcome) -> model.Threshold:
    value, censored = _value(threshold, outcome)
    held: bool | None = None
    if value is not None:
        held = threshold.holds(value) and not (censored and threshold.comparison in ("<", "<="))
    return model.Threshold(text=threshold.text, value=value, censored=censored, held=held)


def _value(threshold: Threshold, outcome: Outcome) -> tuple[float | None, bool]:
    """In the threshold's own unit, and whether the true value may be greater."""
    if threshold.metric == "errors":
        return outcome.error_rate(threshold.endpoint), False
    if threshold.metric == "dropped":
        return outcome.dropped / outcome.scheduled if outcome.scheduled else None, False
    if threshold.metric == "tps":
        return outcome.tps, False
    latencies = outcome.latencies(threshold.endpoint)
    quantile = 1.0 if threshold.metric == "max" else threshold.quantile
    found = latencies.mean if quantile is None else latencies.quantile(quantile)
    return (None, False) if found is None else (found.us / 1000, found.censored)


def load_rows(run: RunFacts) -> tuple[model.LoadRow, ...]:
    """One row a stage, and one a rate of a `levels` stage, in the order of the plan, levels ascending."""
    groups: dict[tuple[str, float | None], list[Segment]] = {}
    for segment in run.segments:
        rate = segment.rate_from_tps if segment.form == "level" else None
        groups.setdefault((segment.stage if rate is not None else segment.label, rate), []).append(segment)
    stages = list(dict.fromkeys(stage for stage, _ in groups))
    ordered = sorted(groups, key=lambda group: (stages.index(group[0]), group[1] or 0))
    return tuple(_row(run, stage, rate, groups[stage, rate]) for stage, rate in ordered)


def _row(run: RunFacts, stage: str, rate: float | None, segments: list[Segment]) -> model.LoadRow:
    rows = np.concatenate([run.rows_of(segment) for segment in segments])
    windows = run.windows.at(rows)
    seconds = float(windows.window_us.sum()) / 1e6
    per_s = 1 / seconds if seconds else 0.0
    last_label = max(run.segments, key=lambda segment: segment.ends_us).label
    labels = {segment.label for segment in segments}
    dropped = int(windows.dropped.sum())
    outcome = Outcome(
        tuple(one for one in run.endpoints if one.label in labels),
        int(windows.scheduled.sum()),
        dropped,
        dropped + (run.in_flight_at_end if last_label in labels else 0),
        float(windows.completed.sum()) * per_s,
    )
    latencies = outcome.latencies()
    percentiles = {name: latencies.quantile(q) for name, q in _QUANTILES.items()}
    form = segments[0].form
    sent_bytes, received_bytes = (
        sum(getattr(one, name) for one in outcome.endpoints) for name in ("sent_bytes", "received_bytes")
    )
    offered_tps = outcome.scheduled * per_s
    held = None if form == "ramp" or not seconds else _held(run, segments, outcome, offered_tps)
    return model.LoadRow(
        stage=stage if rate is None else f"{stage}@{rate:g}",
        offered_tps=offered_tps,
        achieved_tps=outcome.tps,
        **{name: _ms(percentile) for name, percentile in percentiles.items()},
        error_rate=outcome.error_rate() or 0.0,
        bytes_per_s=(sent_bytes + received_bytes) * per_s,
        sent_bytes_per_s=sent_bytes * per_s,
        received_bytes_per_s=received_bytes * per_s,
        censored=tuple(name for name, percentile in percentiles.items() if percentile and percentile.censored),
        form=form,
        visits=len(segments),
        seconds=seconds,
        dropped=dropped,
        held=held,
    )


def _held(run: RunFacts, segments: list[Segment], outcome: Outcome, offered_tps: float) -> bool:
    """Whether a rate was sustained: nothing broken, and no pile of requests growing."""
    if broken_by(run.thresholds, outcome, offered_tps) is not None:
        return False
    return not any(backlog_grows(run.windows.at(settled(run.windows, segment))) for segment in segments)


def broken_by(thresholds: Sequence[Threshold], outcome: Outcome, offered_tps: float) -> str | None:
    """What a constant rate did not hold: a threshold, errors, or getting through what was offered; None if it held.

    A threshold on the throughput itself says nothing of a single rate; where errors have no threshold, 1% is the limit.
    """
    mine = [threshold for threshold in thresholds if threshold.metric != "tps"]
    broken = next((threshold.text for threshold in judged(mine, outcome) if threshold.held is False), None)
    if broken is not None:
        return broken
    if not any(threshold.metric == "errors" for threshold in mine) and (outcome.error_rate() or 0) > ERROR_SHARE:
        return f"errors < {ERROR_SHARE:.0%}"
    if outcome.tps < KEPT_UP * offered_tps:
        return f"{KEPT_UP:.0%} of what was offered got through"
    return None


def _ms(percentile: Percentile | None) -> float | None:
    return None if percentile is None else percentile.us / 1000
