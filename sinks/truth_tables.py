"""Batches to Arrow tables, one per table of the store: pure, so that writing is only writing.

Rows of all batches of a write go into one table; text stays a dictionary, which the store takes as it is.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.batches import Batch
from schemas.rows import RequestFacts, StackFacts
from sinks.interning import StackKey, stack_id
from sinks.store import StoredBatch

_FACTS = {name: field.annotation for name, field in (RequestFacts.model_fields | StackFacts.model_fields).items()}


def requests_table(batches: Sequence[Batch], flushes: Sequence[int]) -> pa.Table:
    """Rows for `requests_stored`; `flushes` are the ids of the batches, one each."""
    table = pa.Table.from_batches([_wide(batch.rows) for batch in batches])
    return _with_origin(table, batches, flushes)


def samples_table(batches: Sequence[Batch], flushes: Sequence[int]) -> tuple[pa.Table, dict[StackKey, str]]:
    """Rows for `samples_stored`, and the text of every stack that they refer to."""
    parts: list[pa.RecordBatch] = []
    texts: dict[StackKey, str] = {}
    for batch in batches:
        stack = batch.rows["stack"]
        used = pc.unique(stack.indices).to_numpy()
        names = stack.dictionary.take(used).to_pylist()
        found = [stack_id(name) for name in names]
        texts.update({(batch.header.key.run_id, one): name for one, name in zip(found, names, strict=True)})
        id_of = np.zeros(len(stack.dictionary), np.uint64)
        id_of[used] = found
        at = batch.rows.schema.get_field_index("stack")
        parts.append(_wide(batch.rows.set_column(at, "stack_id", pa.array(id_of[stack.indices.to_numpy()]))))
    table = _with_origin(pa.Table.from_batches(parts), batches, flushes)
    for name in ("service", "instance"):
        table = table.append_column(name, _per_row([str(getattr(batch.facts, name)) for batch in batches], batches))
    return table, texts


def stacks_table(texts: Mapping[StackKey, str], day: int) -> pa.Table:
    """Rows for `stacks_stored`; `day` counts from the epoch."""
    return pa.table(
        {
            "run": text_column(run for run, _ in texts),
            "stack_id": whole_column(one for _, one in texts),
            "stack": text_column(texts.values()),
            "seen_on": pa.array([day] * len(texts), pa.int32()).cast(pa.date32()),
        }
    )


def batches_table(batches: Sequence[StoredBatch], flushes: Sequence[int], now_us: int) -> pa.Table:
    """Rows for `batches_stored`: what makes the rows written before it visible."""
    headers = [stored.batch.header for stored in batches]
    facts = [stored.batch.facts.model_dump() for stored in batches]
    columns = {
        "topic": text_column(header.key.topic for header in headers),
        "run": text_column(header.key.run_id for header in headers),
        "window": whole_column(header.key.window for header in headers),
        "producer": text_column(header.key.producer_id for header in headers),
        "seq": whole_column(header.key.seq for header in headers),
        "flush": whole_column(flushes),
        "rows": whole_column(header.rows for header in headers),
        "final": pa.array([header.final for header in headers], pa.bool_()),
        "goodbye": pa.array([header.goodbye for header in headers], pa.bool_()),
        "partitions": whole_column(header.partitions for header in headers),
        "partition": whole_column(stored.partition for stored in batches),
        "offset": whole_column(stored.offset for stored in batches),
        "stored_at": time_column([now_us] * len(batches)),
    }
    for name, kind in _FACTS.items():
        # A fact that the topic does not know is empty text or 0.
        columns[name] = (
            text_column(one.get(name, "") for one in facts)
            if kind is str
            else whole_column(one.get(name, 0) for one in facts)
        )
    return pa.table(columns)


def text_column(values: Iterable[str]) -> pa.Array:
    """Text."""
    return pa.array(list(values), pa.string())


def whole_column(values: Iterable[int]) -> pa.Array:
    """Whole numbers from 0 to 2**64 - 1."""
    return pa.array(list(values), pa.uint64())


def time_column(times_us: Iterable[int]) -> pa.Array:
    """Microseconds since the Unix epoch, as times."""
    return pa.array(list(times_us), pa.int64()).cast(pa.timestamp("us", tz="UTC"))


def _wide(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Dictionary columns with 32-bit indices: the texts of many batches together may be too many for their own."""
    columns = [_wide_column(column) if pa.types.is_dictionary(column.type) else column for column in rows.columns]
    return pa.RecordBatch.from_arrays(columns, names=rows.schema.names)


def _wide_column(column: pa.DictionaryArray) -> pa.DictionaryArray:
    if pc.count_distinct(column.dictionary).as_py() < len(column.dictionary):
        # Arrow allows a text to stand twice in a dictionary; ClickHouse refuses it, at every new attempt.
        return column.cast(pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), column.dictionary)


def _with_origin(table: pa.Table, batches: Sequence[Batch], flushes: Sequence[int]) -> pa.Table:
    counts = [batch.rows.num_rows for batch in batches]
    windows = np.array([batch.header.key.window for batch in batches], np.uint64)
    return (
        table.unify_dictionaries()
        .combine_chunks()
        .append_column("run", _per_row([batch.header.key.run_id for batch in batches], batches))
        .append_column("window", pa.array(np.repeat(windows, counts)))
        .append_column("flush", pa.array(np.repeat(np.array(flushes, np.uint64), counts)))
    )


def _per_row(values: Sequence[str], batches: Sequence[Batch]) -> pa.DictionaryArray:
    """One text per batch, repeated for each of its rows."""
    place = {value: at for at, value in enumerate(dict.fromkeys(values))}
    indices = np.array([place[value] for value in values], np.int32)
    counts = [batch.rows.num_rows for batch in batches]
    return pa.DictionaryArray.from_arrays(pa.array(np.repeat(indices, counts)), text_column(place))
