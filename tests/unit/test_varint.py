"""Whole numbers in variable length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.varint import varint

# Sources: the example of protobuf's encoding guide, and the bounds of a byte.
KNOWN = {0: "00", 1: "01", 127: "7f", 128: "80 01", 150: "96 01", 16_383: "ff 7f", 16_384: "80 80 01"}


@pytest.mark.parametrize(("number", "written"), KNOWN.items())
def test_a_number_is_written_as_the_guide_says(number: int, written: str) -> None:
    assert varint(number) == bytes.fromhex(written)


@given(st.integers(0, (1 << 64) - 1))
def test_any_number_comes_back_and_takes_no_byte_too_many(number: int) -> None:
    found = varint(number)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(found)) == number
    assert [byte >> 7 for byte in found] == [1] * (len(found) - 1) + [0]
    assert len(found) == max(1, -(-number.bit_length() // 7))
