"""What producers that can no longer say so have published: read back from the topic of requests."""

from collections.abc import Collection
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.batches import Batch, BatchHeader, BatchKey
from schemas.codec import decode
from schemas.errors import DecodeError
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.rows import RequestFacts
from schemas.topics import Topics

_CLOCK_SLACK_MS = 60_000
"""How far behind ours the broker's clock may be."""

_SUMMED = ("scheduled", "sent", "dropped")


@dataclass(frozen=True, slots=True)
class Published:
    """The batches of one producer, each once: how many, their rows, the failed ones of these, and the sums of facts."""

    batches: int = 0
    rows: int = 0
    failed: int = 0
    facts: RequestFacts = field(default_factory=RequestFacts)

    def with_batch(self, batch: Batch) -> "Published":
        """One batch more."""
        errors = batch.rows["error"]
        sums = {name: getattr(self.facts, name) + getattr(batch.facts, name) for name in _SUMMED}
        return Published(
            self.batches + 1,
            self.rows + batch.rows.num_rows,
            self.failed + len(errors) - errors.null_count,
            RequestFacts(**sums),
        )


async def published_by(
    bootstrap: str,
    topics: Topics,
    run_id: str,
    producers: Collection[str],
    *,
    since_us: int,
    security: KafkaSecurity = PLAINTEXT,
) -> dict[str, Published]:
    """What some producers (by id) published to a run that began at `since_us`. Raises KafkaError or OSError."""
    told = dict.fromkeys(producers, Published())
    seen: set[BatchKey] = set()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **security.client_options(),
    )
    try:
        await consumer.start()
        places = [TopicPartition(topics.name("requests"), number) for number in range(topics.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        since_ms = max(0, since_us // 1000 - _CLOCK_SLACK_MS)
        for place, first in (await consumer.offsets_for_times(dict.fromkeys(places, since_ms))).items():
            consumer.seek(place, ends[place] if first is None else first.offset)
        while waiting := [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(*waiting, timeout_ms=500)).values():
                for batch in filter(None, (_batch_of(record, run_id, told) for record in records)):
                    if batch.header.key not in seen:
                        seen.add(batch.header.key)
                        producer = batch.header.key.producer_id
                        told[producer] = told[producer].with_batch(batch)
    finally:
        await consumer.stop()
    return told


def _batch_of(record: ConsumerRecord, run_id: str, producers: Collection[str]) -> Batch | None:
    """The batch of a record, if it is of one of these producers and can be read."""
    try:
        header = BatchHeader.from_kafka("requests", [(name, value or b"") for name, value in record.headers])
        if header.tick or header.key.run_id != run_id or header.key.producer_id not in producers:
            return None
        return decode(header, record.value or b"")
    except DecodeError:
        return None
