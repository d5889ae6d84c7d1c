"""What a look at a run goes by, and what it gives: light enough for a worker, which has others look."""

from dataclasses import dataclass

from schemas.events import EventData, FindingsSettled
from sinks.clickhouse import ClickHouseStore
from views import queries


@dataclass(frozen=True, slots=True)
class Stored:
    """How much of a run is joined: so many windows, of so many batches."""

    windows: int
    batches: int


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to be told after a look, and the names of all that it found."""

    events: tuple[EventData, ...]
    names: frozenset[str]


def stored_of(store: ClickHouseStore, run_id: str) -> Stored:
    """How much of a run is joined. Raises StoreError."""
    (row,) = queries.fetch(store.client, queries.JOINED, run=run_id).to_pylist()
    return Stored(int(row["windows"]), int(row["batches"]))


def is_settled(store: ClickHouseStore, run_id: str, stored: Stored) -> bool:
    """Whether all was said of a run of which so much is stored. Raises StoreError."""
    said = [event for event in store.read_events(run_id) if isinstance(event, FindingsSettled)]
    return any(Stored(event.windows, event.batches) == stored for event in said)
