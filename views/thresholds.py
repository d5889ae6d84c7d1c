"""Thresholds, judged: over a whole run, one stage of it, or every stretch of so many windows."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from clickhouse_connect.driver.client import Client

from analysis.limits import Floats, Ints
from analysis.sustained import sustained, windows_for
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
        return _lasting(client, run, threshold, threshold.for_s), False
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
    quantile = 1.0 if threshold.metric == "max" else threshold.quantile
    found = latencies.mean if quantile is None else latencies.quantile(quantile)
    return (None, False) if found is None else (found.us / 1000, found.censored)


def _lasting(client: Client, run: RunFacts, threshold: Threshold, seconds: float) -> float | None:
    rows = _windows_of(run, threshold)
    if not len(rows):
        return None
    windows = run.windows.at(rows)
    values = _by_window(client, run, threshold, rows)
    # A window that nobody heard of ends a stretch, so every number between the first and the last has its place.
    placed = np.full(int(windows.window[-1] - windows.window[0]) + 1, np.nan)
    placed[windows.window - windows.window[0]] = values
    count = windows_for(seconds, int(windows.window_us[0]))
    return sustained(placed, count, is_from_above=threshold.is_from_above)


def _windows_of(run: RunFacts, threshold: Threshold) -> Ints:
    if threshold.stage is None:
        return run.load
    rows = [run.rows_of(segment) for segment in run.segments if segment.stage == threshold.stage]
    return np.unique(np.concatenate(rows)) if rows else np.array([], np.int64)


def _by_window(client: Client, run: RunFacts, threshold: Threshold, rows: Ints) -> Floats:
    windows = run.windows.at(rows)
    if threshold.metric == "dropped":
        return _ratio(windows.dropped, windows.scheduled)
    labels = [one.label for one in run.segments if threshold.stage in (None, one.stage)]
    found = queries.fetch(
        client, queries.ENDPOINT_WINDOWS, run=run.id, stages=labels, endpoint=threshold.endpoint or ""
    ).to_pylist()
    of_window = {row["window"]: row for row in found}
    mine = [of_window.get(window, {}) for window in windows.window.tolist()]
    completed, failed = (np.array([row.get(name, 0) for row in mine], np.float64) for name in ("completed", "failed"))
    if threshold.metric == "tps":
        return completed * 1e6 / windows.window_us
    if threshold.metric == "errors":
        return _ratio(failed, completed + failed)
    values = (row.get(f"{threshold.metric}_ms") for row in mine)
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _ratio(some: Ints | Floats, of: Ints | Floats) -> Floats:
    ratio: Floats = np.divide(some, of, out=np.full(len(of), np.nan), where=of > 0)
    return ratio


def first_broken(thresholds: Iterable[Threshold], outcome: Outcome) -> str | None:
    """The text of the first threshold that an outcome broke; those of one stage are not its own."""
    mine: Sequence[Threshold] = [one for one in thresholds if one.metric != "tps" and one.stage is None]
    return next((one.text for one in mine if held_by(one, outcome) is False), None)
