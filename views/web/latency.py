"""Latency over time: the heat map, percentiles by endpoint, and the requests behind a cell."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import floor

from clickhouse_connect.driver.client import Client

from analysis.percentiles import Latencies, longest
from schemas.sketch import GAMMA, Sketch, latency_us
from views.queries import fetch
from views.ranges import Span
from views.web import texts
from views.web.answers import EndpointLatency, Latency, RequestRow, Requests

MOST_BUCKETS = 180
MOST_REQUESTS = 100
BUCKETS_A_ROW = 6
"""Buckets of the sketch in a row of the heat map: 1.02 ** 6, so that a row is 13% wide."""
_UNDER, _OVER = -1.0, 1e15
"""Microseconds that every latency lies between."""
_QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


def latency(client: Client, span: Span, endpoint: str = "", *, most: int = MOST_BUCKETS) -> Latency:
    """Latency of an endpoint, '' for all together, and the percentiles of each. Blocks; raises StoreError."""
    step = span.step(most)
    rows = fetch(client, texts.LATENCY, **span.parameters, step=step).to_pylist()
    times = sorted({int(row["bucket"]) for row in rows})
    place_of = {bucket: place for place, bucket in enumerate(times)}
    cells: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    sketches: list[Sketch] = []
    of_bucket: dict[int, list[Sketch]] = defaultdict(list)
    for row in rows:
        if endpoint in ("", row["endpoint"]):
            sketch = Sketch(tuple(row["buckets"]), tuple(map(int, row["counts"])))
            sketches.append(sketch)
            of_bucket[int(row["bucket"])].append(sketch)
            for bucket, count in zip(sketch.buckets, sketch.counts, strict=True):
                cells[floor((bucket - 1) / BUCKETS_A_ROW)][place_of[int(row["bucket"])]] += count
    lowest, highest = min(cells, default=0), max(cells, default=-1)
    quantiles = [Sketch.merged(of_bucket[bucket]).quantiles_us(0.5, 0.9, 0.99, 0.999) for bucket in times]
    columns = zip(*quantiles, strict=True) if quantiles else ((), (), (), ())
    p50_ms, p90_ms, p99_ms, p999_ms = (tuple(None if us is None else us / 1e3 for us in one) for one in columns)
    window_us = span.clock.window_us
    return Latency(
        endpoint=endpoint,
        step_s=step * window_us / 1e6,
        t_s=tuple(span.from_s + bucket * step * window_us / 1e6 for bucket in times),
        first_row=lowest,
        edges_ms=tuple(_edge_us(row) / 1e3 for row in range(lowest, highest + 2) if highest >= lowest),
        counts=tuple(
            tuple(cells[row].get(place, 0) for place in range(len(times))) for row in range(lowest, highest + 1)
        ),
        p50_ms=p50_ms,
        p90_ms=p90_ms,
        p99_ms=p99_ms,
        p999_ms=p999_ms,
        endpoints=_endpoints(rows),
    )


def _endpoints(rows: Iterable[Mapping[str, object]]) -> tuple[EndpointLatency, ...]:
    """Each endpoint over the whole range; what was not answered is known from below only."""
    found: dict[str, list[Mapping[str, object]]] = defaultdict(list)
    for row in rows:
        found[str(row["endpoint"])].append(row)
    return tuple(
        _endpoint(name, found[name]) for name in sorted(found, key=lambda name: -_sum(found[name], "completed"))
    )


def _sum(rows: Iterable[Mapping[str, object]], name: str) -> int:
    return sum(int(str(row[name])) for row in rows)


def _endpoint(name: str, rows: list[Mapping[str, object]]) -> EndpointLatency:
    counts: dict[int, int] = defaultdict(int)
    for row in rows:
        buckets, numbers = row["buckets"], row["counts"]
        assert isinstance(buckets, list)
        assert isinstance(numbers, list)
        for bucket, count in zip(buckets, numbers, strict=True):
            counts[bucket] += int(count)
    in_vain = _sum(rows, "unanswered")
    waited = dict(longest(counts, in_vain)) if in_vain else {}
    latencies = Latencies.of(
        ((latency_us(bucket), count - waited.get(bucket, 0)) for bucket, count in counts.items()),
        ((latency_us(bucket), count) for bucket, count in waited.items()),
    )
    percentiles = {column: latencies.quantile(q) for column, q in _QUANTILES.items()}
    return EndpointLatency(
        endpoint=name,
        completed=_sum(rows, "completed"),
        failed=_sum(rows, "failed"),
        unanswered=in_vain,
        **{column: None if one is None else one.us / 1e3 for column, one in percentiles.items()},
        max_ms=latency_us(max(counts)) / 1e3 if counts else None,
        censored=tuple(column for column, one in percentiles.items() if one and one.censored),
    )


def requests(client: Client, span: Span, endpoint: str, row: int, *, most: int = MOST_REQUESTS) -> Requests:
    """The slowest requests of a range in one row of the heat map (see `Latency`). Blocks; raises StoreError."""
    low_us = _edge_us(row) if row >= 0 else _UNDER  # what is under 1 us counts as 1 us
    return _requests(client, span, endpoint, (low_us, _edge_us(row + 1)), most)


def slowest(client: Client, span: Span, *, most: int) -> Requests:
    """The slowest requests of a range, whatever their latency. Blocks; raises StoreError."""
    return _requests(client, span, "", (_UNDER, _OVER), most)


def _requests(client: Client, span: Span, endpoint: str, bounds_us: tuple[float, float], most: int) -> Requests:
    low_us, high_us = bounds_us
    found = fetch(
        client, texts.REQUESTS, **span.parameters, endpoint=endpoint, low_us=low_us, high_us=high_us, most=most
    ).to_pylist()
    return Requests(
        count=int(found[0]["found"]) if found else 0,
        rows=tuple(
            RequestRow(
                t_s=(one["ended_us"] - span.clock.started_us) / 1e6,
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
    return float(GAMMA ** (row * BUCKETS_A_ROW))
