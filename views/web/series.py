"""What happened over time: load, latency and CPU by bucket, and what may not be trusted."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from analysis.evidence.limits import Windows, generator_limited, host_limited
from schemas.stacks import frame
from views.queries import fetch
from views.ranges import Part
from views.web import queries
from views.web.answers import Hot, HotFunction, Series, Trust
from views.web.frames import kind_of, package_of

MOST_BUCKETS = 900
MOST_HOT = 12
COVERED = 0.97
"""A window of which a sampler saw less is partly profiled."""
_BEYOND = 0.01
"""A p99 lies among the requests that have no latency when they are this part of all."""


def series(client: Client, part: Part, *, most: int = MOST_BUCKETS) -> Series:
    """Load, latency and CPU of a range in at most `most` buckets. Blocks; raises StoreError."""
    span = part.span(most)
    asked = {"run": part.clock.run, **span.parameters}
    table = fetch(client, queries.SERIES.at(span.tier), **asked)
    windows = _windows(table)
    seconds = windows.window_us / 1e6
    buckets = table["bucket"].to_pylist()
    lost = fetch(client, queries.UNANSWERED.at(span.tier), **asked).to_pylist()
    unanswered = {row["bucket"]: int(row["unanswered"]) for row in lost}
    in_vain = np.array([unanswered.get(bucket, 0) for bucket in buckets], np.int64) + windows.dropped
    ended = windows.completed + windows.failed
    bounds = np.flatnonzero(in_vain > _BEYOND * (ended + windows.dropped))
    watched_s = table["watched_us"].to_numpy() / 1e6
    coverage = np.where(watched_s > 0, windows.covered_us / np.maximum(watched_s * 1e6, 1), 0.0).clip(0, 1)
    return Series(
        step_s=span.bucket_us / 1e6,
        t_s=part.times_s(span, buckets),
        offered_tps=tuple(windows.scheduled / seconds),
        achieved_tps=tuple(windows.completed / seconds),
        bad_tps=tuple((windows.failed + windows.dropped) / seconds),
        requests=tuple(ended.tolist()),
        watched_requests=tuple(table["watched_requests"].to_pylist()),
        in_flight=tuple(windows.in_flight.tolist()),
        p50_ms=tuple(table["p50_ms"].to_pylist()),
        p95_ms=tuple(table["p95_ms"].to_pylist()),
        p99_ms=tuple(table["p99_ms"].to_pylist()),
        p99_bound=tuple(bounds.tolist()),
        lag_p99_ms=tuple(windows.dispatch_lag_p99_us / 1e3),
        cpu_us=tuple(windows.cpu_us.tolist()),
        unattributed_us=tuple(windows.unattributed_us.tolist()),
        watched_s=tuple(watched_s),
        seconds=tuple(seconds),
        coverage=tuple(coverage),
        samples=tuple(windows.samples.tolist()),
        agent_cpu_us=tuple(windows.agent_cpu_us.tolist()),
        trust=_trust(table, windows, coverage),
    )


def _windows(table: pa.Table) -> Windows:
    """Buckets as the limits judge windows: of several windows in one, sums, and the worst lag."""
    columns = {"window": table["bucket"].to_numpy().astype(np.int64)}
    for name in ("p50", "p99"):
        column = table[f"{name}_ms"].cast(pa.float64()).fill_null(float("nan"))
        columns[f"{name}_us"] = 1e3 * column.to_numpy()
    for one in fields(Windows):
        if one.name not in columns:
            columns[one.name] = table[one.name].to_numpy().astype(np.int64)
    return Windows(**columns)


def _trust(table: pa.Table, windows: Windows, coverage: np.ndarray) -> dict[int, tuple[Trust, ...]]:
    watched_us = table["watched_us"].to_numpy()
    is_whole = (coverage >= COVERED) & (watched_us >= COVERED * windows.window_us)
    masks: dict[Trust, np.ndarray] = {
        "no profile": watched_us == 0,
        "partly profiled": (watched_us > 0) & ~is_whole,
        "generator-limited": generator_limited(windows) & (windows.scheduled > 0),
        "host-limited": host_limited(windows) & (windows.scheduled > 0),
        "late": table["late"].to_numpy() > 0,
        "incomplete": table["incomplete"].to_numpy() > 0,
    }
    found: dict[int, tuple[Trust, ...]] = {}
    for name, mask in masks.items():
        for place in np.flatnonzero(mask).tolist():
            found[place] = (*found.get(place, ()), name)
    return dict(sorted(found.items()))


def hot(client: Client, part: Part, *, most: int = MOST_HOT, buckets: int = MOST_BUCKETS) -> Hot:
    """CPU of the hottest functions by bucket, and of all others together. Blocks; raises StoreError."""
    span = part.span(buckets)
    asked = {"run": part.clock.run, **span.parameters}
    there = fetch(client, queries.SERIES.at(span.tier), **asked)["bucket"].to_pylist()
    places = {bucket: place for place, bucket in enumerate(there)}

    def by_place(row: Mapping[str, Any], column: str) -> tuple[int, ...]:
        values = [0] * len(places)
        for bucket, us in zip(row["buckets"], row[column], strict=True):
            values[places[bucket]] = int(us)
        return tuple(values)

    functions = []
    others = (0,) * len(places)
    for row in fetch(client, queries.HOT.at(span.tier), **asked, most=most).to_pylist():
        if row["kind"] == "other":
            others = by_place(row, "self_us")
        if row["kind"] != "function":
            continue
        label = frame(row["function"], row["file"]) if row["file"] else row["function"]
        functions.append(
            HotFunction(
                label=label,
                function=row["function"],
                file=row["file"],
                package=package_of(label),
                kind=kind_of(label),
                self_us=by_place(row, "self_us"),
                total_us=by_place(row, "total_us"),
            )
        )
    return Hot(
        step_s=span.bucket_us / 1e6,
        t_s=part.times_s(span, there),
        functions=tuple(functions),
        others_us=others,
    )
