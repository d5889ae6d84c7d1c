"""What happened over time: load, latency and CPU by bucket, and what may not be trusted."""

from collections import Counter
from dataclasses import fields

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from analysis.limits import Windows, generator_limited, host_limited
from schemas.stacks import frame
from views.queries import fetch
from views.ranges import Span
from views.web import texts
from views.web.answers import Hot, HotFunction, Series, Trust
from views.web.frames import kind_of, package_of

MOST_BUCKETS = 900
MOST_HOT = 12
COVERED = 0.97
"""A window of which a sampler saw less is partly profiled."""
_BEYOND = 0.01
"""A p99 lies among the requests that have no latency when they are this part of all."""


def series(client: Client, span: Span, *, most: int = MOST_BUCKETS) -> Series:
    """Load, latency and CPU of a range in at most `most` buckets. Blocks; raises StoreError."""
    step = span.step(most)
    table = fetch(client, texts.SERIES, **span.parameters, step=step)
    windows = _windows(table)
    seconds = windows.window_us / 1e6
    unanswered = dict.fromkeys(table["bucket"].to_pylist(), 0) | dict(
        zip(*_columns(fetch(client, texts.UNANSWERED, **span.parameters, step=step)), strict=True)
    )
    in_vain = np.array([int(unanswered[bucket]) for bucket in table["bucket"].to_pylist()]) + windows.dropped
    ended = windows.completed + windows.failed
    bounds = np.flatnonzero(in_vain > _BEYOND * (ended + windows.dropped))
    watched_s = table["watched_us"].to_numpy() / 1e6
    coverage = np.where(watched_s > 0, windows.covered_us / np.maximum(watched_s * 1e6, 1), 0.0).clip(0, 1)
    return Series(
        step_s=step * span.clock.window_us / 1e6,
        t_s=tuple((windows.starts_us - span.clock.started_us) / 1e6),
        offered_tps=tuple(windows.scheduled / seconds),
        achieved_tps=tuple(windows.completed / seconds),
        bad_tps=tuple((windows.failed + windows.dropped) / seconds),
        requests=tuple(ended.tolist()),
        in_flight=tuple(windows.in_flight.tolist()),
        p50_ms=_milliseconds(table["p50_us"]),
        p95_ms=_milliseconds(table["p95_us"]),
        p99_ms=_milliseconds(table["p99_us"]),
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
    columns = {}
    for one in fields(Windows):
        column = table[one.name]
        if one.name in ("p50_us", "p99_us"):
            columns[one.name] = column.cast(pa.float64()).fill_null(float("nan")).to_numpy()
        else:
            columns[one.name] = column.to_numpy().astype(np.int64)
    return Windows(**columns)


def _columns(table: pa.Table) -> list[list[int]]:
    return [column.to_pylist() for column in table.columns]


def _milliseconds(column: pa.ChunkedArray) -> tuple[float | None, ...]:
    return tuple(None if us is None else us / 1e3 for us in column.to_pylist())


def _trust(table: pa.Table, windows: Windows, coverage: np.ndarray) -> dict[int, tuple[Trust, ...]]:
    masks: dict[Trust, np.ndarray] = {
        "no profile": windows.instances == 0,
        "partly profiled": (windows.instances > 0) & (coverage < COVERED),
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


def hot(client: Client, span: Span, *, most: int = MOST_HOT, buckets: int = MOST_BUCKETS) -> Hot:
    """CPU of the hottest functions by bucket, and of all others together. Blocks; raises StoreError."""
    step = span.step(buckets)
    spent = fetch(client, texts.SERIES, **span.parameters, step=step)
    places = {bucket: place for place, bucket in enumerate(spent["bucket"].to_pylist())}
    others: Counter[int] = Counter()
    for place, (cpu_us, nowhere_us) in enumerate(
        zip(spent["cpu_us"].to_pylist(), spent["unattributed_us"].to_pylist(), strict=True)
    ):
        others[place] = cpu_us - nowhere_us
    functions = []
    for row in fetch(client, texts.HOT, **span.parameters, step=step, most=most).to_pylist():
        self_us, total_us = [0] * len(places), [0] * len(places)
        for bucket, own, whole in zip(row["buckets"], row["self"], row["total"], strict=True):
            if bucket in places:
                self_us[places[bucket]], total_us[places[bucket]] = int(own), int(whole)
                others[places[bucket]] -= int(own)
        label = frame(row["function"], row["file"]) if row["file"] else row["function"]
        functions.append(
            HotFunction(
                label=label,
                function=row["function"],
                file=row["file"],
                package=package_of(label),
                kind=kind_of(label),
                self_us=tuple(self_us),
                total_us=tuple(total_us),
            )
        )
    starts_us = spent["starts_us"].to_numpy()
    return Hot(
        step_s=step * span.clock.window_us / 1e6,
        t_s=tuple((starts_us - span.clock.started_us) / 1e6),
        functions=tuple(functions),
        others_us=tuple(max(0, others[place]) for place in range(len(places))),
    )
