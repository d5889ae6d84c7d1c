"""Latency over time: the heat map, percentiles by endpoint, and the requests behind a cell."""

from collections.abc import Mapping
from typing import Any

from clickhouse_connect.driver.client import Client

from analysis.statistics.percentiles import Latencies, longest
from schemas.sketch import GAMMA, latency_us
from views.queries import fetch
from views.ranges import Part
from views.web import queries
from views.web.answers import EndpointLatency, Latency, RequestRow, Requests
from views.web.more_queries import REQUESTS
from views.web.queries import ROW_BUCKETS
from views.web.summed import summed

MOST_BUCKETS = 180
MOST_REQUESTS = 100
_UNDER, _OVER = -1.0, 1e15
"""Microseconds that every latency lies between."""
_QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


def latency(client: Client, part: Part, endpoint: str = "", *, most: int = MOST_BUCKETS) -> Latency:
    """Latency of an endpoint, '' for all together, and the percentiles of each. Blocks; raises StoreError."""
    span = part.span(most)
    asked = {"run": part.clock.run, **span.parameters}
    over_time = fetch(client, queries.ENDPOINT_SERIES.at(span.tier), **asked, endpoint=endpoint)
    buckets = over_time["bucket"].to_pylist()
    place_of = {bucket: place for place, bucket in enumerate(buckets)}
    cells = fetch(client, queries.HEAT.at(span.tier), **asked, endpoint=endpoint).to_pylist()
    rows = [int(cell["latency_row"]) for cell in cells]
    first, last = min(rows, default=0), max(rows, default=-1)
    counts = [[0] * len(buckets) for _ in range(first, last + 1)]
    for row, cell in zip(rows, cells, strict=True):
        counts[row - first][place_of[cell["bucket"]]] = int(cell["requests"])
    sums = summed(client, part.clock.run, span)
    of_endpoints = fetch(client, queries.ENDPOINTS.at(sums.way), run=part.clock.run, **sums.parameters).to_pylist()
    return Latency(
        endpoint=endpoint,
        step_s=span.bucket_us / 1e6,
        t_s=part.times_s(span, buckets),
        first_row=first,
        edges_ms=tuple(_edge_us(row) / 1e3 for row in range(first, last + 2)) if rows else (),
        counts=tuple(map(tuple, counts)),
        p50_ms=tuple(over_time["p50_ms"].to_pylist()),
        p90_ms=tuple(over_time["p90_ms"].to_pylist()),
        p99_ms=tuple(over_time["p99_ms"].to_pylist()),
        p999_ms=tuple(over_time["p999_ms"].to_pylist()),
        endpoints=tuple(_endpoint(row) for row in of_endpoints),
    )


def _endpoint(row: Mapping[str, Any]) -> EndpointLatency:
    """One over the whole range; what was not answered is known from below only."""
    counts = {bucket: int(count) for bucket, count in zip(row["buckets"] or (), row["counts"] or (), strict=True)}
    waited = dict(longest(counts, int(row["unanswered"])))
    latencies = Latencies.of(
        ((latency_us(bucket), count - waited.get(bucket, 0)) for bucket, count in counts.items()),
        ((latency_us(bucket), count) for bucket, count in waited.items()),
    )
    percentiles = {column: latencies.quantile(q) for column, q in _QUANTILES.items()}
    return EndpointLatency(
        endpoint=row["endpoint"],
        completed=int(row["completed"]),
        failed=int(row["failed"]),
        unanswered=int(row["unanswered"]),
        **{column: None if one is None else one.us / 1e3 for column, one in percentiles.items()},
        max_ms=latency_us(max(counts)) / 1e3 if counts else None,
        censored=tuple(column for column, one in percentiles.items() if one and one.censored),
    )


def requests(client: Client, part: Part, endpoint: str, row: int, *, most: int = MOST_REQUESTS) -> Requests:
    """The slowest requests of a range in one row of the heat map (see `Latency`). Blocks; raises StoreError."""
    low_us = _edge_us(row) if row > 0 else _UNDER  # what is under 1 us counts as 1 us
    return _requests(client, part, endpoint, (low_us, _edge_us(row + 1)), most)


def slowest(client: Client, part: Part, *, most: int) -> Requests:
    """The slowest requests of a range, whatever their latency. Blocks; raises StoreError."""
    return _requests(client, part, "", (_UNDER, _OVER), most)


def _requests(client: Client, part: Part, endpoint: str, bounds_us: tuple[float, float], most: int) -> Requests:
    """From the windows, whatever tier the page is of: minutes keep no requests."""
    low_us, high_us = bounds_us
    where = {"run": part.clock.run, "first": part.first, "last": max(part.last, 0)}
    found = fetch(client, REQUESTS, **where, endpoint=endpoint, low_us=low_us, high_us=high_us, most=most).to_pylist()
    return Requests(
        count=int(found[0]["found"]) if found else 0,
        rows=tuple(
            RequestRow(
                t_s=(one["ended_us"] - part.clock.started_us) / 1e6,
                endpoint=one["endpoint"],
                stage=one["stage"],
                latency_ms=one["latency_us"] / 1e3,
                lag_ms=one["dispatch_lag_us"] / 1e3,
                status=one["status"],
                error=one["error"],
            )
            for one in found
        ),
    )


def _edge_us(row: int) -> float:
    """The lower end of a row, which is not in it."""
    return float(GAMMA ** (row * ROW_BUCKETS - 1))
