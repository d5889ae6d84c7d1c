"""What can be counted of a publisher, and what it says of how Kafka fares."""

from dataclasses import dataclass

from producers.publisher.base import Published
from schemas.watching import Health

_QUIET_S = 10.0
"""How long something may wait until it counts as trouble: as long as one request of the client may take."""


@dataclass(frozen=True, slots=True)
class PublisherFigures:
    """A publisher at one moment: what waits for Kafka in memory, and for how long nothing of it was acknowledged.

    `spooled_bytes` is what waits on the disk; None when there is no spool.
    """

    published: Published
    waiting_messages: int
    waiting_bytes: int
    quiet_s: float
    spooled_bytes: int | None = None


def health_of(figures: PublisherFigures) -> Health:
    """Degraded while Kafka acknowledges nothing of what waits; never stuck, for the client tries for ever."""
    waiting = f"{figures.waiting_messages} messages wait for Kafka"
    if figures.waiting_messages and figures.quiet_s > _QUIET_S:
        return Health("degraded", f"{waiting}, which has acknowledged nothing for {figures.quiet_s:.0f} s")
    return Health("working", waiting)
