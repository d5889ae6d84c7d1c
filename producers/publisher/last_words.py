"""How every producer ends: what Kafka acknowledged is said in an event, so that `verify` can hold the store to it."""

from typing import Literal

from producers.publisher.base import Published, Publisher
from schemas.events import LoadTotals, ProducerEnded


async def say_last_words(
    publisher: Publisher,
    run_id: str,
    role: Literal["load", "profiler"],
    *,
    timeout_s: float,
    totals: LoadTotals | None = None,
    note: str = "",
) -> Published:
    """Wait for the acknowledgements, announce what came of them, and close the publisher."""
    published = await publisher.flush(timeout_s)
    publisher.announce(
        ProducerEnded(
            run_id=run_id,
            producer_id=publisher.producer_id,
            role=role,
            batches_acknowledged=published.batches_acknowledged,
            rows_acknowledged=published.rows_acknowledged,
            batches_lost=published.batches_lost,
            rows_lost=published.rows_lost,
            totals=totals,
            note=note or published.note,
        )
    )
    await publisher.close(timeout_s)
    return published
