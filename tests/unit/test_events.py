"""Events are CloudEvents that come back as they were; damaged ones are a DecodeError, newer ones are passed over."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from schemas.batches import Headers
from schemas.errors import DecodeError
from schemas.events import (
    EVENTS,
    MAX_EVENT_BYTES,
    CheckOutcome,
    EventData,
    FindingMade,
    FindingsSettled,
    FindingWithdrawn,
    HotFunction,
    LoadTotals,
    ProducerEnded,
    RunChecked,
    RunEnded,
    RunJudged,
    RunStarted,
    StageEntered,
    WindowJoined,
    counted_by_target,
    from_message,
    to_message,
)

EXAMPLES: list[EventData] = [
    RunStarted(
        run_id="r", service="shop", target="http://127.0.0.1:8080", started_at_us=1, window_us=1_000_000, partitions=4,
        engine="aiohttp", plan={"stages": [{"hold": 5.5, "for": "1s"}], "profile": None},
    ),
    StageEntered(
        run_id="r", label="map[3]", stage="map", form="level", visit=3, starts_at_us=1, ends_at_us=2, rate_from_tps=5,
        rate_to_tps=5.5, settle_us=1,
    ),
    ProducerEnded(
        run_id="r", producer_id="p", role="load", batches_acknowledged=1, rows_acknowledged=2,
        totals=LoadTotals(scheduled=3, target_counted=None),
    ),
    RunEnded(run_id="r", ended_at_us=5, reason="aborted", producers=2, note="Ctrl-C"),
    RunJudged(run_id="r", verdict="host-limited"),
    WindowJoined(
        run_id="r", window=7, starts_at_us=7_000_000, window_us=1_000_000, batches_covered=2, closed_by="grace",
        stages=["map[3]"], offered_tps=10.5, tps=10, completed=9, failed=1, dropped=0, in_flight=3, p50_ms=1.5,
        p95_ms=2, p99_ms=None, cpu_us=None, profile_coverage=None,
        functions=[HotFunction(service="shop", function="f", file="a.py", self_cpu_us=1, total_cpu_us=2, samples=3)],
    ),
    FindingMade(run_id="r", kind="growth", summary="ünïcode grows", function="x", evidence={"growth": [2.0, None]}),
    RunChecked(run_id="r", checks=[CheckOutcome(name="I4", ok=None, sentence="no broker was named")]),
    FindingWithdrawn(run_id="r", kind="hot", summary="x was hot", function="x", finding="hot/x", revision=2),
    FindingsSettled(run_id="r", findings=["growth/x", "capacity/"], windows=60, batches=120),
]  # fmt: skip
TIME_US = 1_790_000_000_123_456
ENDED = to_message(EXAMPLES[3], source="loadflame/test", time_us=TIME_US)


def changed(name: str, value: bytes | None) -> list[tuple[str, bytes | None]]:
    return [(other, value if other == name else text) for other, text in ENDED.headers]


def with_fields(event: EventData, **fields: Any) -> tuple[Headers, bytes]:
    message = to_message(event, source="s", time_us=0)
    return message.headers, json.dumps({**json.loads(message.value), **fields}).encode()


def test_there_is_an_example_of_every_type() -> None:
    assert {type(event) for event in EXAMPLES} == set(EVENTS)
    assert len({event.type for event in EVENTS}) == len(EVENTS)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_an_event_comes_back_as_it_was_and_is_a_cloudevent(event: EventData) -> None:
    message = to_message(event, source="loadflame/test", time_us=TIME_US)
    assert from_message(message.headers, message.value) == event
    headers = dict(message.headers)
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_id"] == event.event_id().encode()
    assert headers["ce_type"] == event.type.encode()
    assert headers["ce_source"] == b"loadflame/test"
    assert headers["ce_subject"] == b"r"
    assert headers["ce_time"] == b"2026-09-21T14:13:20.123456Z"
    assert headers["content-type"] == b"application/json"
    assert message.key == b"r"


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
@pytest.mark.parametrize("time_us", [0, TIME_US])
def test_an_event_is_written_as_the_cloudevents_library_writes_it(event: EventData, time_us: int) -> None:
    attributes = {
        "id": event.event_id(),
        "type": event.type,
        "source": "loadflame/test",
        "specversion": "1.0",
        "time": datetime.fromtimestamp(time_us / 1e6, UTC),
        "subject": event.run_id,
        "datacontenttype": "application/json",
    }
    library = to_binary(CloudEvent(attributes, json.loads(event.model_dump_json())), JSONFormat())
    message = to_message(event, source="loadflame/test", time_us=time_us)
    assert dict(message.headers) == library.headers
    assert json.loads(message.value) == json.loads(library.value)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (1, {"label": "map[4]"}),
        (2, {"producer_id": "q"}),
        (5, {"batches_covered": 3}),
        (6, {"function": "y"}),
        (6, {"revision": 2}),
        (6, {"finding": "growth/x/2"}),
        (8, {"revision": 3}),
        (9, {"batches": 121}),
    ],
)
def test_the_same_fact_has_the_same_id_and_another_has_another(place: int, change: dict[str, Any]) -> None:
    event = EXAMPLES[place]
    assert event.model_copy().event_id() == event.event_id()
    assert event.model_copy(update=change).event_id() != event.event_id()
    assert event.model_copy(update={"run_id": "other"}).event_id() != event.event_id()


def test_a_type_that_this_version_does_not_know_is_passed_over() -> None:
    assert from_message(changed("ce_type", b"loadflame.unknown.v9"), b"not even JSON") is None


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_a_field_that_this_version_does_not_know_is_passed_over(event: EventData) -> None:
    assert from_message(*with_fields(event, colour={"of": "the bikeshed"})) == event


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_a_field_that_is_missing_or_of_another_type_is_named(event: EventData) -> None:
    headers, value = with_fields(event, run_id=["r"])
    with pytest.raises(DecodeError, match="event field run_id"):
        from_message(headers, value)
    fields = {name: text for name, text in json.loads(value).items() if name != "run_id"}
    with pytest.raises(DecodeError, match="event field run_id"):
        from_message(headers, json.dumps(fields).encode())


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_type", "ce_specversion"])
def test_an_attribute_that_cloudevents_ask_for_is_asked_for(name: str) -> None:
    for headers in ([pair for pair in ENDED.headers if pair[0] != name], changed(name, None)):
        with pytest.raises(DecodeError, match=f"header {name} is missing"):
            from_message(headers, ENDED.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_id", b""),
        ("ce_type", b"\xff"),
        ("ce_specversion", b"0.3"),
        ("ce_time", b"yesterday"),
        ("ce_time", b""),
        ("content-type", b"application/xml"),
        ("content-type", b"\xff"),
    ],
)
def test_an_attribute_that_says_something_else_is_a_decode_error(name: str, value: bytes) -> None:
    with pytest.raises(DecodeError):
        from_message(changed(name, value), ENDED.value)


VALUES = [
    ("nothing at all", None),
    ("no bytes", b""),
    ("no JSON", b"{"),
    ("no object", b"[1]"),
    ("not UTF-8", b'{"run_id": "\xff"}'),
    ("nested too deep", b"[" * 100_000),
    ("a number of 5000 digits", b'{"run_id": "r", "ended_at_us": ' + b"9" * 5000 + b"}"),
    ("too long", b" " * (MAX_EVENT_BYTES + 1)),
]


@pytest.mark.parametrize(("what", "value"), VALUES, ids=[row[0] for row in VALUES])
def test_data_that_cannot_be_read_is_a_decode_error(what: str, value: bytes | None) -> None:
    with pytest.raises(DecodeError):
        from_message(ENDED.headers, value)


@pytest.mark.parametrize("number", [-1, 2**53, 10**40, 1.5, float("nan"), float("inf"), "x", None])
def test_a_figure_that_no_reader_could_keep_is_refused(number: Any) -> None:
    with pytest.raises(DecodeError, match="event field ended_at_us"):
        from_message(*with_fields(EXAMPLES[3], ended_at_us=number))


@pytest.mark.parametrize("number", [-1.0, float("nan"), float("inf")])
def test_a_rate_is_a_finite_number(number: float) -> None:
    with pytest.raises(DecodeError, match="event field rate_to_tps"):
        from_message(*with_fields(EXAMPLES[1], rate_to_tps=number))


@pytest.mark.parametrize("plan", [b'{"a": "\\ud800"}', b'{"\\ud800": 1}', b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}"])
def test_what_can_be_read_can_be_written_again(plan: bytes) -> None:
    """Half a surrogate pair in a plan would be taken in, and then stop every worker that tries to store it."""
    headers, value = with_fields(EXAMPLES[0], plan="PLAN")
    with pytest.raises(DecodeError):
        from_message(headers, value.replace(b'"PLAN"', plan))


def test_what_is_written_is_json_that_every_language_reads() -> None:
    evidence = {"growth": float("nan"), "limit": float("inf")}
    message = to_message(FindingMade(run_id="r", kind="k", summary="s", evidence=evidence), source="s", time_us=0)
    assert json.loads(message.value)["evidence"] == {"growth": None, "limit": None}


names = st.sampled_from([name for name, _ in ENDED.headers] + ["x"])


@given(st.none() | st.binary(max_size=200), st.lists(st.tuples(names, st.none() | st.binary(max_size=20)), max_size=6))
def test_messages_of_anything_are_a_decode_error(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    with pytest.raises(DecodeError):
        from_message(headers, value)


@given(st.sampled_from(EXAMPLES), st.data())
def test_damaged_data_is_a_decode_error_or_another_event_of_its_type(event: EventData, data: st.DataObject) -> None:
    message = to_message(event, source="s", time_us=0)
    damaged = bytearray(message.value)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = from_message(message.headers, bytes(damaged))
    except DecodeError:
        return
    assert type(again) is type(event)
    assert from_message(message.headers, again.model_dump_json().encode()) == again


COUNTS = {
    "nobody counted": ((), None),
    "one load": ((7,), 7),
    "several loads that each counted their own": ((7, 0, 3), 10),
    "loads that share, of which none can tell its own": ((None, None), None),
    "one that does not know": ((7, None), None),
}


@pytest.mark.parametrize(("counts", "total"), COUNTS.values(), ids=COUNTS)
def test_what_a_target_counted_is_known_of_all_loads_or_of_none(
    counts: tuple[int | None, ...], total: int | None
) -> None:
    assert counted_by_target(counts) == total
