"""Whether a message is a batch of ours that belongs where it lies: what fails here becomes a dead letter. Pure."""

from processors.records import Record
from schemas.batches import Batch, BatchHeader
from schemas.codec import decode
from schemas.errors import DecodeError
from schemas.events import from_message
from schemas.topics import Bulk, Topics
from schemas.windows import partition_of

AHEAD_US = 30_000_000
"""A window that begins this much after its own record's broker time is of a producer whose clock is wrong."""


def batch_in(kind: Bulk, record: Record, window_us: int) -> Batch | None:
    """The batch of a message of a bulk topic; None of a tick. Raises DecodeError."""
    header = BatchHeader.from_kafka(kind, record.headers)
    if header.tick:
        return None
    _check_place(header, record, window_us)
    return decode(header, record.value)


def _check_place(header: BatchHeader, record: Record, window_us: int) -> None:
    key = header.key
    if not key.run_id:
        raise DecodeError("header run is empty")
    expected = partition_of(key.run_id, key.window, header.partitions) if header.partitions else -1
    if expected != record.place.partition:
        raise DecodeError(f"window {key.window} belongs to partition {expected}, not {record.place.partition}")
    ahead_us = key.window * window_us - record.timestamp_us
    if ahead_us > AHEAD_US:
        raise DecodeError(f"window {key.window} begins {ahead_us / 1e6:.0f} s after the broker's time")


def check_message(topics: Topics, record: Record, window_us: int) -> Batch | None:
    """Raise DecodeError when a worker would put this message aside; gives the batch, where it is one.

    A message of a topic that no worker reads is refused as well.
    """
    try:
        kind = topics.kind(record.place.topic)
    except KeyError:
        raise DecodeError(f"{record.place.topic} is no topic of this deployment") from None
    if kind in ("requests", "stacks"):
        return batch_in(kind, record, window_us)
    from_message(record.headers, record.value)
    return None
