"""The longest stretch of one offered rate, by the minute: what drift is judged from."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from analysis.evidence.blocks import ERROR_SHARE, Segment, inside
from analysis.evidence.limits import Windows
from analysis.evidence.overrun import limited, mostly_fit
from analysis.over_time.drift import MINUTE_US, Soak
from schemas.stacks import join_frame
from views import queries
from views.facts import RunFacts

LEAST_MINUTES = 20
LEAST_FIT_SHARE = 0.8
"""Minutes are compared in their order: with more holes than that they are no series."""
WATCHED_SHARE = 0.9
FUNCTION_SHARE = 0.02
"""Of the service's CPU in its own code: what weighs less is not judged."""


def read_soak(client: Client, run: RunFacts) -> Soak | None:
    """Its minutes that are whole, watched, and limited neither by the load nor by errors.

    None when the run holds no rate for 20 such minutes, or when one in five is unfit. Blocks; raises StoreError.
    """
    stretch = longest_hold(run.segments)
    if stretch is None:
        return None
    start_us, end_us = stretch.starts_us + (stretch.settle_us or 0), stretch.ends_us
    first, last = -(-start_us // MINUTE_US), end_us // MINUTE_US - 1
    if last - first + 1 < LEAST_MINUTES:
        return None
    asked = {"run": run.id, "first": first, "last": last}
    table = queries.fetch(client, queries.MINUTES, **asked)
    table = table.filter(pa.array(_fit(table, run.windows.at(inside(run.windows, stretch)))))
    minutes = table["minute"].to_numpy().astype(np.int64)
    if len(minutes) < max(LEAST_MINUTES, LEAST_FIT_SHARE * (last - first + 1)):
        return None
    functions = queries.fetch(client, queries.MINUTE_FUNCTIONS, **asked, least=FUNCTION_SHARE)
    resident = queries.fetch(client, queries.RESIDENT, **asked, window_us=int(run.windows.window_us[0]))
    names = zip(functions["function"].to_pylist(), functions["file"].to_pylist(), strict=True)
    labels = [join_frame(function, file) for function, file in names]
    return Soak(
        tps=stretch.rate_from_tps,
        unit_us=MINUTE_US,
        starts_us=minutes * MINUTE_US,
        requests=table["watched_requests"].to_numpy().astype(np.float64),
        cpu_us=table["cpu_us"].to_numpy().astype(np.float64),
        p50_us=table["p50_us"].to_numpy().astype(np.float64),
        p99_us=table["p99_us"].to_numpy().astype(np.float64),
        functions=_by_minute(functions, labels, "self_us", minutes, missing=0.0),
        rss_bytes=_by_minute(resident, resident["instance"].to_pylist(), "rss_bytes", minutes, missing=np.nan),
    )


def longest_hold(segments: tuple[Segment, ...]) -> Segment | None:
    """The longest of the holds; neighbours of one rate are one."""
    holds: list[Segment] = []
    for segment in sorted(segments, key=lambda one: one.starts_us):
        if segment.form != "hold" or segment.role != "measure":
            continue
        before = holds[-1] if holds else None
        same = before and (before.ends_us, before.rate_from_tps) == (segment.starts_us, segment.rate_from_tps)
        if before and same:
            holds[-1] = Segment(
                before.label, before.stage, "hold", 0, before.starts_us, segment.ends_us, before.rate_from_tps,
                before.rate_to_tps, before.settle_us,
            )  # fmt: skip
        else:
            holds.append(segment)
    return max(holds, key=lambda one: one.ends_us - one.starts_us, default=None)


def _fit(table: pa.Table, windows: Windows) -> np.ndarray:
    """Which minutes may be judged."""
    covered, watched, requests, failed = (
        table[name].to_numpy() for name in ("window_us", "watched_us", "watched_requests", "failed")
    )
    fit = (covered > MINUTE_US * 0.99) & (watched >= WATCHED_SHARE * covered) & (requests > 0)
    fit &= failed <= ERROR_SHARE * requests
    unfit = windows.at(limited(windows))
    of_minute = windows.starts_us // MINUTE_US
    for minute in np.unique(unfit.starts_us // MINUTE_US):
        if not mostly_fit(windows.at(of_minute == minute)):
            fit &= table["minute"].to_numpy() != minute
    return np.asarray(fit, dtype=bool)


def _by_minute(
    table: pa.Table, names: list[str], column: str, minutes: np.ndarray, *, missing: float
) -> Mapping[str, np.ndarray]:
    """Rows of (minutes, values) as one column of all the minutes a name."""
    found = {}
    for name, seen, values in zip(names, table["minutes"].to_pylist(), table[column].to_pylist(), strict=True):
        known = dict(zip(seen, values, strict=True))
        found[name] = np.array([known.get(minute, missing) for minute in minutes.tolist()], np.float64)
    return found
