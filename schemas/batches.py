"""A batch: the unit of truth. Its identity and everything a worker needs without decoding travel as Kafka headers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

import pyarrow as pa

from schemas.errors import DecodeError
from schemas.rows import RequestFacts, StackFacts
from schemas.topics import BULK, Bulk

CONTENT_TYPE = "application/vnd.apache.arrow.stream"
Headers = list[tuple[str, bytes]]
_READ = frozenset({"kind", "run", "window", "producer", "seq", "rows", "final", "goodbye", "partitions"})


class BatchKey(NamedTuple):
    """Identity of a batch: however often it is sent, received or stored, it counts once.

    `producer_id` is random per process life and `seq` counts from 0 per (topic, run, window, producer).
    """

    topic: Bulk
    run_id: str
    window: int
    producer_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What the headers of a bulk message say.

    `final` marks the producer's last batch of the window (its `seq` + 1 batches were sent), `goodbye` its last
    window; `tick` marks an empty batch by which a worker moves a partition's broker clock, and nothing else.
    """

    key: BatchKey
    rows: int
    partitions: int
    final: bool = False
    goodbye: bool = False
    tick: bool = False

    def to_kafka(self) -> Headers:
        """As Kafka headers."""
        key = self.key
        return [
            ("kind", b"tick" if self.tick else b"data"),
            ("run", key.run_id.encode()),
            ("window", b"%d" % key.window),
            ("producer", key.producer_id.encode()),
            ("seq", b"%d" % key.seq),
            ("rows", b"%d" % self.rows),
            ("final", b"1" if self.final else b"0"),
            ("goodbye", b"1" if self.goodbye else b"0"),
            ("partitions", b"%d" % self.partitions),
            ("content-type", CONTENT_TYPE.encode()),
        ]

    @classmethod
    def from_kafka(cls, topic: str, headers: Iterable[tuple[str, bytes | None]]) -> Self:
        """Read the headers of a message of the bulk topic `topic` (`requests` or `stacks`); raises DecodeError.

        Headers of others (a tracer's, say) are passed over.
        """
        text = {}
        for name, value in headers:
            if name not in _READ:
                continue
            if value is None:
                raise DecodeError(f"header {name} has no value")
            if len(value) > 256:
                raise DecodeError(f"header {name!r:.40} has {len(value)} bytes, more than 256")
            text[name] = value.decode(errors="replace")
        if topic not in BULK:
            raise DecodeError(f"{topic!r} is no bulk topic")
        try:
            kind = text["kind"]
            if kind not in ("data", "tick"):
                raise DecodeError(f"header kind is {kind!r}, neither data nor tick")
            return cls(
                key=BatchKey(
                    "requests" if topic == "requests" else "stacks",
                    text["run"],
                    _whole(text, "window"),
                    text["producer"],
                    _whole(text, "seq"),
                ),
                rows=_whole(text, "rows"),
                partitions=_whole(text, "partitions"),
                final=text["final"] == "1",
                goodbye=text["goodbye"] == "1",
                tick=kind == "tick",
            )
        except KeyError as missing:
            raise DecodeError(f"header {missing.args[0]} is missing") from None


def _whole(text: dict[str, str], name: str) -> int:
    value = text[name]
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise DecodeError(f"header {name} is {value!r:.40}, not a whole number of at most 18 digits")
    return int(value)


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded batch: header, facts and rows (the Arrow schema `schemas.rows.REQUESTS` or `STACKS`)."""

    header: BatchHeader
    facts: RequestFacts | StackFacts
    rows: pa.RecordBatch
