"""Thresholds, judged: over a whole run, one stage of it, or every stretch of so many windows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from clickhouse_connect.driver.client import Client

from analysis.evidence.limits import Floats, Ints, Mask
from analysis.judging.sustained import sustained, windows_for
from analysis.statistics.percentiles import Latencies, longest
from schemas.sketch import latency_us
from schemas.thresholds import Threshold
from views import model, queries
from views.facts import RunFacts
from views.outcome import Outcome, outcome_of

Values = tuple[float | None, bool]
"""A value in the threshold's unit, None without data, and whether the true one may be greater."""


def judged(client: Client, run: RunFacts, whole: Outcome) -> tuple[model.Threshold, ...]:
    """Each threshold of a run with its value. One on a percentile that is only known from below does not hold."""
    return tuple(_row(threshold, _measured(client, run, threshold, whole)) for threshold in run.thresholds)


def held_by(threshold: Threshold, outcome: Outcome) -> bool | None:
    """Whether the requests of an outcome, all together, keep a threshold; None without data."""
    return _row(threshold, value_of(threshold, outcome)).held


def _row(threshold: Threshold, found: Values) -> model.Threshold:
    value, censored = found
    held: bool | None = None
    if value is not None:
        held = threshold.holds(value) and not (censored and threshold.is_from_above)
    return model.Threshold(text=threshold.text, value=value, censored=censored, held=held)


def _measured(client: Client, run: RunFacts, threshold: Threshold, whole: Outcome) -> Values:
    if threshold.for_s is not None:
        return _lasting(client, run, threshold, threshold.for_s)
    if threshold.stage is None:
        return value_of(threshold, whole)
    segments = [segment for segment in run.segments if segment.stage == threshold.stage]
    return value_of(threshold, outcome_of(run, segments)) if segments else (None, False)


def value_of(threshold: Threshold, outcome: Outcome) -> Values:
    """Over all requests of an outcome."""
    simple: dict[str, Callable[[], float | None]] = {
        "errors": lambda: outcome.error_rate(threshold.endpoint),
        "checks": lambda: outcome.check_rate(threshold.endpoint),
        "dropped": lambda: outcome.dropped / outcome.scheduled if outcome.scheduled else None,
        "tps": lambda: outcome.tps_of(threshold.endpoint),
    }
    if threshold.metric in simple:
        return simple[threshold.metric](), False
    latencies = outcome.latencies(threshold.endpoint)
    found = latencies.mean if threshold.rank is None else latencies.quantile(threshold.rank)
    return (None, False) if found is None else (found.us / 1000, found.censored)


def _lasting(client: Client, run: RunFacts, threshold: Threshold, seconds: float) -> Values:
    """The worst value that lasted. Windows whose value is only known from below break a limit from above."""
    rows = _windows_of(run, threshold)
    if not len(rows):
        return None, False
    windows = run.windows.at(rows)
    values, censored = _by_window(client, run, threshold, rows)
    count = windows_for(seconds, int(windows.window_us[0]))

    def lasting(of_windows: Floats) -> float | None:
        # A window that nobody heard of ends a stretch, so every number between the first and the last has its place.
        placed = np.full(int(windows.window[-1] - windows.window[0]) + 1, np.nan)
        placed[windows.window - windows.window[0]] = of_windows
        return sustained(placed, count, is_from_above=threshold.is_from_above)

    worst = lasting(np.where(censored, np.inf, values) if threshold.is_from_above else values)
    return (lasting(values), True) if worst == np.inf else (worst, False)


def _windows_of(run: RunFacts, threshold: Threshold) -> Ints:
    if threshold.stage is None:
        return run.load
    rows = [run.rows_of(segment) for segment in run.segments if segment.stage == threshold.stage]
    return np.unique(np.concatenate(rows)) if rows else np.array([], np.int64)


def _by_window(client: Client, run: RunFacts, threshold: Threshold, rows: Ints) -> tuple[Floats, Mask]:
    """A value for each window, NaN where there is nothing to judge, and whether the true one may be greater."""
    windows = run.windows.at(rows)
    known = np.zeros(len(windows), np.bool_)
    if threshold.metric == "dropped":
        return _ratio(windows.dropped, windows.scheduled), known
    labels = [one.label for one in run.segments if threshold.stage in (None, one.stage)]
    found = queries.fetch(
        client, queries.ENDPOINT_WINDOWS, run=run.id, stages=labels, endpoint=threshold.endpoint or ""
    ).to_pylist()
    of_window = {row["window"]: row for row in found}
    mine = [of_window.get(window, {}) for window in windows.window.tolist()]
    completed, failed = (np.array([row.get(name, 0) for row in mine], np.float64) for name in ("completed", "failed"))
    if threshold.metric == "tps":
        return completed * 1e6 / windows.window_us, known
    if threshold.metric == "errors":
        return _ratio(failed, completed + failed), known
    ended = windows.completed + windows.failed
    shares = np.where(ended > 0, (completed + failed) / np.maximum(ended, 1), 1.0)
    lost = np.ceil(windows.dropped * shares).astype(np.int64)
    latencies = [_latencies(row, count) for row, count in zip(mine, lost.tolist(), strict=True)]
    found = [one.mean if threshold.rank is None else one.quantile(threshold.rank) for one in latencies]
    values = np.array([np.nan if one is None else one.us / 1000 for one in found], np.float64)
    return values, np.array([one is not None and one.censored for one in found], np.bool_)


def _latencies(row: Mapping[str, Any], lost: int) -> Latencies:
    """Of the requests that ended in a window, and of the dropped ones that fall to them."""
    counts = dict(zip(row.get("buckets", ()), row.get("counts", ()), strict=True))
    waited = dict(longest(counts, int(row.get("in_vain", 0))))
    return Latencies.of(
        ((latency_us(bucket), count - waited.get(bucket, 0)) for bucket, count in counts.items()),
        [*((latency_us(bucket), count) for bucket, count in waited.items()), (0.0, lost)],
    )


def _ratio(some: Ints | Floats, of: Ints | Floats) -> Floats:
    ratio: Floats = np.divide(some, of, out=np.full(len(of), np.nan), where=of > 0)
    return ratio


def first_broken(thresholds: Iterable[Threshold], outcome: Outcome) -> str | None:
    """The text of the first threshold that an outcome broke; those of one stage are not its own."""
    mine: Sequence[Threshold] = [one for one in thresholds if one.metric != "tps" and one.stage is None]
    return next((one.text for one in mine if held_by(one, outcome) is False), None)
