"""The identity of a batch travels in its headers, and damaged headers are a DecodeError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.batches import BatchHeader, BatchKey
from schemas.errors import DecodeError

headers = st.builds(
    BatchHeader,
    key=st.builds(
        BatchKey,
        topic=st.sampled_from(["requests", "stacks"]),
        run_id=st.text(st.characters(codec="utf-8"), max_size=40),
        window=st.integers(0, 2**40),
        producer_id=st.text(st.characters(codec="ascii"), max_size=40),
        seq=st.integers(0, 2**30),
    ),
    rows=st.integers(0, 20_000),
    partitions=st.integers(1, 1024),
    final=st.booleans(),
    goodbye=st.booleans(),
    tick=st.booleans(),
)


@given(headers)
def test_a_header_comes_back_as_it_was(header: BatchHeader) -> None:
    assert BatchHeader.from_kafka(header.key.topic, header.to_kafka()) == header


@given(
    st.lists(
        st.tuples(st.sampled_from(["run", "window", "kind", "x"]), st.none() | st.binary(max_size=300)), max_size=8
    )
)
def test_headers_of_anything_are_a_decode_error(pairs: list[tuple[str, bytes | None]]) -> None:
    with pytest.raises(DecodeError):
        BatchHeader.from_kafka("requests", pairs)


GOOD = BatchHeader(BatchKey("requests", "r", 7, "p", 0), 3, 4).to_kafka()


@pytest.mark.parametrize("name", ["kind", "run", "window", "producer", "seq", "rows", "final", "partitions"])
def test_a_missing_header_is_named(name: str) -> None:
    with pytest.raises(DecodeError, match=f"header {name} is missing"):
        BatchHeader.from_kafka("requests", [pair for pair in GOOD if pair[0] != name])


@pytest.mark.parametrize("value", [b"-1", b"1.5", b"", b"9" * 19, "٣".encode(), b"1e3"])
def test_a_number_is_a_whole_number_of_bounded_length(value: bytes) -> None:
    changed = [(name, value if name == "window" else old) for name, old in GOOD]
    with pytest.raises(DecodeError, match="window"):
        BatchHeader.from_kafka("requests", changed)


def test_headers_of_others_are_passed_over() -> None:
    more = [("traceparent", b"00-1"), ("baggage", b"x" * 5000), ("empty", None)]
    assert BatchHeader.from_kafka("requests", [*more, *GOOD]) == BatchHeader.from_kafka("requests", GOOD)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("run", b"x" * 257, "257 bytes"),
        ("run", None, "run has no value"),
        ("kind", b"other", "neither data nor tick"),
    ],
)
def test_a_header_that_says_nothing_or_too_much_is_refused(name: str, value: bytes | None, said: str) -> None:
    changed = [(other, value if other == name else text) for other, text in GOOD]
    with pytest.raises(DecodeError, match=said):
        BatchHeader.from_kafka("requests", changed)


def test_a_topic_that_carries_no_batches_is_refused() -> None:
    with pytest.raises(DecodeError, match="no bulk topic"):
        BatchHeader.from_kafka("windows", GOOD)
