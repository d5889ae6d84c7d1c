"""The recorded run for other teams' tests: whole, of the present form, and as the published schema says."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas.asyncapi import document
from schemas.events import (
    EVENT_OF_TYPE,
    EVENTS,
    EventData,
    FindingMade,
    FindingsSettled,
    FindingWithdrawn,
    WindowJoined,
)

FOLDER = Path(__file__).parents[2] / "schemas" / "fixtures"
KINDS = ("findings", "runs", "windows", "dead-letters")
DOCUMENT = document()


def recorded(kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{kind}.jsonl").read_text().splitlines()]


EVERY = [event for kind in KINDS[:3] for event in recorded(kind)]
MESSAGES = {message.get("name"): message for message in DOCUMENT["components"]["messages"].values()}


def model_of(event: dict[str, Any]) -> type[EventData]:
    return EVENT_OF_TYPE[event["type"]]


def test_there_is_a_file_a_topic_and_every_type_that_a_run_without_a_surprise_sends() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.jsonl")) == sorted(KINDS)
    assert {event["type"] for event in EVERY} >= {one.type for one in EVENTS if one is not FindingWithdrawn}
    for kind in KINDS[:3]:
        assert {model_of(event).topic for event in recorded(kind)} == {kind}


@pytest.mark.parametrize("event", EVERY, ids=lambda event: event["id"].rpartition("/loadflame.")[2])
def test_an_event_is_read_and_written_and_fits_the_schema(event: dict[str, Any]) -> None:
    message = MESSAGES[event["type"]]
    headers = {f"ce_{name}": text for name, text in event.items() if isinstance(text, str)}
    jsonschema.validate(headers, message["headers"])
    jsonschema.validate(event["data"], message["payload"] | {"components": DOCUMENT["components"]})
    model = model_of(event)
    read = model.model_validate(event["data"])
    assert read.event_id() == event["id"]
    assert json.loads(read.model_dump_json()) == event["data"], "record it again: `make fixtures`"


def test_its_findings_are_told_as_the_documentation_says() -> None:
    stand: dict[str, FindingMade] = {}
    for event in recorded("findings"):
        read = model_of(event).model_validate(event["data"])
        if isinstance(read, FindingMade):
            known = stand.get(read.finding)
            assert read.revision == (1 if known is None else known.revision + 1)
            stand[read.finding] = read
        elif isinstance(read, FindingWithdrawn):
            assert read.revision == stand.pop(read.finding).revision + 1
    settled = FindingsSettled.model_validate(recorded("findings")[-1]["data"])
    assert set(settled.findings) == set(stand)
    assert stand[settled.findings[0]].function == "Shop.sweep_sessions (sample/shop.py)"
    assert any(one.revision > 1 for one in stand.values()), "it was told before the end"
    windows = {WindowJoined.model_validate(event["data"]).window for event in recorded("windows")}
    assert settled.windows == len(windows)


def test_a_dead_letter_is_told_by_headers_that_fit_the_schema() -> None:
    (letter,) = recorded("dead-letters")
    jsonschema.validate(letter["headers"], DOCUMENT["components"]["messages"]["deadLetter"]["headers"])


def test_nothing_of_a_machine_stands_in_it() -> None:
    text = "".join((FOLDER / f"{kind}.jsonl").read_text() for kind in KINDS)
    assert "/tmp" not in text
    assert "/root" not in text
    assert "/home" not in text
