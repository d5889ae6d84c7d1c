"""The interface by which producers publish, and what they learn of it."""

from dataclasses import dataclass, replace
from typing import Protocol

import pyarrow as pa

from producers.clock import Clock
from producers.publisher.skew import Skew
from schemas.errors import UserError
from schemas.events import EventData
from schemas.rows import RequestFacts, StackFacts
from schemas.topics import Bulk


class PublisherError(UserError):
    """Kafka is not there, or its topics are not as they must be. Raised at the start only, never in mid-run."""


@dataclass(frozen=True, slots=True)
class Published:
    """What Kafka acknowledged, what was given up, and what waits on disk to be sent later, by us or by others.

    A lost or spooled batch may still have arrived: nobody said so. `note` says why the first one was lost.
    """

    batches_acknowledged: int = 0
    rows_acknowledged: int = 0
    batches_lost: int = 0
    rows_lost: int = 0
    batches_spooled: int = 0
    rows_spooled: int = 0
    note: str = ""

    def with_acknowledged(self, rows: int) -> "Published":
        """One batch more was acknowledged."""
        return replace(
            self,
            batches_acknowledged=self.batches_acknowledged + 1,
            rows_acknowledged=self.rows_acknowledged + rows,
        )

    def with_lost(self, rows: int, why: str, *, batches: int = 1) -> "Published":
        """One batch more was lost, or several."""
        return replace(
            self,
            batches_lost=self.batches_lost + batches,
            rows_lost=self.rows_lost + rows,
            note=self.note or why,
        )

    def with_spooled(self, batches: int, rows: int) -> "Published":
        """So many wait on disk now."""
        return replace(self, batches_spooled=batches, rows_spooled=rows)

    def plus(self, other: "Published") -> "Published":
        """Both together."""
        return Published(
            self.batches_acknowledged + other.batches_acknowledged,
            self.rows_acknowledged + other.rows_acknowledged,
            self.batches_lost + other.batches_lost,
            self.rows_lost + other.rows_lost,
            self.batches_spooled + other.batches_spooled,
            self.rows_spooled + other.rows_spooled,
            self.note or other.note,
        )


class Publisher(Protocol):
    """Takes what one producer has to say about one run. Every method is called from one thread, the event loop's.

    Facts add up over the batches of one window; a stacks producer gives them per instance. A producer sends exactly
    one `final` batch per window, its last one, empty if need be; `goodbye` goes with the last window's final batch.
    """

    @property
    def producer_id(self) -> str:
        """Random per process life: no two producers share one."""
        ...

    @property
    def clock(self) -> Clock:
        """The time by which everything is stamped: Kafka's, if it tells it and the host's is notably off.

        It is set once, before the first window, and never steps.
        """
        ...

    @property
    def skew(self) -> Skew:
        """What was added to the host's clock to make `clock`, and how far that is off by now."""
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
        """Wait until all that was handed over is acknowledged.

        What is not within `timeout_s` waits on disk from then on, where there is a spool, and else is given up as lost.
        A Kafka that was waited for in vain just before is not waited for as long again.
        """
        ...

    async def close(self, timeout_s: float) -> Published:
        """Flush, then let go of the connections. What is handed over afterwards is lost, and counted in no figure.

        What is spooled stays on disk, for the next producer of this host, or for `loadflame spool send`.
        """
        ...
