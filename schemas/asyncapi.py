"""`schemas/asyncapi.yaml`: what other services may rely on, generated from the code (AsyncAPI 3.0, Kafka bindings).

`python -m schemas.asyncapi` writes the file; a test fails when it is stale.
"""

from pathlib import Path
from typing import Any

import yaml

from schemas.batches import CONTENT_TYPE, BatchHeader, BatchKey
from schemas.codec import LIMITS
from schemas.events import EVENTS, EventData
from schemas.rows import RequestFacts, StackFacts, optional_of, schema_of, type_of_facts
from schemas.topics import BULK, Bulk, Kind, Topics

PATH = Path(__file__).with_name("asyncapi.yaml")
_SUMMARY: dict[Kind, str] = {
    "requests": "Outcomes of requests, one Arrow record batch a message, partitioned by window.",
    "stacks": "Stack samples, one Arrow record batch a message, partitioned by window.",
    "runs": "A run's course: started, stages, producers, ended, verdict.",
    "windows": "One event a joined window: TPS, latency, errors, hot functions, completeness.",
    "findings": "What was found of a service, in plain sentences, while its run is on and when all of it is stored.",
    "dead-letters": "Messages that could not be read, bytes as received; headers say whence and why.",
}
_WHOLE = {"pattern": "^[0-9]{1,18}$"}
_FLAG = {"enum": ["0", "1"]}
_HEADERS: dict[str, dict[str, Any]] = {
    "kind": {"enum": ["data", "tick"], "description": "a tick is empty and only moves the partition's broker clock"},
    "window": _WHOLE | {"description": "index of the window: Unix time divided by its length"},
    "producer": {"description": "random per process life"},
    "seq": _WHOLE | {"description": "counts from 0 per topic, run, window and producer"},
    "rows": _WHOLE,
    "final": _FLAG | {"description": "1: the producer's last batch of the window, seq + 1 were sent"},
    "goodbye": _FLAG | {"description": "1: the producer's last window"},
    "partitions": _WHOLE | {"description": "partition = (crc32(run) + window) mod partitions"},
}


def document() -> dict[str, Any]:
    """The AsyncAPI document as plain data."""
    topics = Topics()
    schemas: dict[str, Any] = {}
    messages = {_name(event): _event_message(event, schemas) for event in EVENTS}
    messages |= {f"{kind}Batch": _batch_message(kind) for kind in BULK}
    messages["deadLetter"] = _dead_letter()
    channels = {}
    for topic in topics.all():
        kind = topics.kind(topic.name)
        names = [_name(event) for event in EVENTS if event.topic == kind]
        names = names or ([f"{kind}Batch"] if kind in BULK else ["deadLetter"])
        channels[kind] = {
            "address": topic.name,
            "description": _SUMMARY[kind],
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
            "bindings": {"kafka": {"topic": topic.name, "partitions": topic.partitions, "bindingVersion": "0.5.0"}},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "loadflame topics",
            "version": "1.0.0",
            "description": "Delivered at least once. Within v1 fields are added, never renamed or removed.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {kind: {"action": "send", "channel": {"$ref": f"#/channels/{kind}"}} for kind in channels},
        "components": {"messages": messages, "schemas": schemas},
    }


def _name(event: type[EventData]) -> str:
    return event.__name__[0].lower() + event.__name__[1:]


def _event_message(event: type[EventData], schemas: dict[str, Any]) -> dict[str, Any]:
    # A reference is resolved from the root of the document, so the models within a model stand there, in `schemas`.
    payload = event.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= payload.pop("$defs", {})
    return {
        "name": event.type,
        "summary": (event.__doc__ or "").split("\n\n")[0],
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["ce_id", "ce_type", "ce_source", "ce_specversion"],
            "properties": {
                "ce_type": {"type": "string", "const": event.type},
                "ce_specversion": {"type": "string", "const": "1.0"},
                "ce_id": {"type": "string"},
                "ce_source": {"type": "string"},
                "ce_time": {"type": "string", "format": "date-time"},
                "ce_subject": {"type": "string", "description": "the run id"},
            },
        },
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": "the run id"}}},
    }


def _batch_message(kind: Bulk) -> dict[str, Any]:
    facts: type[RequestFacts | StackFacts] = type_of_facts[kind]
    header = BatchHeader(BatchKey(kind, "", 0, "", 0), rows=0, partitions=1)
    names = [name for name, _ in header.to_kafka()]
    columns = [
        {"name": field.name, "arrow": str(field.type), "nullable": field.nullable} | more
        for fields, more in ((schema_of[kind], {}), (optional_of[kind], {"optional": True}))
        for field in fields
    ]
    return {
        "name": f"loadflame.{kind}.batch",
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "required": names,
            "properties": {name: {"type": "string"} | _HEADERS.get(name, {}) for name in names},
        },
        "payload": {"description": "An Arrow IPC stream of one record batch, buffers compressed with zstd."},
        "x-arrow-columns": columns,
        "x-arrow-metadata": {"loadflame.facts": facts.model_json_schema()},
        "x-limits": {"bytes": LIMITS.message_bytes, "rows": LIMITS.rows},
    }


def _dead_letter() -> dict[str, Any]:
    says = {
        "id": "topic/partition/offset: the same letter, sent again, has the same",
        "topic": "where it was found",
        "partition": "where it was found",
        "offset": "where it was found",
        "timestamp": "the broker's, in microseconds since the Unix epoch; a topic made anew has the same offsets",
        "error": "why it could not be read, one sentence",
        "size": "how many bytes the value had; of a very long one only the beginning is here",
    }
    return {
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "description": "The message's own headers follow, each name behind `original-`.",
            "required": list(says),
            "properties": {name: {"type": "string", "description": text} for name, text in says.items()},
        },
        "payload": {"description": "The bytes as received."},
    }


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def text() -> str:
    """The document as YAML text."""
    note = "# Generated from the code by `make asyncapi`; do not edit.\n"
    return note + yaml.dump(document(), Dumper=_PlainDumper, sort_keys=False, width=110)


if __name__ == "__main__":
    PATH.write_text(text())
