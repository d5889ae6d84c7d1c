"""What lies in a spool, read from the disk: by the side of the process that fills or sends it, without holding it."""

import contextlib
from pathlib import Path

from producers.publisher.leftovers import folders_in
from producers.publisher.spool import segments_of
from producers.publisher.spool_records import DamagedRecordError, read_record
from schemas.batches import BatchHeader, BatchKey
from schemas.topics import Topics


def batches_in(place: Path, topics: Topics) -> dict[BatchKey, int]:
    """The batches on disk, with their rows."""
    found: dict[BatchKey, int] = {}
    for folder in folders_in(place):
        with contextlib.suppress(FileNotFoundError):  # sent meanwhile
            for path in segments_of(folder):
                found |= _read(path, topics)
    return found


def _read(path: Path, topics: Topics) -> dict[BatchKey, int]:
    found = {}
    with path.open("rb") as file, contextlib.suppress(DamagedRecordError):  # the last record is being written
        while (message := read_record(file)) is not None:
            if message.is_batch:
                header = BatchHeader.from_kafka(topics.kind(message.topic), message.headers)
                found[header.key] = message.rows
    return found
