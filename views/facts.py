"""What the store knows of one run, as arrays and records: everything the report is made from but the profile."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from analysis.evidence.blocks import Segment, inside
from analysis.evidence.limits import Ints, Windows
from analysis.statistics.percentiles import Latencies, longest
from schemas.sketch import GAMMA, latency_us
from schemas.thresholds import Threshold, parse_threshold
from sinks.letters import count_dead_letters
from views import queries
from views.runs import unknown_run

_SETTLING_S = 120
_MICROSECOND_COLUMNS = ("p50_us", "p99_us")


@dataclass(frozen=True, slots=True, eq=False)
class EndpointFacts:
    """One endpoint in one segment of the plan; `errors` counts its failed requests by name."""

    label: str
    endpoint: str
    completed: int
    failed: int
    sent_bytes: int
    received_bytes: int
    latencies: Latencies
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class RunFacts:
    """One run. `load` are the positions of the windows during the load, `plan` is the plan as it was read."""

    id: str
    service: str
    target: str
    engine: str
    reason: str
    started_at: datetime
    ended_at: datetime | None
    plan: Mapping[str, Any]
    thresholds: tuple[Threshold, ...]
    segments: tuple[Segment, ...]
    windows: Windows
    late_windows: int
    load: Ints
    endpoints: tuple[EndpointFacts, ...]
    producers: tuple[Mapping[str, Any], ...]
    batches: Mapping[str, Any]
    instances: tuple[Mapping[str, Any], ...]
    send_lag_p99_ms: float | None
    dead_letters: int
    host_cores: int | None = None
    note: str = ""
    engine_reason: str = ""
    is_broken_off: bool = False

    def total(self, name: str) -> int:
        """A total of the load: what the producers said at their end, or the sum of what arrived if they did not."""
        told = [producer[name] for producer in self.producers if producer.get(name) is not None]
        if told:
            return int(sum(told))
        return int(self.batches.get(name, 0) or 0)

    @property
    def in_flight_at_end(self) -> int:
        """Requests under way when the load ended."""
        return self.total("in_flight_at_end")

    def rows_of(self, segment: Segment) -> Ints:
        """See `analysis.evidence.blocks.inside`."""
        return inside(self.windows, segment)


def read_run(client: Client, run: str) -> RunFacts:
    """Read a run. Blocks; raises UnknownRunError, or StoreError when the store does not answer."""
    found = queries.fetch(client, queries.RUN, run=run).to_pylist()
    if not found:
        raise unknown_run(client, run)
    row = found[0]
    plan = json.loads(row["plan"] or "{}")
    over_at = None if row["state"] == "live" else row["heard_at"]
    segments = _segments(queries.fetch(client, queries.STAGES, run=run), over_at)
    table = queries.fetch(client, queries.WINDOWS, run=run)
    windows = _windows(table)
    batches = queries.fetch(client, queries.BATCHES, run=run).to_pylist()[0]
    until_us = _unix_us(over_at or datetime.now(UTC)) + _SETTLING_S * 1_000_000
    started_us = _unix_us(row["started_at"])
    of_nobody = queries.fetch(client, queries.DEAD_LETTERS, from_us=started_us, to_us=until_us)["letters"][0].as_py()
    return RunFacts(
        id=row["run"],
        service=row["service"],
        target=row["target"],
        engine=batches["engine"] or row["engine"],  # the plan may leave the choice to the load
        reason=row["reason"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        plan=plan,
        thresholds=tuple(parse_threshold(text) for text in plan.get("thresholds") or ()),
        segments=segments,
        windows=windows,
        late_windows=table["closed_by"].to_pylist().count("late"),
        load=_during_load(windows, segments),
        endpoints=_endpoints(client, run),
        producers=tuple(queries.fetch(client, queries.PRODUCERS, run=run).to_pylist()),
        batches=batches,
        instances=tuple(queries.fetch(client, queries.INSTANCES, run=run).to_pylist()),
        send_lag_p99_ms=queries.fetch(client, queries.SEND_LAG, run=run)["p99_ms"][0].as_py(),
        dead_letters=count_dead_letters(client, run, started_us).batches + of_nobody,
        host_cores=int(queries.fetch(client, queries.HOST, run=run)["host_cores"][0].as_py()) or None,
        note=row["note"],
        is_broken_off=row["state"] == "broken off",
        engine_reason=row["engine_reason"] if batches["engine"] in ("", row["engine"]) else "",
    )


def _unix_us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def _segments(table: pa.Table, ended_at: datetime | None) -> tuple[Segment, ...]:
    """The plan as it ran: what an aborted run did not come to is cut off."""
    end_us = _unix_us(ended_at) if ended_at else None
    segments = (
        Segment(
            row["label"],
            row["stage"],
            row["form"],
            row["visit"],
            row["starts_us"],
            row["ends_us"] if end_us is None else min(row["ends_us"], end_us),
            row["rate_from_tps"],
            row["rate_to_tps"],
            row["settle_us"] if row["form"] == "level" else row["settle_us"] or None,
            row["role"],
            row["modulate"] > 0,
        )
        for row in table.to_pylist()
    )
    return tuple(segment for segment in segments if segment.ends_us > segment.starts_us)


def _windows(table: pa.Table) -> Windows:
    columns = {}
    for one in fields(Windows):
        column = table[one.name]
        if one.name in _MICROSECOND_COLUMNS:
            columns[one.name] = column.cast(pa.float64()).fill_null(float("nan")).to_numpy()
        else:
            columns[one.name] = column.to_numpy().astype(np.int64)
    return Windows(**columns)


def _during_load(windows: Windows, segments: tuple[Segment, ...]) -> Ints:
    """Whole windows while arrivals were due; by the arrivals themselves where no stage was announced."""
    if not segments:
        return np.flatnonzero(windows.scheduled > 0)
    first, last = min(one.starts_us for one in segments), max(one.ends_us for one in segments)
    return np.flatnonzero((windows.starts_us >= first) & (windows.ends_us <= last))


def _endpoints(client: Client, run: str) -> tuple[EndpointFacts, ...]:
    unanswered: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    errors: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in queries.fetch(client, queries.FAILED, run=run, gamma=GAMMA).to_pylist():
        of = row["stage"], row["endpoint"]
        if row["error"]:
            errors[of][row["error"]] += row["requests"]
        if row["bucket"] is not None:
            unanswered[of][row["bucket"]] += row["requests"]
    found = []
    for row in queries.fetch(client, queries.ENDPOINTS, run=run).to_pylist():
        waited: dict[int, int] = unanswered[row["stage"], row["endpoint"]]
        counts = dict(zip(row["buckets"], row["counts"], strict=True))
        if sum(waited.values()) < row["in_vain"]:
            waited = dict(longest(counts, int(row["in_vain"])))  # the requests have outlived their time in the store
        latencies = Latencies.of(
            ((latency_us(bucket), count - waited.get(bucket, 0)) for bucket, count in counts.items()),
            ((latency_us(bucket), count) for bucket, count in waited.items()),
        )
        found.append(
            EndpointFacts(
                label=row["stage"],
                endpoint=row["endpoint"],
                completed=int(row["completed"]),
                failed=int(row["failed"]),
                sent_bytes=int(row["sent_bytes"]),
                received_bytes=int(row["received_bytes"]),
                latencies=latencies,
                errors=dict(errors[row["stage"], row["endpoint"]].most_common()),
            )
        )
    return tuple(found)
