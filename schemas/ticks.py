"""Ticks: empty batches by which somebody learns the broker's time, and which mean nothing else."""

from functools import cache

import pyarrow as pa

from schemas.batches import BatchHeader, BatchKey, Headers
from schemas.codec import encode
from schemas.rows import RequestFacts, StackFacts, schema_of
from schemas.topics import Bulk


@cache
def tick(kind: Bulk, partitions: int) -> tuple[bytes, Headers]:
    """Value and headers of a tick: a valid batch without rows, so that every subscriber can read it.

    All of a topic are alike and a worker sends dozens a second, so it is made once.
    """
    facts = RequestFacts() if kind == "requests" else StackFacts()
    header = BatchHeader(BatchKey(kind, "", 0, "tick", 0), rows=0, partitions=partitions, tick=True)
    schema = schema_of[kind]
    # Not from a list: Arrow would look for pandas first, which takes a load 0.3 s just before its first arrival.
    nothing = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
    return encode(nothing, facts), header.to_kafka()
