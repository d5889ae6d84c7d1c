"""How batches and events leave a producer: one interface, a fake that ships, and Kafka."""

from producers.publisher.base import Published, Publisher, PublisherError
from producers.publisher.figures import PublisherFigures, health_of
from producers.publisher.kafka import KafkaPublisher, new_producer_id
from producers.publisher.last_words import say_last_words
from producers.publisher.memory import MemoryPublisher

__all__ = [
    "KafkaPublisher",
    "MemoryPublisher",
    "Published",
    "Publisher",
    "PublisherError",
    "PublisherFigures",
    "health_of",
    "new_producer_id",
    "say_last_words",
]
