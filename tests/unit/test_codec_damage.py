"""Whatever the bytes are: DecodeError and nothing else, and nothing is inflated to find out."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.batches import Batch
from schemas.codec import LIMITS, decode, encode
from schemas.errors import DecodeError
from schemas.inflation import HEADER_BYTES
from schemas.rows import STACKS, StackFacts
from tests.support.batches import Request, Sample, request_batch, stack_batch, stack_rows
from tests.support.streams import header, stream, with_column

GOOD = request_batch([Request(latency_us=n, error="timeout" if n % 3 else None) for n in range(200)])
GOOD_BYTES = encode(GOOD.rows, GOOD.facts)


SMALL = stack_batch([Sample(stack=f"main (shop.py);f{n} (shop.py)") for n in range(5)])
SMALL_BYTES = encode(SMALL.rows, SMALL.facts)


def refused_or_a_batch(batch: Batch, bytes_: bytes) -> bool:
    """True when refused. What is let through must be a batch of the schema with the announced rows."""
    try:
        again = decode(batch.header, bytes_)
    except DecodeError:
        return True
    again.rows.validate(full=True)
    assert again.rows.schema.equals(batch.rows.schema, check_metadata=False)
    assert again.rows.num_rows == batch.header.rows
    return False


@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
def test_a_flipped_bit_anywhere_is_a_decode_error_or_harmless(flip: int) -> None:
    refused = 0
    for place in range(len(SMALL_BYTES)):
        damaged = bytearray(SMALL_BYTES)
        damaged[place] ^= flip
        refused += refused_or_a_batch(SMALL, bytes(damaged))
    assert refused > len(SMALL_BYTES) // 4


def test_a_message_cut_short_anywhere_before_its_last_row_is_a_decode_error() -> None:
    end_mark = 8
    for length in range(len(SMALL_BYTES) - end_mark):
        assert refused_or_a_batch(SMALL, SMALL_BYTES[:length]), length


WORDS = st.sampled_from([0, 1, 2, 4, 16, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])


@given(st.lists(st.tuples(st.integers(0, len(GOOD_BYTES) // 4 - 1), WORDS), min_size=1, max_size=4), st.data())
def test_damaged_lengths_and_offsets_are_a_decode_error_or_harmless(
    words: list[tuple[int, int]], data: st.DataObject
) -> None:
    damaged = bytearray(GOOD_BYTES)
    for place, word in words:
        damaged[4 * place : 4 * place + 4] = word.to_bytes(4, "little")
    refused_or_a_batch(GOOD, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    refused_or_a_batch(GOOD, bytes(damaged))


@given(st.binary(max_size=400))
def test_bytes_of_anything_are_a_decode_error(bytes_: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(GOOD.header, bytes_)


@contextmanager
def peak_below(limit_bytes: int) -> Iterator[None]:
    """Arrow may not take more than this meanwhile, not even for a moment."""
    usual = pa.default_memory_pool()
    watched = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(watched)
    try:
        yield
    finally:
        pa.set_memory_pool(usual)
    assert (watched.max_memory() or 0) < limit_bytes


def million_rows() -> bytes:
    """Within every limit on bytes; 21 MB when inflated."""
    rows = stack_rows([Sample(stack="x" * 60_000)] * 4)
    zeros = [0] * 1_000_000
    columns = [pa.array(zeros, STACKS.field(place).type) for place in range(3)]
    columns.append(pa.DictionaryArray.from_arrays(pa.array(zeros, pa.int32()), rows["stack"].dictionary))
    columns.append(pa.DictionaryArray.from_arrays(pa.array(zeros, pa.int8()), rows["mode"].dictionary))
    return stream(pa.RecordBatch.from_arrays(columns, schema=STACKS))


def long_texts() -> bytes:
    """A dictionary of 400 texts of 60,000 letters each: 24 MB when inflated."""
    texts = pa.array([f"{n:04}" + "x" * 60_000 for n in range(400)])
    one = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), texts)
    return stream(with_column(stack_rows([Sample(stack="a")]), "stack", one))


def a_lie(claim: int) -> bytes:
    """A good message in which the claimed size of its compressed texts was changed."""
    zstd = b"\x28\xb5\x2f\xfd"
    size = len(SMALL.rows["stack"].dictionary.buffers()[2]).to_bytes(8, "little")
    assert SMALL_BYTES.count(size + zstd) == 1
    return SMALL_BYTES.replace(size + zstd, claim.to_bytes(8, "little", signed=True) + zstd)


BOMBS = [
    ("a million rows", million_rows(), "declares .* when inflated"),
    ("a dictionary of long texts", long_texts(), "declares .* when inflated"),
    ("a buffer that claims a terabyte", a_lie(1 << 40), "declares .* when inflated"),
    ("a buffer that claims the last byte of all", a_lie(2**63 - 1), "declares .* when inflated"),
    ("a buffer that claims less than it holds", a_lie(3), "Arrow"),
    ("a buffer that claims a negative size", a_lie(-2), "Arrow"),
]


@pytest.mark.parametrize(("what", "bytes_", "said"), BOMBS, ids=[row[0] for row in BOMBS])
def test_a_bomb_is_refused_by_what_it_declares_before_it_is_inflated(what: str, bytes_: bytes, said: str) -> None:
    assert len(bytes_) < LIMITS.message_bytes
    with peak_below(1 << 20), pytest.raises(DecodeError, match=said):
        decode(header(5, "stacks"), bytes_)


def test_a_header_that_describes_more_fields_than_it_has_bytes_is_not_opened() -> None:
    fields = [pa.field("x", pa.struct([pa.field("y", pa.int8())] * 20))] * 200
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema(fields)):
        pass
    bytes_ = sink.getvalue().to_pybytes()
    assert HEADER_BYTES < len(bytes_) < LIMITS.message_bytes
    with pytest.raises(DecodeError, match="message header of"):
        decode(header(0), bytes_)


def test_our_own_headers_are_far_from_that_limit() -> None:
    facts = StackFacts(service="s" * 256, instance="i" * 256, backend="b" * 64, cpu_us=2**52, rss_bytes=2**52)
    for message in pa.ipc.MessageReader.open_stream(encode(SMALL.rows, facts)):
        assert message.metadata.size < HEADER_BYTES / 4
