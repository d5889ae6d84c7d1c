"""What a look at a run goes by, and what it gives: light enough for a worker, which has others look."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from analysis.judging.verdict import Verdict
from schemas.events import EventData, FindingsSettled, ProducerEnded, RunEnded
from sinks.clickhouse import ClickHouseStore
from views import queries

E = TypeVar("E", bound=EventData)


@dataclass(frozen=True, slots=True)
class Stored:
    """How much of a run is joined: so many windows, of so many batches."""

    windows: int
    batches: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How much is joined of a run that has ended, and how many of its producers have said their last words."""

    stored: Stored
    producers: int


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to be told after a look, the names of all that it found, the dearest first, and the verdict."""

    events: tuple[EventData, ...]
    names: tuple[str, ...]
    verdict: Verdict


def stored_of(store: ClickHouseStore, run_id: str) -> Stored:
    """How much of a run is joined. Raises StoreError."""
    (row,) = queries.fetch(store.client, queries.JOINED, run=run_id).to_pylist()
    return Stored(int(row["windows"]), int(row["batches"]))


def ending_of(store: ClickHouseStore, run_id: str) -> Ending:
    """How much there is of a run that has ended. Raises StoreError."""
    said = {event.producer_id for event in of_type(ProducerEnded, store.read_events(run_id))}
    return Ending(stored_of(store, run_id), len(said))


def is_all_said(store: ClickHouseStore, run_id: str, stored: Stored) -> bool:
    """Whether nothing can be left to tell of a run that has ended, of which so much is stored. Raises StoreError."""
    events = store.read_events(run_id)
    return is_settled(events, stored) and is_judged_elsewhere(events)


def is_settled(events: Sequence[EventData], stored: Stored) -> bool:
    """Whether all that is found was told of so much."""
    return any(Stored(event.windows, event.batches) == stored for event in of_type(FindingsSettled, events))


def is_judged_elsewhere(events: Sequence[EventData]) -> bool:
    """Whether whoever opened the run checks and judges it."""
    return any(event.judged for event in of_type(RunEnded, events))


def of_type(kind: type[E], events: Sequence[EventData]) -> list[E]:
    """Those of one type."""
    return [event for event in events if isinstance(event, kind)]
