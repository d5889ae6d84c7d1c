"""The load side of a report: one row a stage or level."""

from collections.abc import Sequence

import numpy as np

from analysis.evidence.blocks import ERROR_SHARE, Segment, asked_tps, backlog_grows, overrun_of, settled
from analysis.evidence.overrun import Overrun, mostly_fit
from analysis.statistics.percentiles import Percentile
from schemas.thresholds import Threshold
from views import model
from views.facts import RunFacts
from views.outcome import Outcome, outcome_of
from views.thresholds import first_broken

_QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}
KEPT_UP = 0.95
"""A rate is sustained when at least this part of it gets through."""


def load_rows(run: RunFacts) -> tuple[model.LoadRow, ...]:
    """One row a stage, and one a rate of a `levels` stage, in the order of the plan, levels ascending."""
    groups = groups_of(run.segments)
    stages = list(dict.fromkeys(stage for stage, _ in groups))
    overrun = overrun_of(run.windows, run.segments)
    ordered = sorted(groups, key=lambda group: (stages.index(group[0]), group[1] or 0))
    return tuple(_row(run, stage, rate, groups[stage, rate], overrun) for stage, rate in ordered)


def groups_of(segments: Sequence[Segment]) -> dict[tuple[str, float | None], list[Segment]]:
    """What makes one row: a segment by its label, or all visits of one rate by their stage and that rate."""
    groups: dict[tuple[str, float | None], list[Segment]] = {}
    for segment in segments:
        rate = segment.rate_from_tps if segment.form == "level" else None
        groups.setdefault((segment.stage if rate is not None else segment.label, rate), []).append(segment)
    return groups


def _row(
    run: RunFacts, stage: str, rate: float | None, segments: list[Segment], overrun: Overrun | None
) -> model.LoadRow:
    windows = run.windows.at(np.concatenate([run.rows_of(segment) for segment in segments]))
    seconds = float(windows.window_us.sum()) / 1e6
    per_s = 1 / seconds if seconds else 0.0
    outcome = outcome_of(run, segments)
    latencies = outcome.latencies()
    percentiles = {name: latencies.quantile(q) for name, q in _QUANTILES.items()}
    form = segments[0].form
    sent_bytes, received_bytes = (
        sum(getattr(one, name) for one in outcome.endpoints) for name in ("sent_bytes", "received_bytes")
    )
    offered_tps = outcome.scheduled * per_s
    limited = not mostly_fit(windows)
    if overrun is not None and form != "level":
        limited = limited or bool(overrun.leaves_out(windows, asked_tps(windows, segments)).any())
    is_judged = form != "ramp" and seconds > 0 and not limited
    held = _held(run, segments, outcome, offered_tps) if is_judged else None
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
        dropped=outcome.dropped,
        held=held,
        limited=limited,
        role=segments[0].role,
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
    broken = first_broken(thresholds, outcome)
    if broken is not None:
        return broken
    if not any(one.metric == "errors" for one in thresholds) and (outcome.error_rate() or 0) > ERROR_SHARE:
        return f"errors < {ERROR_SHARE:.0%}"
    if outcome.tps < KEPT_UP * offered_tps:
        return f"{KEPT_UP:.0%} of what was offered got through"
    return None


def _ms(percentile: Percentile | None) -> float | None:
    return None if percentile is None else percentile.us / 1000
