"""How every producer ends: what Kafka acknowledged is said in an event, so that `verify` can hold the store to it.

What is spooled by then counts as acknowledged in that event, for the event waits in the spool behind it: whoever reads
it knows that the batches were acknowledged before it could be sent, by this process or by another one later.
"""

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
    """Wait for the acknowledgements, announce what came of them, and wait until that is acknowledged, too.

    The publisher may be used afterwards; close it.
    """
    published = await publisher.flush(timeout_s)
    skew = publisher.skew
    publisher.announce(
        ProducerEnded(
            run_id=run_id,
            producer_id=publisher.producer_id,
            role=role,
            batches_acknowledged=published.batches_acknowledged + published.batches_spooled,
            rows_acknowledged=published.rows_acknowledged + published.rows_spooled,
            batches_lost=published.batches_lost,
            rows_lost=published.rows_lost,
            batches_spooled=published.batches_spooled,
            rows_spooled=published.rows_spooled,
            clock_correction_us=skew.correction_us,
            clock_residual_us=skew.residual.offset_us if skew.residual else None,
            clock_error_us=skew.residual.error_us if skew.residual else None,
            totals=totals,
            note=note or published.note,
        )
    )
    await publisher.flush(timeout_s)
    return published
