"""What is heard on the topics of events, by a subscriber that wants all of it: events, and dead letters."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.errors import DecodeError
from schemas.events import EventData, from_message
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.topics import Topics

Watchable = Literal["findings", "runs", "windows", "dead-letters"]
"""Topics for everybody, the most telling first."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One message. `event` is None of a dead letter, of a type that this version does not know, and of a damaged
    event, of which `trouble` says what is wrong with it.
    """

    kind: Watchable
    headers: dict[str, bytes]
    value: bytes
    event: EventData | None = None
    trouble: str = ""

    @property
    def id(self) -> str:
        """By which a repeated message is known; "" of one that has none."""
        return self.header("id" if self.kind == "dead-letters" else "ce_id")

    @property
    def run_id(self) -> str:
        """The run that it is about, "" when it does not say."""
        if self.event is not None:
            return self.event.run_id
        return self.header("original-run" if self.kind == "dead-letters" else "ce_subject")

    def header(self, name: str) -> str:
        """A header's text, "" when there is none."""
        return self.headers.get(name, b"").decode(errors="replace")

    def as_json(self) -> dict[str, Any]:
        """A CloudEvent in its JSON form (specification 1.0.2, "JSON Event Format"); a dead letter as its headers."""
        if self.kind == "dead-letters":
            headers = {name: self.header(name) for name in self.headers}
            return {"topic": self.kind, "id": self.id, "headers": headers, "bytes": len(self.value)}
        attributes = {name.removeprefix("ce_"): self.header(name) for name in self.headers if name.startswith("ce_")}
        data = json.loads(self.event.model_dump_json() if self.event is not None else self.value)
        return {**attributes, "datacontenttype": "application/json", "data": data}


class Known:
    """Tells messages that come again, as they do after a crash. A verdict comes again under its id when it has changed:
    that is news. So many ids are remembered as `most` says; what comes again comes soon.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._said: OrderedDict[str, int] = OrderedDict()

    def is_new(self, message: Heard) -> bool:
        """Whether its id said something else before, or nothing; of a message without one nobody can say, so it is."""
        said = hash(message.value)
        if message.id and self._said.get(message.id) == said:
            return False
        self._said[message.id] = said
        if len(self._said) > self._most:
            self._said.popitem(last=False)
        return True


def heard(kind: Watchable, headers: Sequence[tuple[str, bytes | None]], value: bytes | None) -> Heard:
    """A message as it is to be told; a damaged one as well."""
    known = {name: text or b"" for name, text in headers}
    if kind == "dead-letters":
        return Heard(kind, known, value or b"")
    try:
        event = from_message(headers, value)
        if event is None:
            json.loads(value or b"")
    except (DecodeError, ValueError, RecursionError) as error:
        return Heard(kind, known, value or b"", trouble=str(error)[:200] or "it is no JSON")
    return Heard(kind, known, value or b"", event)


async def heard_on(
    broker: str,
    topics: Topics,
    kinds: Sequence[Watchable],
    *,
    from_start: bool,
    ready: asyncio.Event,
    security: KafkaSecurity = PLAINTEXT,
) -> AsyncGenerator[Heard, None]:
    """Each message of some topics, once, until it is closed; `ready` is set when nothing more can be missed.

    `from_start` begins with the oldest that Kafka has. Of what is there at once the older comes first. Raises
    KafkaError when Kafka cannot be asked.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker, enable_auto_commit=False, auto_offset_reset="earliest", **security.client_options()
    )
    wanted = {topic.name: topic.partitions for topic in topics.all() if topics.kind(topic.name) in kinds}
    kind_of = {topics.name(kind): kind for kind in kinds}
    places = [TopicPartition(name, number) for name, partitions in wanted.items() for number in range(partitions)]
    known = Known()
    try:
        await consumer.start()
        consumer.assign(places)
        first = await (consumer.beginning_offsets if from_start else consumer.end_offsets)(places)
        for place, offset in first.items():
            consumer.seek(place, offset)
        ready.set()
        while True:
            fetched = await consumer.getmany(timeout_ms=1000)
            records = sorted((one for some in fetched.values() for one in some), key=lambda one: one.timestamp)
            for record in records:
                message = heard(kind_of[record.topic], record.headers, record.value)
                if known.is_new(message):
                    yield message
    finally:
        await asyncio.shield(consumer.stop())
