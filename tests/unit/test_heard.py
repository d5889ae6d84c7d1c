"""What `loadflame watch` makes of a message: a line for people, or a CloudEvent for programs."""

import json
from typing import get_args

import jsonschema
import pytest

from loadflame.event_text import line_of
from loadflame.heard import Heard, Known, Watchable, heard
from processors.announcements import letter_headers
from processors.records import Letter, Place, Record
from schemas.events import EventData, FindingMade, FindingWithdrawn, RunEnded, RunJudged, to_message
from tests.unit.test_events import EXAMPLES

TIME_US = 1_790_000_000_123_456
LETTER = Letter(
    Record(Place("loadflame.requests", 2), 7, TIME_US, [("run", b"r"), ("kind", b"data")], b"\x1bxyz"),
    "no Arrow \x1b[2J",
)
# CloudEvents 1.0.2, "JSON Event Format": what a structured event must have.
CLOUDEVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        **{name: {"type": "string", "minLength": 1} for name in ("id", "source", "type", "subject", "time")},
        "datacontenttype": {"const": "application/json"},
        "data": {"type": "object"},
    },
    "additionalProperties": False,
}


def of(event: EventData) -> Heard:
    message = to_message(event, source="loadflame/test", time_us=TIME_US)
    kind = event.topic
    assert kind in get_args(Watchable)
    return heard(kind, message.headers, message.value)  # type: ignore[arg-type]


def letter() -> Heard:
    return heard("dead-letters", letter_headers(LETTER), LETTER.record.value)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_every_event_is_a_line_of_text_with_its_time_and_run_and_a_cloudevent(event: EventData) -> None:
    message = of(event)
    line = line_of(message).plain
    assert line.startswith("14:13:20  r  ")
    assert "\n" not in line
    assert len(line) > 20
    told = json.loads(json.dumps(message.as_json()))
    jsonschema.validate(told, CLOUDEVENT)
    assert (told["id"], told["type"], told["subject"]) == (event.event_id(), event.type, "r")
    assert type(event).model_validate(told["data"]) == event
    assert (message.id, message.run_id) == (event.event_id(), "r")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (FindingMade(run_id="r", kind="superlinear", summary="`f` grows."), "▲ `f` grows."),
        (FindingMade(run_id="r", kind="none", summary="No finding."), "○ No finding."),
        (FindingMade(run_id="r", kind="brand-new", summary="x", revision=3), "● (revision 3) x"),
        (FindingWithdrawn(run_id="r", kind="hot", summary="Does not hold any more: x"), "✕ Does not hold any more: x"),
        (RunEnded(run_id="r", ended_at_us=1, reason="broken", producers=2, note="p99"), "■ the run ended: broken; p99"),
    ],
)
def test_a_line_says(event: EventData, said: str) -> None:
    assert line_of(of(event)).plain.endswith(f"  {said}")


def test_a_dead_letter_is_told_by_its_headers_and_its_run_by_its_own() -> None:
    message = letter()
    assert line_of(message).plain == "--:--:--  r  ✘ dead letter loadflame.requests/2/7: no Arrow \\x1b[2J"
    assert message.as_json()["headers"]["original-kind"] == "data"
    assert message.as_json()["bytes"] == 4
    assert message.id == "loadflame.requests/2/7"


def test_what_a_terminal_would_obey_is_written_out() -> None:
    line = line_of(of(FindingMade(run_id="r\x1b[2J", kind="hot", summary="\x1b]0;mine\x07 is hot")))
    assert "\x1b" not in line.plain
    assert "\\x1b]0;mine" in line.plain


def test_a_damaged_event_and_one_of_a_newer_version_are_told_and_end_nothing() -> None:
    message = to_message(EXAMPLES[0], source="s", time_us=TIME_US)
    damaged = heard("runs", message.headers, message.value[:-3])
    assert "an event that cannot be read" in line_of(damaged).plain
    headers = [(name, b"loadflame.run.paused.v1" if name == "ce_type" else text) for name, text in message.headers]
    newer = heard("runs", headers, b'{"run_id": "r", "why": "lunch"}')
    assert line_of(newer).plain.endswith("· loadflame.run.paused.v1, which this version does not know")
    assert newer.as_json()["data"] == {"run_id": "r", "why": "lunch"}
    assert newer.run_id == "r"
    assert "cannot be read" in line_of(heard("runs", headers, b"\xff")).plain


def judged(run_id: str = "r", verdict: str = "passed") -> Heard:
    return of(RunJudged.model_validate({"run_id": run_id, "verdict": verdict}))


def test_what_comes_again_is_known_and_what_changed_under_its_id_is_new() -> None:
    known = Known()
    passed, inconclusive = judged(), judged(verdict="inconclusive")
    assert passed.id == inconclusive.id
    told = [known.is_new(one) for one in (passed, passed, inconclusive, inconclusive, passed, judged("other"))]
    assert told == [True, False, True, False, True, True]


def test_a_message_without_an_id_is_always_told_and_old_ones_are_forgotten() -> None:
    known = Known(most=2)
    nameless = Heard("dead-letters", {}, b"damaged")
    assert [known.is_new(nameless), known.is_new(nameless)] == [True, True]
    assert [known.is_new(judged(run)) for run in "abcba"] == [True, True, True, False, True]
