"""What comes in from Kafka and what the pipeline asks its shell to do: plain records without a client's types."""

from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from schemas.batches import Headers
from schemas.events import EventData
from schemas.joined import ClosedBy
from sinks.store import DeadLetter, StoredBatch


class Place(NamedTuple):
    """A topic partition; `topic` is the full Kafka name."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """A message as received; `timestamp_us` is the broker's, in microseconds since the Unix epoch."""

    place: Place
    offset: int
    timestamp_us: int
    headers: Headers
    value: bytes


class WindowKey(NamedTuple):
    """A window of a run."""

    run_id: str
    window: int


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A window that is over, with all its batches; `closed_by` is `producers` or `grace`."""

    key: WindowKey
    batches: tuple[StoredBatch, ...]
    closed_by: ClosedBy


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the record as received, and why it could not be read."""

    record: Record
    error: str

    def as_row(self) -> DeadLetter:
        """Without its bytes, which stay in Kafka."""
        record = self.record
        return DeadLetter(
            record.place.topic,
            record.place.partition,
            record.offset,
            self.error,
            record.timestamp_us,
            len(record.value),
            **_said(record),
        )


class _Said(TypedDict, total=False):
    run_id: str
    rows: int
    window: int
    producer: str
    seq: int


def _said(record: Record) -> _Said:
    """What the headers of an unreadable message name of its batch, and of all that identifies it either all or none."""
    said = {name: value.decode(errors="replace") for name, value in record.headers if value and len(value) <= 256}
    run_id, producer = said.get("run", ""), said.get("producer", "")
    rows, window, seq = (_whole(said.get(name, "")) for name in ("rows", "window", "seq"))
    about = _Said(run_id=run_id, rows=rows or 0)
    if run_id and window is not None and seq is not None:
        about |= _Said(window=window, producer=producer, seq=seq)
    return about


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


@dataclass(frozen=True, slots=True)
class Flush:
    """Work for the store, taken from the pipeline in one piece, and handed back to it when it is durable.

    `late` windows are computed again from the store once `batches` are in it. `holds` are the offsets that wait for
    this flush, `epochs` the assignment of each place when it was taken: after a revoke they are nobody's any more.
    `nbytes` is the memory that waits for it.
    """

    batches: tuple[StoredBatch, ...]
    closed: tuple[ClosedWindow, ...]
    late: frozenset[WindowKey]
    letters: tuple[Letter, ...]
    events: tuple[tuple[EventData, int], ...]
    holds: tuple[tuple[Place, int], ...]
    epochs: dict[Place, int]
    nbytes: int

    def __bool__(self) -> bool:
        return bool(self.batches or self.closed or self.late or self.letters or self.events)
