"""Within v1 a topic's readers and writers of any two versions understand each other."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from schemas.compatibility import breaks, now, published


def test_nothing_that_was_published_has_gone_or_changed() -> None:
    assert breaks(published(), now()) == []


def test_what_is_new_is_written_down_to_be_relied_upon() -> None:
    assert published() == now(), "run `make asyncapi`"


Change = Callable[[dict[str, Any]], object]


def payload(document: dict[str, Any], message: str) -> dict[str, Any]:
    found: dict[str, Any] = document["messages"][message]["payload"]
    return found


CHANGES: list[tuple[str, Change, str | None]] = [
    ("a field is removed", lambda d: payload(d, "findingMade")["properties"].pop("kind"),
     "findingMade.payload.kind is gone"),
    ("a field is renamed", lambda d: payload(d, "windowJoined")["properties"].update(
        rate=payload(d, "windowJoined")["properties"].pop("tps")), "windowJoined.payload.tps is gone"),
    ("a number becomes a text", lambda d: payload(d, "windowJoined")["properties"]["tps"].update(type="string"),
     "windowJoined.payload.tps may be string now, not only number"),
    ("a figure may be null", lambda d: payload(d, "windowJoined")["properties"].update(
        tps={"anyOf": [{"type": "number"}, {"type": "null"}]}),
     "windowJoined.payload.tps may be null now, not only number"),
    ("a whole number may be a fraction",
     lambda d: payload(d, "windowJoined")["properties"]["window"].update(type="number"),
     "windowJoined.payload.window may be number now, not only integer"),
    ("a field may be anything", lambda d: payload(d, "runEnded")["properties"].update(ended_at_us={}),
     "runEnded.payload.ended_at_us may be anything now, not only integer"),
    ("a value is never used again", lambda d: payload(d, "runEnded")["properties"]["reason"]["enum"].remove("broken"),
     "runEnded.payload.reason is never broken any more"),
    ("a free text is one of a few", lambda d: payload(d, "findingMade")["properties"]["kind"].update(enum=["hot"]),
     "findingMade.payload.kind is one of a few now"),
    ("a new field is required", lambda d: payload(d, "runJudged")["required"].append("why"),
     "runJudged.payload.why is required now, and was not always there"),
    ("a text may be less long", lambda d: payload(d, "findingMade")["properties"]["summary"].update(maxLength=80),
     "findingMade.payload.summary: maxLength is narrower"),
    ("a figure gets a least value", lambda d: payload(d, "producerEnded")["properties"]["clock_correction_us"].update(
        minimum=0), "producerEnded.payload.clock_correction_us: minimum is narrower"),
    ("a field of a record within goes", lambda d: d["schemas"]["HotFunction"]["properties"].pop("file"),
     "windowJoined.payload.functions[].file is gone"),
    ("an event goes", lambda d: d["messages"].pop("runEnded"), "runEnded is gone"),
    ("an event gets another type", lambda d: d["messages"]["runEnded"]["headers"]["properties"]["ce_type"].update(
        const="loadflame.run.over.v1"), "runEnded.headers.ce_type is not 'loadflame.run.ended.v1' any more"),
    ("a header of dead letters goes", lambda d: d["messages"]["deadLetter"]["headers"]["properties"].pop("error"),
     "deadLetter.headers.error is gone"),
    ("a column goes", lambda d: d["messages"]["requestsBatch"]["x-arrow-columns"].pop(),
     "requestsBatch: column stage is gone"),
    ("a column is added before the others", lambda d: d["messages"]["requestsBatch"]["x-arrow-columns"].insert(
        0, {"name": "retries", "arrow": "uint16", "nullable": True}),
     "requestsBatch: a column stands before those that were there"),
    ("a column gets another type", lambda d: d["messages"]["stacksBatch"]["x-arrow-columns"][1].update(arrow="float"),
     "stacksBatch: column weight_us is another: {'name': 'weight_us', 'arrow': 'float', 'nullable': False}"),
    ("a fact of batches goes", lambda d: d["messages"]["stacksBatch"]["x-arrow-metadata"]["loadflame.facts"][
        "properties"].pop("pid"), "stacksBatch.loadflame.facts.pid is gone"),
    ("a field is added", lambda d: payload(d, "findingMade")["properties"].update(colour={"type": "string"}), None),
    ("a value is added", lambda d: payload(d, "runEnded")["properties"]["reason"]["enum"].append("lunch"), None),
    ("a field is always there now", lambda d: payload(d, "runEnded")["required"].remove("note")
     if "note" in payload(d, "runEnded")["required"] else None, None),
    ("an event is added", lambda d: d["messages"].update(runPaused=copy.deepcopy(d["messages"]["runEnded"])), None),
    ("a column is added behind the others", lambda d: d["messages"]["requestsBatch"]["x-arrow-columns"].append(
        {"name": "retries", "arrow": "uint16", "nullable": True}), None),
    ("a fraction is always whole",
     lambda d: payload(d, "windowJoined")["properties"]["tps"].update(type="integer"), None),
    ("a text may be longer",
     lambda d: payload(d, "findingMade")["properties"]["summary"].update(maxLength=4096), None),
]  # fmt: skip


@pytest.mark.parametrize(("what", "change", "sentence"), CHANGES, ids=[row[0] for row in CHANGES])
def test_a_change_within_v1(what: str, change: Change, sentence: str | None) -> None:
    before = json.loads(json.dumps(now()))
    after = copy.deepcopy(before)
    change(after)
    assert breaks(before, after) == ([] if sentence is None else [sentence])
