"""What lies below a group's committed offsets: read back from the topics, for as long as they keep it."""

from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from processors.records import Place
from schemas.batches import BatchHeader, BatchKey
from schemas.errors import DecodeError
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from schemas.topics import BULK, Topics


@dataclass(frozen=True, slots=True)
class Topic:
    """Where the run's messages may still be read."""

    broker: str
    topics: Topics
    group: str
    security: KafkaSecurity = PLAINTEXT


class Seen(NamedTuple):
    """A batch where it lies in Kafka, and since when by the broker's time, in microseconds since the Unix epoch."""

    key: BatchKey
    place: Place
    offset: int
    timestamp_us: int


async def below_commits(where: Topic, run_id: str) -> list[Seen]:
    """The run's batches that the group has committed past. Raises KafkaError or OSError."""
    found: list[Seen] = []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=where.broker,
        group_id=where.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **where.security.client_options(),
    )
    try:
        await consumer.start()
        places = [TopicPartition(where.topics.name(kind), n) for kind in BULK for n in range(where.topics.partitions)]
        consumer.assign(places)
        commits = {place: await consumer.committed(place) or 0 for place in places}
        await consumer.seek_to_beginning(*places)
        while waiting := [place for place in places if await consumer.position(place) < commits[place]]:
            for place, records in (await consumer.getmany(*waiting, timeout_ms=500)).items():
                below = (record for record in records if record.offset < commits[place])
                found += [
                    seen for record in below if (seen := _seen(where.topics, record)) and seen.key.run_id == run_id
                ]
    finally:
        await consumer.stop()
    return found


def _seen(topics: Topics, record: ConsumerRecord) -> Seen | None:
    """The batch of a record; None for ticks, and for what nobody can tell the run of."""
    headers = [(name, value or b"") for name, value in record.headers]
    try:
        header = BatchHeader.from_kafka(topics.kind(record.topic), headers)
    except DecodeError:
        return None
    if header.tick:
        return None
    return Seen(header.key, Place(record.topic, record.partition), record.offset, record.timestamp * 1000)
