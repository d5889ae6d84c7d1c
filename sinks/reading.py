"""Reading the store back as the records that went in."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from schemas.batches import Batch, BatchHeader, BatchKey
from schemas.events import EVENT_OF_TYPE, EventData
from schemas.joined import JoinedEndpoint, JoinedFunction, JoinedWindow
from schemas.rows import optional_of, schema_of, type_of_facts
from schemas.sketch import Sketch
from sinks.derived_tables import SCALARS
from sinks.errors import RowsGoneError, store_errors
from sinks.store import Coverage, WindowBatches

_SOME = "run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}"
_STORED = {"requests": "requests_stored", "stacks": "samples_stored"}
_Parameters = dict[str, Any]


def read_window(client: Client, run_id: str, window: int) -> WindowBatches:
    """See `Store.read_window`."""
    return read_windows(client, run_id, window, window).get(window) or WindowBatches([], [])


def read_windows(client: Client, run_id: str, first: int, last: int) -> dict[int, WindowBatches]:
    """The visible truth of the windows from `first` to `last`; those without a batch are left out.

    Raises RowsGoneError when a batch of any of them cannot be read back.
    """
    some: _Parameters = {"run": run_id, "first": first, "last": last}
    with store_errors("read windows"):
        try:
            return _read_windows(client, some)
        except RowsGoneError:
            # A batch may have been stored once more, and its older rows swept, between two of the queries.
            return _read_windows(client, some)


def _read_windows(client: Client, some: _Parameters) -> dict[int, WindowBatches]:
    found: dict[int, WindowBatches] = {}
    for topic in _STORED:
        query = f"SELECT * FROM batches WHERE topic = {{topic:String}} AND {_SOME} ORDER BY window, producer, seq"
        named = list(client.query(query, {"topic": topic, **some}).named_results())
        rows = _rows_by_flush(client, topic, some) if any(row["rows"] for row in named) else {}
        for row in named:
            batches = found.setdefault(row["window"], WindowBatches([], []))
            (batches.requests if topic == "requests" else batches.stacks).append(_batch(row, rows))
    return found


def _rows_by_flush(client: Client, topic: str, some: _Parameters) -> dict[int, pa.RecordBatch]:
    """All rows of some windows, visible or not, by the flush that brought them."""
    schema = schema_of[topic]
    names = ["stack_id" if name == "stack" else name for name in schema.names]
    names += [field.name for field in optional_of[topic]]
    query = f"SELECT flush, {', '.join(names)} FROM {_STORED[topic]} WHERE {_SOME} ORDER BY flush"
    rows = client.query_arrow(query, some, use_strings=True).combine_chunks()
    if "stack_id" in names:
        rows = _with_stacks(client, rows, some)
    flushes, starts = np.unique(rows["flush"].to_numpy(), return_index=True)
    bounds = pairwise([*starts.tolist(), rows.num_rows])
    return {
        flush: _typed(rows.slice(start, end - start), schema, optional_of[topic])
        for flush, (start, end) in zip(flushes.tolist(), bounds, strict=True)
    }


def _with_stacks(client: Client, rows: pa.Table, some: _Parameters) -> pa.Table:
    texts = client.query_arrow(
        "SELECT stack_id, any(stack) AS stack FROM stacks_stored WHERE run = {run:String} AND stack_id IN "
        f"(SELECT stack_id FROM samples_stored WHERE {_SOME}) GROUP BY stack_id",
        some,
        use_strings=True,
    ).combine_chunks()
    places = pc.index_in(rows["stack_id"], texts["stack_id"])
    if places.null_count:
        raise _gone(some["run"], some["first"], "texts of its stacks")
    return rows.append_column("stack", texts["stack"].take(places))


def _typed(rows: pa.Table, schema: pa.Schema, optional: Iterable[pa.Field]) -> pa.RecordBatch:
    """Rows in the types in which they travel; each batch has its own, small dictionaries again.

    Of optional columns, which are text, those that say something: what is empty was not there.
    """
    arrays = []
    for field in optional:
        text = rows[field.name].cast(pa.string())
        told = pc.not_equal(text, "")
        if pc.any(told).as_py():
            schema = schema.append(field)
            rows = rows.set_column(rows.schema.get_field_index(field.name), field.name, pc.if_else(told, text, None))
    for field in schema:
        column = rows[field.name]
        if pa.types.is_dictionary(field.type):
            column = column.cast(pa.string()).dictionary_encode()
        arrays.append(pa.concat_arrays(column.cast(field.type).chunks))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _batch(row: Mapping[str, Any], rows: Mapping[int, pa.RecordBatch]) -> Batch:
    topic = row["topic"]
    key = BatchKey(topic, row["run"], row["window"], row["producer"], row["seq"])
    header = BatchHeader(key, row["rows"], row["partitions"], row["final"], row["goodbye"])
    found = rows[row["flush"]] if row["flush"] in rows else pa.RecordBatch.from_pylist([], schema_of[topic])
    if found.num_rows != header.rows:
        raise _gone(key.run_id, key.window, f"{header.rows - found.num_rows} rows of a batch")
    model = type_of_facts[topic]
    return Batch(header, model(**{name: row[name] for name in model.model_fields}), found)


def _gone(run_id: str, window: int, what: str) -> RowsGoneError:
    return RowsGoneError(
        f"window {window} of run {run_id} cannot be read back: {what} have outlived their time in the store"
    )


def read_joined(client: Client, run_id: str, window: int) -> JoinedWindow | None:
    """See `Store.read_joined`."""
    return read_joined_windows(client, run_id, window, window).get(window)


def read_joined_windows(client: Client, run_id: str, first: int, last: int) -> dict[int, JoinedWindow]:
    """The visible joined windows from `first` to `last`."""
    some: _Parameters = {"run": run_id, "first": first, "last": last}
    with store_errors("read joined windows"):
        records = list(client.query(f"SELECT * FROM windows_stored FINAL WHERE {_SOME}", some).named_results())
        # The rows are asked for by the flushes of the records, so that both are of one state.
        some["flushes"] = [row["flush"] for row in records]
        named = f"{_SOME} AND flush IN {{flushes:Array(UInt64)}}"
        endpoints = client.query(f"SELECT * FROM endpoints_stored WHERE {named} ORDER BY stage, endpoint", some)
        functions = client.query(f"SELECT * FROM functions_stored WHERE {named} ORDER BY service, function, file", some)
    endpoints_of, functions_of = _by_flush(endpoints.named_results()), _by_flush(functions.named_results())
    return {
        row["window"]: JoinedWindow(
            run_id=run_id,
            **{name: row[name] for name in SCALARS},
            endpoints=tuple(_endpoints(endpoints_of[row["flush"]])),
            functions=tuple(_functions(functions_of[row["flush"]])),
        )
        for row in records
    }


def _by_flush(rows: Iterable[Mapping[str, Any]]) -> Mapping[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["flush"]].append(row)
    return found


def _endpoints(rows: Iterable[Mapping[str, Any]]) -> Iterable[JoinedEndpoint]:
    for row in rows:
        yield JoinedEndpoint(
            stage=row["stage"],
            endpoint=row["endpoint"],
            completed=row["completed"],
            failed=row["failed"],
            unanswered=row["unanswered"],
            bytes_sent=row["bytes_sent"],
            bytes_received=row["bytes_received"],
            latency=Sketch(tuple(row["latency_buckets"]), tuple(row["latency_counts"])),
        )


def _functions(rows: Iterable[Mapping[str, Any]]) -> Iterable[JoinedFunction]:
    for row in rows:
        yield JoinedFunction(
            service=row["service"],
            function=row["function"],
            file=row["file"],
            self_samples=row["self_samples"],
            total_samples=row["total_samples"],
            self_cpu_us=row["self_cpu_us"],
            total_cpu_us=row["total_cpu_us"],
        )


def read_coverage(client: Client, run_id: str) -> dict[int, Coverage]:
    """See `Store.read_coverage`."""
    query = (
        "SELECT window, visible, covered FROM "
        "(SELECT window, count() AS visible FROM batches WHERE run = {run:String} GROUP BY window) AS truth LEFT JOIN "
        "(SELECT window, batches_covered AS covered FROM windows WHERE run = {run:String}) AS derived USING window"
    )
    with store_errors("count batches by window"):
        rows = client.query(query, {"run": run_id}).result_rows
    return {int(window): Coverage(int(visible), int(covered)) for window, visible, covered in rows}


def count_visible(client: Client, run_id: str, windows: Sequence[int]) -> dict[int, int]:
    """See `Store.count_visible`.

    Asked with every flush, so of the table itself and by its order: a third of the price of the view.
    """
    query = (
        "SELECT window, uniqExact(topic, producer, seq) FROM batches_stored WHERE topic IN {topics:Array(String)} "
        "AND run = {run:String} AND window IN {windows:Array(UInt64)} GROUP BY window"
    )
    parameters = {"topics": list(_STORED), "run": run_id, "windows": list(windows)}
    with store_errors("count batches by window"):
        rows = client.query(query, parameters).result_rows
    return {int(window): int(visible) for window, visible in rows}


def read_events(client: Client, run_id: str) -> list[EventData]:
    """See `Store.read_events`; events of types that this version does not know are passed over."""
    with store_errors("read events"):
        rows = client.query(
            "SELECT type, data FROM events_stored FINAL WHERE run = {run:String} ORDER BY time, id", {"run": run_id}
        ).result_rows
    return [EVENT_OF_TYPE[kind].model_validate_json(data) for kind, data in rows if kind in EVENT_OF_TYPE]


def count_batches(client: Client, run_id: str) -> dict[str, int]:
    """See `Store.count_batches`."""
    with store_errors("count batches"):
        query = "SELECT producer, count() FROM batches WHERE run = {run:String} GROUP BY producer"
        return {row[0]: int(row[1]) for row in client.query(query, {"run": run_id}).result_rows}
