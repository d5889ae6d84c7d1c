"""From the rows of a window to Kafka messages: split at the codec's limits, numbered, marked. Pure."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.batches import BatchHeader, BatchKey, Headers
from schemas.codec import LIMITS, Limits, encode
from schemas.errors import EncodeError
from schemas.inflation import declared_bytes
from schemas.rows import RequestFacts, StackFacts, known_columns
from schemas.topics import Bulk, Topics
from schemas.windows import partition_of

Facts = RequestFacts | StackFacts


@dataclass(frozen=True, slots=True)
class Message:
    """A message as Kafka takes it. `rows` is 0 for events and marks."""

    topic: str
    partition: int | None
    key: bytes | None
    headers: Headers
    value: bytes
    rows: int
    is_batch: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """Rows and facts of a window as they were handed over. `rows_dropped` are already given up, for want of memory."""

    topic: Bulk
    window: int
    rows: pa.RecordBatch
    facts: Facts
    final: bool
    goodbye: bool
    rows_dropped: int = 0

    def __post_init__(self) -> None:
        if known_columns(self.topic, self.rows.schema) != self.rows.num_columns:
            raise ValueError(f"these rows are not of the schema of {self.topic}")

    def without_rows(self) -> "Publication":
        """The same with its rows given up: facts and marks still travel."""
        empty, count = _compact(self.rows.slice(0, 0)), self.rows_dropped + self.rows.num_rows
        return Publication(self.topic, self.window, empty, self.facts, self.final, self.goodbye, count)


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a publication's rows as bytes; None when they cannot travel at all."""

    data: bytes | None
    rows: int


class Messages:
    """Makes the messages of one producer and run, numbering them per topic and window."""

    def __init__(self, topics: Topics, run_id: str, producer_id: str) -> None:
        self._topics = topics
        self._run_id = run_id
        self._producer_id = producer_id
        self._next_seq: defaultdict[tuple[Bulk, int], int] = defaultdict(int)

    def number(self, publication: Publication, parts: list[Part]) -> Iterator[Message | Part]:
        """The messages of a publication in order; a part that cannot travel comes back as it is.

        Lost rows use up a number all the same: the final batch then says that there was one more, so that the loss
        shows in the window.
        """
        at = (publication.topic, publication.window)
        if publication.rows_dropped:
            self._next_seq[at] += 1
            yield Part(None, publication.rows_dropped)
        for index, part in enumerate(parts):
            seq = self._next_seq[at]
            self._next_seq[at] += 1
            if part.data is None:
                yield part
                continue
            last = index == len(parts) - 1
            header = BatchHeader(
                BatchKey(publication.topic, self._run_id, publication.window, self._producer_id, seq),
                part.rows,
                self._topics.partitions,
                final=publication.final and last,
                goodbye=publication.goodbye and last,
            )
            partition = partition_of(self._run_id, publication.window, self._topics.partitions)
            name = self._topics.name(publication.topic)
            yield Message(name, partition, None, header.to_kafka(), part.data, part.rows, is_batch=True)
        if publication.final:
            del self._next_seq[at]


def split(rows: pa.RecordBatch, facts: Facts, limits: Limits = LIMITS) -> list[Part]:
    """Encode rows in as many parts as the codec's limits ask for, in order, at least one.

    The facts go with the first part that can travel; the last part always can, since it carries the marks.
    """
    parts: list[Part] = []
    todo = [rows.slice(start, limits.rows) for start in range(0, max(rows.num_rows, 1), limits.rows)][::-1]
    facts_sent = False
    while todo:
        piece = todo.pop()
        whole = piece.num_rows == rows.num_rows > 0
        data = _encoded(piece if whole else _compact(piece), _rest(facts) if facts_sent else facts, limits)
        if data is None and piece.num_rows > 1:
            half = piece.num_rows // 2
            todo += [piece.slice(half), piece.slice(0, half)]
            continue
        parts.append(Part(data, piece.num_rows))
        facts_sent = facts_sent or data is not None
    if parts[-1].data is None:
        parts.append(Part(encode(_compact(rows.slice(0, 0)), _rest(facts) if facts_sent else facts, limits), 0))
    return parts


def _encoded(rows: pa.RecordBatch, facts: Facts, limits: Limits) -> bytes | None:
    """Bytes that every reader accepts, or None when the rows are too much for one message."""
    if rows.nbytes > limits.inflated_bytes:
        return None
    for column in rows.columns:
        if not pa.types.is_dictionary(column.type):
            continue
        texts = column.dictionary
        longest = pc.max(pc.binary_length(texts)).as_py() or 0
        if len(texts) > limits.dictionary_entries or longest > limits.text_bytes:
            return None
    try:
        data = encode(rows, facts, limits)
    except EncodeError:
        return None
    return data if declared_bytes(data) <= limits.inflated_bytes else None


def _compact(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows with only those dictionary texts that they use: a slice keeps all, and would never fit."""
    columns = [_compact_column(column) if pa.types.is_dictionary(column.type) else column for column in rows.columns]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def _compact_column(column: pa.DictionaryArray) -> pa.DictionaryArray:
    if not len(column.dictionary):
        return column
    indices = column.indices
    used = np.unique(indices.drop_null().to_numpy(zero_copy_only=False))
    place = np.zeros(len(column.dictionary), dtype=np.int64)
    place[used] = np.arange(len(used))
    missing = indices.is_null().to_numpy(zero_copy_only=False)
    packed = place[indices.fill_null(0).to_numpy(zero_copy_only=False)]
    array = pa.array(packed, mask=missing).cast(column.type.index_type)
    return pa.DictionaryArray.from_arrays(array, column.dictionary.take(pa.array(used, pa.int64())))


def _rest(facts: Facts) -> Facts:
    """Facts of a further part: whose it is, and nothing that would be counted twice."""
    if isinstance(facts, RequestFacts):
        return RequestFacts(engine=facts.engine)
    names = ("service", "instance", "pid", "backend", "timing")
    return StackFacts(**{name: getattr(facts, name) for name in names})
