"""How batches and events leave a producer: one interface, a fake that ships, and Kafka."""

from producers.publisher.base import Published, Publisher, PublisherError
from producers.publisher.kafka import KafkaPublisher
from producers.publisher.memory import MemoryPublisher

__all__ = ["KafkaPublisher", "MemoryPublisher", "Published", "Publisher", "PublisherError"]
