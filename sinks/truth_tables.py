"""Batches to Arrow tables, one per table of the store: pure, so that writing is only writing.

Rows of all batches of a write go into one table; text stays a dictionary, which the store takes as it is. Nothing is
done row by row.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa

from schemas.batches import Batch
from schemas.ordering import order_of
from schemas.rows import REQUESTS, STACKS, RequestFacts, StackFacts
from sinks.coding import coded
from sinks.interning import StackKey, stack_id
from sinks.store import StoredBatch

_FACTS = {name: field.annotation for name, field in (RequestFacts.model_fields | StackFacts.model_fields).items()}

_FEW = ("dispatch_lag_us", "write_lag_us", "latency_us")
"""Numbers of requests of which few differ: they come on a grid (see `schemas.precision`)."""


def requests_table(batches: Sequence[Batch], flushes: Sequence[int]) -> pa.Table:
    """Rows for `requests_stored`, in the order that it keeps; `flushes` are the ids of the batches, one each.

    Those that do not come so are sorted here, a batch at a time: for a fifth of what the store's sorting costs.
    """
    batches, flushes = _in_order(batches, flushes)
    parts = [batch.rows for batch in batches]
    texts = {name: _texts([rows[name] for rows in parts]) for name in ("stage", "endpoint", "error")}
    orders = [
        order_of(stages, endpoints, _times(rows["scheduled_at"]))
        for rows, stages, endpoints in zip(parts, texts["stage"].codes, texts["endpoint"].codes, strict=True)
    ]
    columns: dict[str, pa.Array] = {}
    for field in REQUESTS:
        text = texts.get(field.name)
        values = text.codes if text else [_numbers(rows[field.name]) for rows in parts]
        sorted_values = np.concatenate(
            [part if order is None else part[order] for part, order in zip(values, orders, strict=True)]
        )
        if text:
            columns[field.name] = text.column(sorted_values)
        elif field.name in _FEW:
            columns[field.name] = coded(sorted_values)
        else:
            columns[field.name] = pa.array(sorted_values).view(field.type)
    return _with_origin(columns, frozenset({"error"}), batches, flushes)


def samples_table(batches: Sequence[Batch], flushes: Sequence[int]) -> tuple[pa.Table, dict[StackKey, str]]:
    """Rows for `samples_stored`, and the text of every stack that they refer to."""
    batches, flushes = _in_order(batches, flushes)
    parts = [batch.rows for batch in batches]
    texts: dict[StackKey, str] = {}
    ids = []
    for batch in batches:
        stack = batch.rows["stack"]
        indices = stack.indices.to_numpy()
        used = np.flatnonzero(np.bincount(indices, minlength=len(stack.dictionary)))
        names = stack.dictionary.take(pa.array(used)).to_pylist()
        found = [stack_id(name) for name in names]
        texts.update({(batch.header.key.run_id, one): name for one, name in zip(found, names, strict=True)})
        id_of = np.zeros(len(stack.dictionary), np.uint64)
        id_of[used] = found
        ids.append(id_of[indices])
    modes = _texts([rows["mode"] for rows in parts])
    columns = {
        **{
            name: pa.array(np.concatenate([_numbers(rows[name]) for rows in parts])).view(STACKS.field(name).type)
            for name in ("sampled_at", "weight_us", "thread_id")
        },
        "stack_id": pa.array(np.concatenate(ids)),
        "mode": modes.column(np.concatenate(modes.codes)),
        **{
            name: _per_row([str(getattr(batch.facts, name)) for batch in batches], batches)
            for name in ("service", "instance")
        },
    }
    if any("endpoint" in rows.schema.names for rows in parts):
        columns["endpoint"] = _endpoints(parts)
    return _with_origin(columns, frozenset(), batches, flushes), texts


def _endpoints(parts: Sequence[pa.RecordBatch]) -> pa.DictionaryArray:
    """Of samples of batches, some of which need not have any: '' where none is known."""
    nobody = pa.array([""]).dictionary_encode()
    found = _texts(
        [
            rows["endpoint"].fill_null("") if "endpoint" in rows.schema.names else nobody.take(_zeros(rows.num_rows))
            for rows in parts
        ]
    )
    return found.column(np.concatenate(found.codes))


def _zeros(count: int) -> pa.Array:
    return pa.array(np.zeros(count, np.int32))


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
        "sampled_us": whole_column(_sampled_us(stored.batch) for stored in batches),
    }
    for name, kind in _FACTS.items():
        # A fact that the topic does not know is empty text or 0.
        columns[name] = (
            text_column(one.get(name, "") for one in facts)
            if kind is str
            else whole_column(one.get(name, 0) for one in facts)
        )
    return pa.table(columns)


def _sampled_us(batch: Batch) -> int:
    """The time that all samples on a CPU stand for: what CPU of the process is shared out by. 0 of requests."""
    if batch.header.key.topic == "requests" or not batch.rows.num_rows:
        return 0
    weights_us, modes = _numbers(batch.rows["weight_us"]), batch.rows["mode"]
    on_cpu = np.array([mode == "cpu" for mode in modes.dictionary.to_pylist()])
    return int(weights_us[on_cpu[_numbers(modes.indices)]].sum(dtype=np.uint64))


def text_column(values: Iterable[str]) -> pa.Array:
    """Text."""
    return pa.array(list(values), pa.string())


def whole_column(values: Iterable[int]) -> pa.Array:
    """Whole numbers from 0 to 2**64 - 1."""
    return pa.array(list(values), pa.uint64())


def time_column(times_us: Iterable[int]) -> pa.Array:
    """Microseconds since the Unix epoch, as times."""
    return pa.array(list(times_us), pa.int64()).cast(pa.timestamp("us", tz="UTC"))


def in_order(batches: Iterable[tuple[Batch, int]]) -> list[tuple[Batch, int]]:
    """Batches, each with its flush, as the tables are sorted: by run, window and flush."""
    return sorted(batches, key=lambda one: (one[0].header.key.run_id.encode(), one[0].header.key.window, one[1]))


def _in_order(batches: Sequence[Batch], flushes: Sequence[int]) -> tuple[Sequence[Batch], Sequence[int]]:
    ordered = in_order(zip(batches, flushes, strict=True))
    return [batch for batch, _ in ordered], [flush for _, flush in ordered]


@dataclass(frozen=True, slots=True)
class _Texts:
    """Texts of several batches: the distinct ones in the store's order, and for each row the place of its own; -1 when
    it has none.
    """

    names: list[str]
    codes: list[np.ndarray]

    def column(self, codes: np.ndarray) -> pa.DictionaryArray:
        missing = codes < 0
        indices = pa.array(codes, mask=missing if missing.any() else None)
        return pa.DictionaryArray.from_arrays(indices, text_column(self.names))


def _texts(columns: Sequence[pa.DictionaryArray]) -> _Texts:
    """Arrow allows a text to stand twice in a dictionary, and one that no row has."""
    own = [column.dictionary.to_pylist() for column in columns]
    names = sorted(set(chain.from_iterable(own)), key=str.encode)
    place = {name: at for at, name in enumerate(names)}
    codes = []
    for column, texts in zip(columns, own, strict=True):
        known = np.array([*(place[text] for text in texts), -1], np.int32)
        codes.append(known[_numbers(column.indices.fill_null(len(texts)) if column.null_count else column.indices)])
    return _Texts(names, codes)


def _times(column: pa.Array) -> np.ndarray:
    found: np.ndarray = column.view(pa.int64()).to_numpy()
    return found


def _numbers(column: pa.Array) -> np.ndarray:
    found: np.ndarray = _times(column) if pa.types.is_timestamp(column.type) else column.to_numpy()
    return found


def _with_origin(
    columns: Mapping[str, pa.Array], nullable: frozenset[str], batches: Sequence[Batch], flushes: Sequence[int]
) -> pa.Table:
    counts = [batch.rows.num_rows for batch in batches]
    windows = np.array([batch.header.key.window for batch in batches], np.uint64)
    every = {
        **columns,
        "run": _per_row([batch.header.key.run_id for batch in batches], batches),
        "window": pa.array(np.repeat(windows, counts)),
        "flush": pa.array(np.repeat(np.array(flushes, np.uint64), counts)),
    }
    fields = [pa.field(name, column.type, nullable=name in nullable) for name, column in every.items()]
    return pa.table(list(every.values()), schema=pa.schema(fields))


def _per_row(values: Sequence[str], batches: Sequence[Batch]) -> pa.DictionaryArray:
    """One text per batch, repeated for each of its rows."""
    place = {value: at for at, value in enumerate(dict.fromkeys(values))}
    indices = np.array([place[value] for value in values], np.int32)
    counts = [batch.rows.num_rows for batch in batches]
    return pa.DictionaryArray.from_arrays(pa.array(np.repeat(indices, counts)), text_column(place))
