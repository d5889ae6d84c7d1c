"""Batches to bytes and back: an Arrow IPC stream with zstd buffers, read within limits.

The reader checks what a message *declares* before anything is inflated, and raises DecodeError and nothing else.
Format: Apache Arrow columnar format, section "Serialization and Interprocess Communication".
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from schemas.batches import Batch, BatchHeader
from schemas.errors import DecodeError, EncodeError
from schemas.inflation import declared_bytes
from schemas.rows import RequestFacts, StackFacts, known_columns, type_of_facts

TIMES_END_US = 1 << 53
"""Times are below this many microseconds since the Unix epoch (in 2255), as every other figure that travels."""
_FACTS = b"loadflame.facts"
# A batch is deflated and inflated in less time than it takes to hand its columns to other threads.
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
_READ = pa.ipc.IpcReadOptions(use_threads=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one message may hold. Producers split at `message_bytes` and `rows`; readers refuse beyond."""

    message_bytes: int = 512 << 10
    rows: int = 20_000
    inflated_bytes: int = 16 << 20
    dictionary_entries: int = 20_000
    text_bytes: int = 64 << 10
    facts_bytes: int = 4 << 10


LIMITS = Limits()


def encode(rows: pa.RecordBatch, facts: RequestFacts | StackFacts, limits: Limits = LIMITS) -> bytes:
    """Bytes of one message. Raises EncodeError when the rows do not fit one message (split them and call again)."""
    if rows.num_rows > limits.rows:
        raise EncodeError(f"{rows.num_rows} rows do not fit one message of at most {limits.rows}")
    schema = rows.schema.with_metadata({_FACTS: facts.model_dump_json(exclude_defaults=True).encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=_OPTIONS) as writer:
        writer.write_batch(rows.replace_schema_metadata(schema.metadata))
    data: bytes = sink.getvalue().to_pybytes()
    if len(data) > limits.message_bytes:
        raise EncodeError(f"{len(data)} bytes do not fit one message of at most {limits.message_bytes}")
    return data


def decode(header: BatchHeader, data: bytes, limits: Limits = LIMITS) -> Batch:
    """The batch in `data`. Raises DecodeError when it is damaged, of another schema, or beyond the limits."""
    if len(data) > limits.message_bytes:
        raise DecodeError(f"{len(data)} bytes, more than {limits.message_bytes}")
    topic = header.key.topic
    try:
        inflated = declared_bytes(data)
        if inflated > limits.inflated_bytes:
            raise DecodeError(f"declares {inflated} bytes when inflated, more than {limits.inflated_bytes}")
        with pa.ipc.open_stream(data, options=_READ) as reader:
            known = known_columns(topic, reader.schema)
            if known is None:
                raise DecodeError(f"its schema is not that of {topic}: {', '.join(reader.schema.names)[:200]}")
            facts = _facts(topic, reader.schema.metadata or {}, limits)
            rows = reader.read_next_batch()
            if next(iter(reader), None) is not None:
                raise DecodeError("holds more than one record batch")
        if known < rows.num_columns:
            rows = rows.select(range(known))
        rows.validate(full=True)
        _check_sizes(rows, header.rows, limits)
    except (pa.ArrowException, StopIteration, OSError, ValueError, OverflowError) as error:
        raise DecodeError(f"no Arrow stream that can be read: {str(error)[:200]}") from error
    return Batch(header, facts, rows)


def _facts(topic: str, metadata: dict[bytes, bytes], limits: Limits) -> RequestFacts | StackFacts:
    text = metadata.get(_FACTS, b"")
    if len(text) > limits.facts_bytes:
        raise DecodeError(f"facts of {len(text)} bytes, more than {limits.facts_bytes}")
    try:
        return type_of_facts[topic].model_validate_json(text)
    except (ValidationError, RecursionError) as error:
        raise DecodeError(f"its facts are not those of {topic}: {_first(error)}") from error


def _first(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _check_sizes(rows: pa.RecordBatch, announced: int, limits: Limits) -> None:
    if rows.num_rows > limits.rows:
        raise DecodeError(f"{rows.num_rows} rows, more than {limits.rows}")
    if rows.num_rows != announced:
        raise DecodeError(f"{rows.num_rows} rows where its header announces {announced}")
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if column.null_count and not field.nullable:
            raise DecodeError(f"column {field.name} holds nulls")
        if pa.types.is_timestamp(field.type):
            _check_times(field.name, column)
        elif pa.types.is_dictionary(field.type):
            _check_texts(field.name, column.dictionary, limits)


def _check_texts(name: str, texts: pa.Array, limits: Limits) -> None:
    if texts.null_count:
        raise DecodeError(f"column {name} has a null among its texts, where no reader looks for one")
    if len(texts) > limits.dictionary_entries:
        raise DecodeError(f"column {name} has {len(texts)} texts, more than {limits.dictionary_entries}")
    if texts.nbytes > limits.text_bytes:  # else none of them can be
        longest = pc.max(pc.binary_length(texts)).as_py() or 0
        if longest > limits.text_bytes:
            raise DecodeError(f"column {name} has a text of {longest} bytes, more than {limits.text_bytes}")


def _check_times(name: str, times: pa.Array) -> None:
    """A time that the store cannot add to would fail every query that meets its row."""
    us = times.view(pa.int64()).to_numpy()
    if len(us) and not 0 <= us.min() <= us.max() < TIMES_END_US:
        raise DecodeError(f"column {name} holds times before 1970 or after 2255")
