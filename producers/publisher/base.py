"""The interface by which producers publish, and what they learn of it."""

from dataclasses import dataclass, replace
from typing import Protocol

import pyarrow as pa

from schemas.errors import UserError
from schemas.events import EventData
from schemas.rows import RequestFacts, StackFacts
from schemas.topics import Bulk


class PublisherError(UserError):
    """Kafka is not there, or its topics are not as they must be. Raised at the start only, never in mid-run."""


@dataclass(frozen=True, slots=True)
class Published:
    """What Kafka acknowledged and what was given up. A lost batch may still have arrived: nobody said so.

    `note` says why the first one was lost.
    """

    batches_acknowledged: int = 0
    rows_acknowledged: int = 0
    batches_lost: int = 0
    rows_lost: int = 0
    note: str = ""

    def with_acknowledged(self, rows: int) -> "Published":
        """One batch more was acknowledged."""
        return replace(
            self,
            batches_acknowledged=self.batches_acknowledged + 1,
            rows_acknowledged=self.rows_acknowledged + rows,
        )

    def with_lost(self, rows: int, why: str) -> "Published":
        """One batch more was lost."""
        return replace(self, batches_lost=self.batches_lost + 1, rows_lost=self.rows_lost + rows, note=self.note or why)


class Publisher(Protocol):
    """Takes what one producer has to say about one run. Every method is called from one thread, the event loop's.

    Facts add up over the batches of one window; a stacks producer gives them per instance. A producer sends exactly
    one `final` batch per window, its last one, empty if need be; `goodbye` goes with the last window's final batch.
    """

    @property
    def producer_id(self) -> str:
        """Random per process life: no two producers share one."""
        ...

    def publish(
        self,
        topic: Bulk,
        window: int,
        rows: pa.RecordBatch,
        facts: RequestFacts | StackFacts,
        *,
        final: bool,
        goodbye: bool = False,
    ) -> None:
        """Hand over the rows of a window. Returns at once and never raises because of Kafka.

        What is too much for one message is split: the facts travel on the first part, the marks on the last. Rows
        that cannot be delivered are counted as lost. Raises ValueError when the rows are not of the topic's schema.
        """

    def announce(self, event: EventData) -> None:
        """Hand over an event. Returns at once and never raises because of Kafka."""

    async def flush(self, timeout_s: float) -> Published:
        """Wait until all that was handed over is acknowledged. What is not within `timeout_s` is given up as lost."""
        ...

    async def close(self, timeout_s: float) -> Published:
        """Flush, then let go of the connections. What is handed over afterwards is lost, and counted in no figure."""
        ...
