"""`schemas/asyncapi.yaml`: current, complete, and whole in itself.

Checked by hand against what AsyncAPI 3.0 asks for; the document was also held once against the official JSON Schema,
which stands in no package of the index.
"""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from processors.announcements import letter_headers
from processors.records import Letter, Place, Record
from schemas import asyncapi
from schemas.codec import LIMITS
from schemas.events import EVENTS, EventData, to_message
from schemas.rows import optional_of, schema_of
from schemas.topics import BULK, Topics
from tests.support.batches import request_batch, stack_batch
from tests.unit.test_events import EXAMPLES


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(asyncapi.PATH.read_text())
    return loaded


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def found(document: dict[str, Any], reference: str) -> Any:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def headers_fit(message: dict[str, Any], headers: dict[str, bytes]) -> None:
    jsonschema.validate({name: value.decode() for name, value in headers.items()}, message["headers"])


def test_the_file_is_current() -> None:
    assert asyncapi.PATH.read_text() == asyncapi.text(), "run `make asyncapi`"


def test_it_has_what_asyncapi_asks_for(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(document["info"])
    assert set(document) <= {
        "asyncapi", "info", "defaultContentType", "channels", "operations", "components"
    }  # fmt: skip
    for group in (document["channels"], document["operations"], *document["components"].values()):
        assert all(re.fullmatch(r"[\w.-]+", name) for name in group)
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert found(document, operation["channel"]["$ref"])["address"]
    for message in document["components"]["messages"].values():
        assert message["contentType"]
        assert message["headers"]["type"] == "object"
        assert isinstance(message["payload"], dict)


def test_every_reference_leads_somewhere_in_the_document(document: dict[str, Any]) -> None:
    all_of_them = set(references(document))
    assert any("schemas" in reference for reference in all_of_them)
    for reference in all_of_them:
        assert reference.startswith("#/")
        assert found(document, reference) is not None


def test_every_topic_is_a_channel_and_every_event_a_message_in_its_own(document: dict[str, Any]) -> None:
    topics = Topics()
    assert {channel["address"] for channel in document["channels"].values()} == {topic.name for topic in topics.all()}
    for channel in document["channels"].values():
        kind = topics.kind(channel["address"])
        messages = {found(document, message["$ref"]).get("name") for message in channel["messages"].values()}
        assert messages - {None} == (
            {f"loadflame.{kind}.batch"} if kind in BULK else {event.type for event in EVENTS if event.topic == kind}
        )
        binding = channel["bindings"]["kafka"]
        assert (binding["topic"], binding["bindingVersion"]) == (channel["address"], "0.5.0")


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_an_event_fits_what_the_document_says_of_it(document: dict[str, Any], event: EventData) -> None:
    message = next(one for one in document["components"]["messages"].values() if one.get("name") == event.type)
    sent = to_message(event, source="loadflame/test", time_us=1_790_000_000_000_000)
    headers_fit(message, dict(sent.headers))
    schema = message["payload"] | {"components": document["components"]}
    jsonschema.validate(event.model_dump(mode="json"), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, schema)


@pytest.mark.parametrize("batch", [request_batch(), stack_batch()], ids=BULK)
def test_a_batch_fits_what_the_document_says_of_it(document: dict[str, Any], batch: Any) -> None:
    topic = batch.header.key.topic
    message = document["components"]["messages"][f"{topic}Batch"]
    headers_fit(message, dict(batch.header.to_kafka()))
    always = [column["name"] for column in message["x-arrow-columns"] if not column.get("optional")]
    optional = [column["name"] for column in message["x-arrow-columns"] if column.get("optional")]
    assert (always, optional) == (schema_of[topic].names, [field.name for field in optional_of[topic]])
    jsonschema.validate(batch.facts.model_dump(), message["x-arrow-metadata"]["loadflame.facts"])
    assert message["x-limits"] == {"bytes": LIMITS.message_bytes, "rows": LIMITS.rows}


def test_a_dead_letter_fits_what_the_document_says_of_it(document: dict[str, Any]) -> None:
    letter = Letter(Record(Place("loadflame.requests", 2), 7, 0, [("kind", b"data")], b"xyz"), "no Arrow stream")
    headers = dict(letter_headers(letter))
    message = document["components"]["messages"]["deadLetter"]
    headers_fit(message, headers)
    assert set(message["headers"]["required"]) == {name for name in headers if not name.startswith("original-")}
