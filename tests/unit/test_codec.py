"""Batches to bytes and back; and whatever the bytes are, DecodeError and nothing else."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.batches import Batch, BatchHeader, BatchKey
from schemas.codec import LIMITS, Limits, decode, encode
from schemas.errors import DecodeError, EncodeError
from schemas.inflation import declared_bytes
from schemas.rows import REQUESTS, STACKS, RequestFacts
from tests.support.batches import Request, Sample, request_batch, request_rows, stack_batch, stack_rows

requests = st.builds(
    Request,
    scheduled_at=st.integers(0, 2**50),
    dispatch_lag_us=st.integers(0, 2**32 - 1),
    write_lag_us=st.integers(0, 2**32 - 1),
    latency_us=st.integers(0, 2**32 - 1),
    status=st.integers(0, 999),
    error=st.none() | st.sampled_from(["timeout", "refused", "http 500"]),
    endpoint=st.text(st.characters(codec="utf-8"), max_size=20),
    bytes_sent=st.integers(0, 2**40),
    bytes_received=st.integers(0, 2**40),
    stage=st.sampled_from(["hold", "map[1]"]),
)
samples = st.builds(
    Sample,
    stack=st.text(st.characters(codec="utf-8"), max_size=40),
    sampled_at=st.integers(0, 2**50),
    weight_us=st.integers(0, 2**32 - 1),
    thread_id=st.integers(0, 2**63 - 1),
    mode=st.sampled_from(["cpu", "wall"]),
)


def sent(batch: Batch) -> bytes:
    return encode(batch.rows, batch.facts)


@given(st.lists(requests, max_size=20), st.integers(0, 2**40))
def test_requests_come_back_as_they_were(rows: list[Request], scheduled: int) -> None:
    batch = request_batch(rows, facts=RequestFacts(engine="aiohttp", scheduled=scheduled))
    again = decode(batch.header, sent(batch))
    assert again.facts == batch.facts
    assert again.rows.to_pylist() == batch.rows.to_pylist()


@given(st.lists(samples, max_size=20))
def test_stacks_come_back_as_they_were(rows: list[Sample]) -> None:
    batch = stack_batch(rows)
    again = decode(batch.header, sent(batch))
    assert again.facts == batch.facts
    assert again.rows.to_pylist() == batch.rows.to_pylist()


GOOD = request_batch([Request(latency_us=n, error="timeout" if n % 3 else None) for n in range(200)])
GOOD_BYTES = sent(GOOD)


@given(st.data())
def test_damaged_bytes_are_a_decode_error_or_still_a_batch_of_the_schema_and_never_anything_else(
    data: st.DataObject,
) -> None:
    damaged = bytearray(GOOD_BYTES)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for bytes_ in (bytes(damaged), bytes(damaged[:cut])):
        try:
            batch = decode(GOOD.header, bytes_)
        except DecodeError:
            continue
        assert batch.rows.schema.equals(REQUESTS, check_metadata=False)
        assert batch.rows.num_rows == GOOD.header.rows


@given(st.binary(max_size=400))
def test_bytes_of_anything_are_a_decode_error(bytes_: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(GOOD.header, bytes_)


def stream(table: pa.RecordBatch, *more: pa.RecordBatch, metadata: dict[bytes, bytes] | None = None) -> bytes:
    schema = table.schema.with_metadata(metadata or {b"loadflame.facts": b"{}"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for batch in (table, *more):
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    return sink.getvalue().to_pybytes()


def header(rows: int, topic: str = "requests") -> BatchHeader:
    return BatchHeader(BatchKey(topic, "run", 1, "p", 0), rows, 4)


ROWS = request_rows([Request()] * 3)
REFUSED = [
    ("another schema", header(3), stream(ROWS.drop_columns(["status"])), "schema"),
    ("the other topic's schema", header(3, "stacks"), stream(ROWS), "schema"),
    ("more rows than announced", header(2), stream(ROWS), "announces 2"),
    ("two record batches", header(3), stream(ROWS, ROWS), "more than one"),
    ("no record batch", header(0), stream(ROWS)[: stream(ROWS).index(b"\x00" * 8)], "Arrow"),
    ("facts that are no JSON", header(3), stream(ROWS, metadata={b"loadflame.facts": b"{"}), "facts"),
    ("no facts", header(3), stream(ROWS, metadata={b"x": b"y"}), "facts"),
    ("facts of another topic", header(3), stream(ROWS, metadata={b"loadflame.facts": b'{"pid":1}'}), "facts"),
    ("negative facts", header(3), stream(ROWS, metadata={b"loadflame.facts": b'{"sent":-1}'}), "facts"),
    ("facts too long", header(3), stream(ROWS, metadata={b"loadflame.facts": b" " * 5000}), "facts of 5000"),
]


@pytest.mark.parametrize(("what", "head", "bytes_", "said"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_message_of_another_form_is_refused_and_says_why(
    what: str, head: BatchHeader, bytes_: bytes, said: str
) -> None:
    with pytest.raises(DecodeError, match=said):
        decode(head, bytes_)


def test_a_null_where_none_may_be_is_refused() -> None:
    loose = pa.schema([field.with_nullable(True) for field in REQUESTS])
    rows = pa.RecordBatch.from_pylist([dict.fromkeys(REQUESTS.names)], schema=loose)
    with pytest.raises(DecodeError):
        decode(header(1), stream(rows))


def test_a_bomb_is_refused_by_what_it_declares_before_it_is_inflated() -> None:
    rows = stack_rows([Sample(stack="x" * 60_000)] * 4)
    big = pa.RecordBatch.from_arrays(
        [
            *[pa.array([0] * 1_000_000, STACKS.field(place).type) for place in range(3)],
            pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), rows["stack"].dictionary),
            pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int8()), rows["mode"].dictionary),
        ],
        schema=STACKS,
    )
    bytes_ = stream(big)
    assert len(bytes_) < 50_000
    assert declared_bytes(bytes_) > 20_000_000
    before = pa.total_allocated_bytes()
    with pytest.raises(DecodeError, match=r"declares .* when inflated"):
        decode(header(1_000_000, "stacks"), bytes_)
    assert pa.total_allocated_bytes() - before < 1 << 20


def test_what_does_not_fit_one_message_is_refused_on_both_sides() -> None:
    small = Limits(rows=2, message_bytes=1 << 20, text_bytes=10, dictionary_entries=1)
    with pytest.raises(EncodeError, match="3 rows"):
        encode(ROWS, RequestFacts(), small)
    with pytest.raises(EncodeError, match="bytes do not fit"):
        encode(ROWS, RequestFacts(), Limits(message_bytes=100))
    with pytest.raises(DecodeError, match="3 rows, more than 2"):
        decode(header(3), stream(ROWS), small)
    long = request_rows([Request(endpoint="e" * 11)])
    with pytest.raises(DecodeError, match="text of 11 bytes"):
        decode(header(1), stream(long), small)
    many = request_rows([Request(endpoint="a"), Request(endpoint="b")])
    with pytest.raises(DecodeError, match="2 texts"):
        decode(header(2), stream(many), small)
    with pytest.raises(DecodeError, match="bytes, more than"):
        decode(header(3), b"x" * (LIMITS.message_bytes + 1))
