"""What else travels: stacks, sketches, events, thresholds, topics, and the document that describes them."""

import json

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas import asyncapi
from schemas.errors import DecodeError
from schemas.events import (
    EVENTS,
    FindingMade,
    LoadTotals,
    ProducerEnded,
    RunEnded,
    StageEntered,
    from_message,
    to_message,
)
from schemas.sketch import RELATIVE_ERROR, Sketch
from schemas.stacks import fold, frame, split_frame, unfold
from schemas.thresholds import parse_threshold
from schemas.topics import BULK, Topics
from schemas.windows import partition_of, window_of

labels = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    [";", "\\", "a;b", "\\;", "a\\"]
)


@given(st.lists(labels, max_size=6))
def test_unfolding_is_the_inverse_of_folding(frames: list[str]) -> None:
    assert unfold(fold(frames)) == tuple(frames)


def test_a_frame_keeps_the_last_two_parts_of_its_file() -> None:
    assert frame("main", "/srv/app/__init__.py") == "main (app/__init__.py)"
    assert split_frame("Shop.sweep (app/shop.py)") == ("Shop.sweep", "app/shop.py")
    assert split_frame("<native>") == ("<native>", "")


latencies = st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=200)


@given(latencies, st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_of_the_sketch_is_within_one_per_cent(values: list[int], q: float) -> None:
    exact = sorted(values)[max(int(np.ceil(q * len(values))), 1) - 1]
    found = Sketch.of(np.array(values)).quantile_us(q)
    assert found == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-6)


@given(latencies, latencies)
def test_merged_sketches_are_the_sketch_of_all(some: list[int], others: list[int]) -> None:
    merged = Sketch.merged([Sketch.of(np.array(some)), Sketch.of(np.array(others))])
    assert merged == Sketch.of(np.array(some + others))
    assert merged.count == len(some) + len(others)


def test_an_empty_sketch_has_no_quantile() -> None:
    assert Sketch().quantile_us(0.5) is None


EXAMPLES = [
    RunEnded(run_id="r", ended_at_us=5, reason="aborted", producers=2),
    StageEntered(
        run_id="r", label="map[3]", stage="map", form="level", visit=3, starts_at_us=1, ends_at_us=2, rate_from_tps=5,
        rate_to_tps=5, settle_us=1,
    ),
    ProducerEnded(
        run_id="r", producer_id="p", role="load", batches_acknowledged=1, rows_acknowledged=2,
        totals=LoadTotals(scheduled=3, target_counted=None),
    ),
    FindingMade(run_id="r", kind="growth", summary="x grows", function="x", evidence={"growth": 2.0}),
]  # fmt: skip


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_an_event_comes_back_as_it_was_and_is_a_cloudevent(event) -> None:
    message = to_message(event, source="loadflame/test", time_us=1_790_000_000_123_456)
    assert from_message(message.headers, message.value) == event
    headers = dict(message.headers)
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == event.type.encode()
    assert headers["ce_time"] == b"2026-09-21T14:13:20.123456Z"
    assert message.key == b"r"


def test_the_same_fact_has_the_same_id_and_another_has_another() -> None:
    one, other = EXAMPLES[1], EXAMPLES[1].model_copy(update={"label": "map[4]"})
    assert one.event_id() == EXAMPLES[1].event_id() != other.event_id()
    assert len({event.type for event in EVENTS}) == len(EVENTS)


def test_a_type_of_a_newer_version_is_passed_over_and_a_new_field_too() -> None:
    message = to_message(EXAMPLES[0], source="s", time_us=0)
    newer = [(name, b"loadflame.unknown.v9" if name == "ce_type" else value) for name, value in message.headers]
    assert from_message(newer, message.value) is None
    more = json.dumps({**json.loads(message.value), "colour": "red"}).encode()
    assert from_message(message.headers, more) == EXAMPLES[0]


@given(st.binary(max_size=200), st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "x"]), st.binary(max_size=20))))
def test_a_damaged_event_is_a_decode_error(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(DecodeError):
        from_message(headers, value)


THRESHOLDS = [
    ("p99(search) < 250ms", "p99", "search", 250.0),
    ("p99.9 <= 1.5s", "p99.9", None, 1500.0),
    ("mean<800us", "mean", None, 0.8),
    ("errors < 1%", "errors", None, 0.01),
    ("dropped <= 0%", "dropped", None, 0.0),
    ("tps > 100", "tps", None, 100.0),
]


@pytest.mark.parametrize(("text", "metric", "endpoint", "limit"), THRESHOLDS)
def test_a_threshold_is_read_into_one_unit(text: str, metric: str, endpoint: str | None, limit: float) -> None:
    threshold = parse_threshold(text)
    assert (threshold.metric, threshold.endpoint) == (metric, endpoint)
    assert threshold.limit == pytest.approx(limit)
    assert threshold.holds(limit) == ("=" in threshold.comparison)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p99 250ms", "does not parse"),
        ("p99 < 250", "needs a time"),
        ("errors < 0.01", "percentage"),
        ("tps > 5ms", "plain number"),
        ("latency < 5ms", "unknown metric"),
        ("p100 < 5ms", "unknown metric"),
    ],
)
def test_a_threshold_that_does_not_fit_says_what_would(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_threshold(text)


@given(st.text(max_size=20), st.integers(0, 2**40), st.integers(1, 64))
def test_windows_of_a_run_spread_evenly_over_the_partitions(run: str, window: int, partitions: int) -> None:
    run = run.encode(errors="replace").decode()
    assert {partition_of(run, window + n, partitions) for n in range(partitions)} == set(range(partitions))


def test_a_window_holds_its_beginning_and_not_its_end() -> None:
    assert [window_of(us) for us in (999_999, 1_000_000, 1_999_999, 2_000_000)] == [0, 1, 1, 2]


def test_both_bulk_topics_have_the_same_partitions_and_refuse_compressed_record_batches() -> None:
    topics = Topics("p", 7)
    bulk = [topic for topic in topics.all() if topics.kind(topic.name) in BULK]
    assert [topic.partitions for topic in bulk] == [7, 7]
    assert all(topic.config["compression.type"] == "uncompressed" for topic in bulk)
    with pytest.raises(KeyError):
        topics.kind("somebody.else")


def test_the_asyncapi_document_is_current_and_names_every_topic_and_event() -> None:
    assert asyncapi.PATH.read_text() == asyncapi.text(), "run `make asyncapi`"
    document = yaml.safe_load(asyncapi.PATH.read_text())
    assert document["asyncapi"].startswith("3.")
    assert {channel["address"] for channel in document["channels"].values()} == {t.name for t in Topics().all()}
    messages = document["components"]["messages"]
    assert {message.get("name") for message in messages.values()} >= {event.type for event in EVENTS}
    for channel in document["channels"].values():
        for reference in channel["messages"].values():
            assert reference["$ref"].rpartition("/")[2] in messages
