"""Arrow streams as other writers may send them, good and bad: nothing here is checked."""

import pyarrow as pa

from schemas.batches import BatchHeader, BatchKey
from schemas.topics import Bulk

NO_FACTS = {b"loadflame.facts": b"{}"}


def header(rows: int, topic: Bulk = "requests") -> BatchHeader:
    """A header that announces so many rows."""
    return BatchHeader(BatchKey(topic, "run", 1, "p", 0), rows, 4)


def stream(
    table: pa.RecordBatch,
    *more: pa.RecordBatch,
    metadata: dict[bytes, bytes] | None = None,
    compression: str | None = "zstd",
) -> bytes:
    """Record batches as one stream, with empty facts unless told otherwise."""
    schema = table.schema.with_metadata(NO_FACTS if metadata is None else metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for batch in (table, *more):
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def with_column(table: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    """The same rows with one column put in place of another."""
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), column)
