"""The topic table, windows, and which partition a window belongs to."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import BULK, Topics
from schemas.windows import partition_of, window_of

texts = st.text(st.characters(codec="utf-8"), max_size=20)


def test_the_names_are_a_prefix_and_a_kind() -> None:
    assert [topic.name for topic in Topics("p").all()] == [
        "p.requests", "p.stacks", "p.runs", "p.windows", "p.findings", "p.dead-letters"
    ]  # fmt: skip


def test_a_kind_is_found_by_its_name_and_other_topics_are_nobodys() -> None:
    topics = Topics("p.q")
    assert [topics.name(topics.kind(topic.name)) for topic in topics.all()] == [topic.name for topic in topics.all()]
    for other in ("p.requests", "p.q.request", "requests", ""):
        with pytest.raises(KeyError):
            topics.kind(other)


def test_both_bulk_topics_and_the_dead_letters_have_as_many_partitions() -> None:
    partitions = {topic.name: topic.partitions for topic in Topics("p", 7).all()}
    assert partitions == {
        "p.requests": 7, "p.stacks": 7, "p.runs": 1, "p.windows": 1, "p.findings": 1, "p.dead-letters": 7
    }  # fmt: skip


def test_brokers_stamp_every_record_and_refuse_what_would_be_inflated_before_it_is_decoded() -> None:
    topics = Topics()
    for topic in topics.all():
        assert topic.config["message.timestamp.type"] == "LogAppendTime"
        assert (topic.config.get("compression.type") == "uncompressed") == (topics.kind(topic.name) in BULK)


def test_a_window_holds_its_beginning_and_not_its_end() -> None:
    assert [window_of(us) for us in (999_999, 1_000_000, 1_999_999, 2_000_000)] == [0, 1, 1, 2]
    assert window_of(2_500_000, window_us=500_000) == 5


@given(texts, st.integers(0, 2**40), st.integers(1, 64))
def test_windows_in_a_row_visit_every_partition_before_one_comes_again(run: str, window: int, partitions: int) -> None:
    assert {partition_of(run, window + n, partitions) for n in range(partitions)} == set(range(partitions))


def test_the_partition_is_the_one_that_other_languages_compute() -> None:
    assert crc32(b"peak-1") == 1_574_877_741
    assert partition_of("peak-1", 1_790_000_000, 4) == (1_574_877_741 + 1_790_000_000) % 4
