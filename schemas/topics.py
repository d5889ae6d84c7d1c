"""The topics: names, partition counts and configuration."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["requests", "stacks", "runs", "windows", "findings", "dead-letters"]
Bulk = Literal["requests", "stacks"]
BULK: tuple[Bulk, Bulk] = ("requests", "stacks")

_EVERY_TOPIC = {
    # The watermark is made of broker timestamps. Tansu accepts the setting and stamps with the producer's
    # time all the same, so the type is read from each record, never assumed.
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(1 << 20),
}
_BULK_TOPIC = {
    # The client inflates a compressed record batch before our bounded decoder sees it, so such a batch must be
    # refused by the broker; Arrow's own buffers carry the compression.
    "compression.type": "uncompressed",
}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it is to be created."""

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topic table of one deployment. `partitions` is the count of both bulk topics, which must be equal;
    `replication` is how many brokers keep a copy of each topic that is made.
    """

    prefix: str = "loadflame"
    partitions: int = 4
    replication: int = 1

    def name(self, kind: Kind) -> str:
        """Full name of a topic."""
        return f"{self.prefix}.{kind}"

    def kind(self, name: str) -> Kind:
        """The kind of a full topic name; raises KeyError for a topic of somebody else."""
        return {self.name(kind): kind for kind in _PARTITIONS}[name]

    def all(self) -> tuple[Topic, ...]:
        """Every topic with its partition count and configuration."""
        return tuple(
            Topic(
                self.name(kind),
                count or self.partitions,
                _EVERY_TOPIC | (_BULK_TOPIC if kind in BULK else {}),
            )
            for kind, count in _PARTITIONS.items()
        )


# None: as many as the bulk topics have (a dead letter keeps its source partition).
_PARTITIONS: dict[Kind, int | None] = {
    "requests": None,
    "stacks": None,
    "runs": 1,
    "windows": 1,
    "findings": 1,
    "dead-letters": None,
}
