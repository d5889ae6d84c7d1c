"""`schemas/asyncapi.yaml`: what other services may rely on, generated from the code (AsyncAPI 3.0, Kafka bindings).

`python -m schemas.asyncapi` writes the file; a test fails when it is stale.
"""

from pathlib import Path
from typing import Any

import yaml

from schemas.batches import CONTENT_TYPE, BatchHeader, BatchKey
from schemas.codec import LIMITS
from schemas.events import EVENTS, EventData
from schemas.rows import RequestFacts, StackFacts, schema_of, type_of_facts
from schemas.topics import BULK, Bulk, Kind, Topics

PATH = Path(__file__).with_name("asyncapi.yaml")
_SUMMARY: dict[Kind, str] = {
    "requests": "Outcomes of requests, one Arrow record batch a message, partitioned by window.",
    "stacks": "Stack samples, one Arrow record batch a message, partitioned by window.",
    "runs": "A run's course: started, stages, producers, ended, verdict.",
    "windows": "One event a joined window: TPS, latency, errors, hot functions, completeness.",
    "findings": "Which function limits a service, in plain sentences.",
    "dead-letters": "Messages that could not be read, bytes as received; headers say whence and why.",
}


def document() -> dict[str, Any]:
    """The AsyncAPI document as plain data."""
    topics = Topics()
    messages = {_name(event): _event_message(event) for event in EVENTS}
    messages |= {f"{kind}Batch": _batch_message(kind) for kind in BULK}
    messages["deadLetter"] = {"contentType": "application/octet-stream", "payload": {}}
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
        "components": {"messages": messages},
    }


def _name(event: type[EventData]) -> str:
    return event.__name__[0].lower() + event.__name__[1:]


def _event_message(event: type[EventData]) -> dict[str, Any]:
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
        "payload": event.model_json_schema(ref_template="#/$defs/{model}"),
        "bindings": {"kafka": {"key": {"type": "string", "description": "the run id"}}},
    }


def _batch_message(kind: Bulk) -> dict[str, Any]:
    facts: type[RequestFacts | StackFacts] = type_of_facts[kind]
    header = BatchHeader(BatchKey(kind, "", 0, "", 0), rows=0, partitions=1)
    names = [name for name, _ in header.to_kafka()]
    columns = [{"name": field.name, "arrow": str(field.type), "nullable": field.nullable} for field in schema_of[kind]]
    return {
        "name": f"loadflame.{kind}.batch",
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "required": names,
            "properties": {name: {"type": "string"} for name in names},
        },
        "payload": {"description": "An Arrow IPC stream of one record batch, buffers compressed with zstd."},
        "x-arrow-columns": columns,
        "x-arrow-metadata": {"loadflame.facts": facts.model_json_schema()},
        "x-limits": {"bytes": LIMITS.message_bytes, "rows": LIMITS.rows},
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
