"""The store as processors see it: one interface, a small one in memory and the real one on ClickHouse.

Every method blocks, so callers keep a thread for it, and one thread only. A write either is durable when the method
returns or raises StoreError, whose `retriable` and `retry_after_s` say what to do; after an error nothing of it is
visible, or all of it is, and writing the same again is always right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from schemas.batches import Batch
from schemas.events import EventData
from schemas.joined import JoinedWindow
from schemas.minutes import JoinedMinute, MinuteKey


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch with the place in Kafka that it came from."""

    batch: Batch
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class WindowBatches:
    """All of the truth about one window: its visible batches, ordered by producer and seq."""

    requests: list[Batch]
    stacks: list[Batch]


class Coverage(NamedTuple):
    """How many batches of a window are visible, and how many its joined record covers (0 when there is none)."""

    visible: int
    covered: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be read. `topic` is the full Kafka name, `size_bytes` the length of its value.

    `run_id` and `rows` are what its headers say; "" and 0 when they cannot be read either. So are `window`, `producer`
    and `seq`, which with the topic and the run name the batch; `producer` is "" when not all of them can be read.

    `received_at_us` is the broker's timestamp of the record: the same at every reading, and another one when a topic
    was made anew and counts its offsets from 0 again.
    """

    topic: str
    partition: int
    offset: int
    error: str
    received_at_us: int
    size_bytes: int
    run_id: str = ""
    rows: int = 0
    window: int = 0
    producer: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class LetterCount:
    """Dead letters of a run: the batches that they stand for, the rows that these brought, and the letters of which
    nobody knows the run.

    A batch that was put aside twice counts once. One that is visible all the same, because it was sent again, is
    `recovered`, and counts there only.
    """

    batches: int
    rows: int
    unknown: int
    recovered: int = 0


def nothing() -> None:
    """What there is to do meanwhile, as a rule."""


class Store(Protocol):
    """Where the pipeline keeps what it has learnt."""

    def write_batches(self, batches: Sequence[StoredBatch], meanwhile: Callable[[], None] = nothing) -> None:
        """Store batches, each once however often it is written (its identity is `batch.header.key`).

        `meanwhile` is called once before all is well, if the store has a machine of its own while that is at work.
        """

    def write_windows(self, windows: Sequence[JoinedWindow]) -> None:
        """Store joined windows; of two records of one window the one that covers more batches stays visible.

        Of two that cover equally many (their content is the same) the later one does.
        """

    def write_minutes(self, keys: Sequence[MinuteKey]) -> None:
        """Make minutes, again if need be, from their visible windows; those without one are left out.

        Of two records of one minute the one whose windows cover more batches stays visible, of two that cover equally
        many the later one. Of a minute whose samples have outlived their time the stacks stay as they were.
        """

    def write_events(self, events: Sequence[EventData], times_us: Sequence[int]) -> None:
        """Store events, once per event id; `times_us` are their CloudEvents times, the latest of an id wins."""

    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Store dead letters, once per topic, partition, offset and time."""

    def read_window(self, run_id: str, window: int) -> WindowBatches:
        """The visible truth of a window, exactly as it was written but for the order of rows; empty if none.

        Raises RowsGoneError when rows have outlived their time to live: such a window cannot be computed again.
        """

    def read_joined(self, run_id: str, window: int) -> JoinedWindow | None:
        """The visible joined window; its endpoints and functions come ordered by their names."""

    def unmade_minutes(self, run_id: str | None = None) -> list[MinuteKey]:
        """Minutes of a run, or of all, whose visible windows cover more batches than their record does; in order."""

    def read_minutes(self, run_id: str, first: int, last: int) -> dict[int, JoinedMinute]:
        """The visible minutes from `first` to `last`; their endpoints, functions and stacks come ordered."""

    def read_coverage(self, run_id: str) -> dict[int, Coverage]:
        """Coverage by window; those without a visible batch are left out."""

    def count_visible(self, run_id: str, windows: Sequence[int]) -> dict[int, int]:
        """How many batches of these windows are visible; windows without any are left out."""

    def read_events(self, run_id: str) -> list[EventData]:
        """The events of a run, each once, ordered by time and id."""

    def count_batches(self, run_id: str) -> dict[str, int]:
        """How many batches of a run are visible, by producer."""

    def sweep(self) -> int:
        """Delete the rows that crashed writes left behind an hour ago or more; returns how many."""

    def count_dead_letters(self, run_id: str, *, since_us: int) -> LetterCount:
        """The dead letters of a run; `unknown` are those that came since then, by the broker's time in us."""
