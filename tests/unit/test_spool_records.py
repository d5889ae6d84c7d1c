"""A file of records is read back as it was written, up to where it is whole, and never otherwise."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.publisher.messages import Message
from producers.publisher.spool_records import MOST_BYTES, DamagedRecordError, read_record, to_record
from tests.support.spools import MESSAGES, batch, event


def read_all(data: bytes) -> tuple[list[Message], bool]:
    """What can be read, and whether it ended well."""
    file, found = io.BufferedReader(io.BytesIO(data)), []
    try:
        while (message := read_record(file)) is not None:
            found.append(message)
    except DamagedRecordError:
        return found, False
    return found, True


@given(st.lists(MESSAGES, max_size=5))
def test_every_message_comes_back_as_it_was(messages):
    assert read_all(b"".join(map(to_record, messages))) == (messages, True)


@given(st.lists(MESSAGES, min_size=1, max_size=3), st.data())
def test_a_torn_tail_costs_the_record_that_it_tore_and_no_other(messages, data):
    records = [to_record(message) for message in messages]
    whole, last = b"".join(records[:-1]), records[-1]
    cut = data.draw(st.integers(1, len(last) - 1))
    assert read_all(whole + last[:cut]) == (messages[:-1], False)


@given(st.lists(MESSAGES, min_size=1, max_size=3), st.data())
def test_a_changed_bit_gives_no_message_that_nobody_wrote(messages, data):
    file = bytearray(b"".join(map(to_record, messages)))
    file[data.draw(st.integers(0, len(file) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found, ended_well = read_all(bytes(file))
    assert not ended_well
    assert found == messages[: len(found)]
    assert len(found) < len(messages)


@given(st.binary(max_size=200))
def test_other_bytes_are_damage_and_nothing_worse(data):
    found, ended_well = read_all(data)
    assert found == []
    assert ended_well is (data == b"")


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"\0" * 64, id="zeros, as a file system leaves them after a power cut"),
        pytest.param(b"\xff" * 64, id="a length beyond all records"),
    ],
)
def test_what_is_no_record_ends_the_reading(tail):
    assert read_all(to_record(event("started")) + tail) == ([event("started")], False)


def test_a_message_beyond_all_bounds_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="a message of"):
        to_record(batch(1, size=MOST_BYTES))
