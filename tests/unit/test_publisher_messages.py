"""How a window's rows become messages: within the codec's limits, numbered, nothing lost without a trace."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.publisher.messages import Message, Messages, Part, Publication, split
from schemas.batches import BatchHeader
from schemas.codec import Limits, decode
from schemas.rows import STACKS, RequestFacts, StackFacts
from schemas.topics import Topics
from tests.support.batches import RUN, WINDOW, Request, Sample, many_requests, many_samples, request_rows, stack_rows

FACTS = StackFacts(service="shop", instance="pid-7", pid=7, backend="austin", cpu_us=900, covered_us=1_000_000)


def read(messages, topic="stacks", limits=None):
    batches = []
    for message in messages:
        header = BatchHeader.from_kafka(topic, message.headers)
        batches.append(decode(header, message.value, limits or Limits()))
    return batches


def messages_of(rows, facts, limits, *, topic="stacks", final=True):
    made = Messages(Topics(), RUN, "p1").number(
        Publication(topic, WINDOW, rows, facts, final, final), split(rows, facts, limits)
    )
    return list(made)


rows_of_stacks = st.lists(
    st.builds(Sample, stack=st.text(st.characters(codec="utf-8"), max_size=60), weight_us=st.integers(0, 9)),
    max_size=40,
).map(stack_rows)


@given(
    rows=rows_of_stacks,
    most_rows=st.integers(1, 50),
    most_bytes=st.integers(2_500, 6_000),
    most_texts=st.integers(1, 10),
    inflated=st.integers(800, 4_000),
)
def test_whatever_the_limits_every_row_arrives_once_in_order_and_every_reader_accepts_it(
    rows, most_rows, most_bytes, most_texts, inflated
):
    limits = Limits(
        message_bytes=most_bytes, rows=most_rows, dictionary_entries=max(most_texts, 2), inflated_bytes=inflated
    )
    batches = read(messages_of(rows, FACTS, limits), limits=limits)
    together = [row for batch in batches for row in batch.rows.to_pylist()]
    assert together == rows.to_pylist()
    assert [batch.facts.cpu_us for batch in batches] == [900] + [0] * (len(batches) - 1)
    assert {batch.facts.instance for batch in batches} == {"pid-7"}
    assert [batch.header.final for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert [batch.header.key.seq for batch in batches] == list(range(len(batches)))


def test_a_split_batch_carries_only_the_texts_that_its_rows_use():
    rows = many_samples(1_000, distinct=200)
    parts = read(messages_of(rows, FACTS, Limits(rows=10)))
    assert max(len(batch.rows.column("stack").dictionary) for batch in parts) <= 10


def test_nulls_stay_nulls_in_a_split_batch():
    rows = request_rows([Request(error=None if index % 3 else "timeout") for index in range(30)])
    parts = read(messages_of(rows, RequestFacts(), Limits(rows=7), topic="requests"), "requests")
    assert [row["error"] for batch in parts for row in batch.rows.to_pylist()] == rows.column("error").to_pylist()


def test_a_row_that_fits_no_message_is_lost_alone_and_leaves_a_gap_in_the_numbers():
    rows = stack_rows([Sample("a"), Sample("b"), Sample("x" * 70_000), Sample("c")])
    made = messages_of(rows, FACTS, Limits())
    lost = [part for part in made if isinstance(part, Part)]
    batches = read([message for message in made if isinstance(message, Message)])
    assert [part.rows for part in lost] == [1]
    assert [row["stack"] for batch in batches for row in batch.rows.to_pylist()] == ["a", "b", "c"]
    assert [batch.header.key.seq for batch in batches] == [0, 2]


@pytest.mark.parametrize("texts", [["x" * 70_000], ["a", "x" * 70_000], ["x" * 70_000, "a"]])
def test_facts_and_marks_arrive_whatever_rows_are_lost(texts):
    made = messages_of(stack_rows([Sample(text) for text in texts]), FACTS, Limits())
    batches = read([message for message in made if isinstance(message, Message)])
    assert sum(batch.facts.cpu_us for batch in batches) == 900
    assert batches[0].facts == FACTS
    assert [batch.header.final for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert batches[-1].header.key.seq + 1 == len(made), "the final batch says how many there were, lost ones too"


def test_rows_given_up_for_want_of_memory_leave_facts_marks_and_a_gap():
    publication = Publication("stacks", WINDOW, many_samples(50), FACTS, final=True, goodbye=False).without_rows()
    lost, message = Messages(Topics(), RUN, "p1").number(publication, split(publication.rows, FACTS))
    (batch,) = read([message])
    assert lost == Part(None, 50)
    assert (batch.header.key.seq, batch.header.rows, batch.header.final, batch.facts) == (1, 0, True, FACTS)


def test_numbers_begin_anew_for_each_window_and_topic():
    messages = Messages(Topics(), RUN, "p1")
    rows = STACKS.empty_table().combine_chunks().to_batches() or [stack_rows([])]

    def seq(topic, window, rows, facts):
        (message,) = messages.number(Publication(topic, window, rows, facts, False, False), split(rows, facts))
        return BatchHeader.from_kafka(topic, message.headers).key.seq

    assert [seq("stacks", 1, rows[0], FACTS), seq("stacks", 1, rows[0], FACTS), seq("stacks", 2, rows[0], FACTS)] == [
        0,
        1,
        0,
    ]
    assert seq("requests", 1, request_rows([]), RequestFacts()) == 0


def test_twenty_thousand_rows_and_one_are_two_messages():
    parts = split(many_requests(20_001), RequestFacts())
    assert [part.rows for part in parts] == [20_000, 1]
    assert all(part.data is not None and len(part.data) <= 512 << 10 for part in parts)


def test_rows_must_be_of_the_topics_schema():
    with pytest.raises(ValueError, match="not of the schema of requests"):
        Publication(
            "requests", WINDOW, pa.RecordBatch.from_pydict({"a": [1]}), RequestFacts(), final=True, goodbye=False
        )
