"""Batches to bytes and back, and which messages are refused for what."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.batches import Batch, BatchHeader
from schemas.codec import LIMITS, TIMES_END_US, Limits, decode, encode
from schemas.errors import DecodeError, EncodeError
from schemas.rows import REQUESTS, RequestFacts
from tests.support.batches import Request, Sample, request_batch, request_rows, stack_batch, stack_rows
from tests.support.streams import header, stream, with_column

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
    endpoint=st.none() | st.sampled_from(["GET /", "checkout"]),
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


def test_a_column_that_a_newer_writer_has_put_behind_the_others_is_passed_over() -> None:
    for rows in (stack_rows([Sample("main")]), stack_rows([Sample("main", endpoint="GET /")])):
        newer = rows.append_column("mood", pa.array(["calm"]))
        again = decode(header(1, "stacks"), stream(newer))
        assert again.rows.to_pylist() == rows.to_pylist()


def test_a_column_that_may_be_there_must_be_of_its_type() -> None:
    bent = stack_rows([Sample("main")]).append_column("endpoint", pa.array([7]))
    with pytest.raises(DecodeError, match="schema"):
        decode(header(1, "stacks"), stream(bent))


def test_where_no_endpoint_is_known_what_travels_is_what_always_did() -> None:
    assert stack_rows([Sample("main")]).schema.names == ["sampled_at", "weight_us", "thread_id", "stack", "mode"]


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


def broken_stacks(indices: list[int | None], texts: pa.Array) -> bytes:
    """A stacks message of one mended column: its dictionary and indices, unchecked."""
    good = stack_rows([Sample(stack="a")] * len(indices))
    broken = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), texts, safe=False)
    return stream(with_column(good, "stack", broken))


not_utf8 = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\x02\0\0\0"), pa.py_buffer(b"\xff\xfe")])
ROW_FAULTS = [
    ("an index beyond the texts", [7], pa.array(["a"])),
    ("a negative index", [-1], pa.array(["a"])),
    ("text that is not UTF-8", [0], not_utf8),
    ("a null among the texts", [0, 1], pa.array(["a", None])),
    ("a null among the rows", [0, None], pa.array(["a"])),
]


@pytest.mark.parametrize(("what", "indices", "texts"), ROW_FAULTS, ids=[row[0] for row in ROW_FAULTS])
def test_rows_that_no_reader_could_use_are_refused(what: str, indices: list[int | None], texts: pa.Array) -> None:
    with pytest.raises(DecodeError):
        decode(header(len(indices), "stacks"), broken_stacks(indices, texts))


@pytest.mark.parametrize("time_us", [-1, -(2**63), TIMES_END_US, 2**63 - 1])
def test_a_time_that_the_store_could_not_add_to_is_refused(time_us: int) -> None:
    with pytest.raises(DecodeError, match="scheduled_at holds times"):
        decode(header(1), stream(request_rows([Request(scheduled_at=time_us)])))
    with pytest.raises(DecodeError, match="sampled_at holds times"):
        decode(header(1, "stacks"), stream(stack_rows([Sample(stack="a", sampled_at=time_us)])))


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_a_writer_in_another_language_may_compress_its_buffers_as_it_likes(compression: str | None) -> None:
    batch = decode(header(3), stream(ROWS, compression=compression))
    assert batch.rows.to_pylist() == ROWS.to_pylist()


def test_a_null_where_none_may_be_is_refused() -> None:
    loose = pa.schema([field.with_nullable(True) for field in REQUESTS])
    rows = pa.RecordBatch.from_pylist([dict.fromkeys(REQUESTS.names)], schema=loose)
    with pytest.raises(DecodeError):
        decode(header(1), stream(rows))


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
