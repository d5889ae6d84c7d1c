"""An Arrow table as one block of ClickHouse's format `Native`: columns as they lie in the engine's memory.

The engine reads it with little more than a copy; an Arrow stream it takes apart value by value, at twice the price.
Types are those of the tables where rows are many; elsewhere the engine converts (a UInt64 to a UInt32, say).
Sources: ClickHouse's documentation of `Native`, and for LowCardinality its SerializationLowCardinality: a version, a
word of flags with the width of the codes, the texts, the codes.
"""

import struct
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.varint import varint

Buffer = bytes | NDArray[Any]
_SHARED, _OWN_TEXTS = 1, 0x600
"""The only version there is; and of the flags: here come texts, and they are all that the codes mean."""
_NUMBERS = {
    pa.bool_(): "Bool",
    pa.int32(): "Int32",
    pa.uint16(): "UInt16",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.date32(): "Date32",
    pa.timestamp("us", tz="UTC"): "DateTime64(6, 'UTC')",
}
_VIEWS = {pa.date32(): pa.int32(), pa.timestamp("us", tz="UTC"): pa.int64()}


def block(table: pa.Table) -> Generator[bytes, None, None]:
    """The block, one of all rows, a column at a time: all of it at once would be as large as the table. Of a
    dictionary column `field.nullable` says whether the store's column is.
    """
    yield varint(table.num_columns) + varint(table.num_rows)
    for field in table.schema:
        kind, values = _column(field, _one(table[field.name]))
        yield _text(field.name) + _text(kind)
        yield from (part if isinstance(part, bytes) else part.tobytes() for part in values)


def _one(column: pa.ChunkedArray) -> pa.Array:
    """Dictionaries of several chunks may differ: whoever makes many rows makes one chunk of them."""
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _column(field: pa.Field, values: pa.Array) -> tuple[str, Sequence[Buffer]]:
    """The store's type and the bytes of the values."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        known = "String" if pa.types.is_string(kind.value_type) else _NUMBERS[kind.value_type]
        known = f"Nullable({known})" if field.nullable else known
        return f"LowCardinality({known})", _codes(values, nullable=field.nullable)
    if pa.types.is_list(kind):
        inner, flat = _column(kind.value_field, values.flatten())
        return f"Array({inner})", (values.offsets.to_numpy()[1:].astype(np.uint64), *flat)
    if pa.types.is_string(kind):
        return "String", [b"".join(map(_text, values.to_pylist()))]
    return _NUMBERS[kind], [_plain(values)]


def _plain(values: pa.Array) -> np.ndarray:
    """Numbers; nulls there are none."""
    if pa.types.is_boolean(values.type):
        return np.asarray(values.to_numpy(zero_copy_only=False), np.uint8)
    found: np.ndarray = values.view(_VIEWS.get(values.type, values.type)).to_numpy()
    return found


def _codes(values: pa.DictionaryArray, *, nullable: bool) -> Sequence[Buffer]:
    known, codes = _known(values.dictionary, nullable=nullable), values.indices
    count = len(values.dictionary) + nullable
    width = next(at for at, most in enumerate((1 << 8, 1 << 16, 1 << 32)) if count <= most)
    head = struct.pack("<QQQ", _SHARED, _OWN_TEXTS | width, count)
    places: np.ndarray = codes.cast(pa.int32()).fill_null(-1).to_numpy() + 1 if nullable else codes.to_numpy()
    narrow = places.astype((np.uint8, np.uint16, np.uint32)[width], copy=False)
    return head, known, struct.pack("<Q", len(codes)), narrow


def _known(dictionary: pa.Array, *, nullable: bool) -> bytes:
    """What the codes mean; where some may be missing the first stands for null."""
    if pa.types.is_string(dictionary.type):
        return b"".join(map(_text, [""] * nullable + dictionary.to_pylist()))
    assert not nullable, "no number of ours may be missing"
    return _plain(dictionary).tobytes()


def _text(text: str) -> bytes:
    data = text.encode()
    return varint(len(data)) + data
