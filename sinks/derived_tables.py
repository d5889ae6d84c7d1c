"""Joined windows, events and dead letters to Arrow tables, one per table of the store: pure."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import pyarrow as pa

from schemas.events import EventData
from schemas.joined import JoinedEndpoint, JoinedFunction, JoinedWindow
from sinks.store import DeadLetter
from sinks.truth_tables import text_column, time_column, whole_column

SCALARS = tuple(one.name for one in fields(JoinedWindow) if one.name not in ("run_id", "endpoints", "functions"))
"""Fields of JoinedWindow that are columns of `windows`, under the same name."""
_ENDPOINT = tuple(one.name for one in fields(JoinedEndpoint) if one.name != "latency")
_FUNCTION = tuple(one.name for one in fields(JoinedFunction))
_TEXTS = {"closed_by", "stage", "endpoint", "service", "function", "file"}


def windows_table(windows: Sequence[JoinedWindow], flushes: Sequence[int], now_us: int) -> pa.Table:
    """Rows for `windows_stored`: what makes the rows of endpoints and functions written before it visible."""
    latencies = [joined.latency for joined in windows]
    return pa.table(
        {
            **_columns(windows, SCALARS),
            "run": text_column(joined.run_id for joined in windows),
            "flush": whole_column(flushes),
            "starts_at": time_column(joined.window * joined.window_us for joined in windows),
            "joined_at": time_column([now_us] * len(windows)),
            **_sketches(latencies),
        }
    )


def endpoints_table(windows: Sequence[JoinedWindow], flushes: Sequence[int]) -> pa.Table:
    """Rows for `endpoints_stored`."""
    pairs = [(joined, flush, one) for joined, flush in zip(windows, flushes, strict=True) for one in joined.endpoints]
    endpoints = [one for _, _, one in pairs]
    latencies = [one.latency for one in endpoints]
    return pa.table({**_origin(pairs), **_columns(endpoints, _ENDPOINT), **_sketches(latencies)})


def functions_table(windows: Sequence[JoinedWindow], flushes: Sequence[int]) -> pa.Table:
    """Rows for `functions_stored`."""
    pairs = [(joined, flush, one) for joined, flush in zip(windows, flushes, strict=True) for one in joined.functions]
    return pa.table({**_origin(pairs), **_columns([one for _, _, one in pairs], _FUNCTION)})


def events_table(events: Sequence[EventData], times_us: Sequence[int]) -> pa.Table:
    """Rows for `events_stored`."""
    return pa.table(
        {
            "type": text_column(event.type for event in events),
            "run": text_column(event.run_id for event in events),
            "id": text_column(event.event_id() for event in events),
            "time": time_column(times_us),
            "data": text_column(event.model_dump_json() for event in events),
        }
    )


def dead_letters_table(letters: Sequence[DeadLetter]) -> pa.Table:
    """Rows for `dead_letters_stored`."""
    return pa.table(
        {
            "topic": text_column(letter.topic for letter in letters),
            "partition": whole_column(letter.partition for letter in letters),
            "offset": whole_column(letter.offset for letter in letters),
            "received_at": time_column(letter.received_at_us for letter in letters),
            "error": text_column(letter.error for letter in letters),
            "bytes": whole_column(letter.size_bytes for letter in letters),
            "run": text_column(letter.run_id for letter in letters),
            "rows": whole_column(letter.rows for letter in letters),
            "window": whole_column(letter.window for letter in letters),
            "producer": text_column(letter.producer for letter in letters),
            "seq": whole_column(letter.seq for letter in letters),
        }
    )


def _origin(pairs: Sequence[tuple[JoinedWindow, int, Any]]) -> dict[str, pa.Array]:
    return {
        "run": text_column(joined.run_id for joined, _, _ in pairs),
        "window": whole_column(joined.window for joined, _, _ in pairs),
        "flush": whole_column(flush for _, flush, _ in pairs),
        "starts_at": time_column(joined.window * joined.window_us for joined, _, _ in pairs),
    }


def _columns(records: Sequence[Any], names: Sequence[str]) -> dict[str, pa.Array]:
    return {name: (text_column if name in _TEXTS else whole_column)(map(attrgetter(name), records)) for name in names}


def _sketches(latencies: Sequence[Any]) -> dict[str, pa.Array]:
    return {
        "latency_buckets": pa.array([list(one.buckets) for one in latencies], pa.list_(pa.int32())),
        "latency_counts": pa.array([list(one.counts) for one in latencies], pa.list_(pa.uint64())),
    }
