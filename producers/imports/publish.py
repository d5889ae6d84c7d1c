"""Outcomes of another tool to Kafka, as a load producer of our own would publish them."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from producers.imports.outcome import Dropped, Outcome
from producers.imports.reading import ImportFileError
from producers.imports.windows import OutcomeWindows
from producers.publisher import Publisher
from schemas.events import LoadTotals, StageEntered
from schemas.rows import RequestFacts

CHUNK = 5_000
"""Outcomes that are read, and windows that are ended, before Kafka must have acknowledged them."""
FLUSH_S = 60.0


@dataclass(frozen=True, slots=True)
class Imported:
    """What was published. Times are microseconds of the Unix epoch: the first arrival's, and the last answer's."""

    totals: LoadTotals
    started_at_us: int
    ended_at_us: int


async def publish_outcomes(
    outcomes: Iterator[Outcome | Dropped],
    *,
    publisher: Publisher,
    run_id: str,
    engine: str,
    window_us: int,
    stop: asyncio.Event,
    on_progress: Callable[[int], None] | None = None,
) -> Imported | None:
    """Publish every outcome, one final batch for every window, and one stage over all of it; None for no outcome.

    Reads on until the end or `stop`, a chunk at a time in a thread, and never faster than Kafka acknowledges.
    `on_progress` hears how many requests were published. The stage is called a ramp, for nothing is known of the
    tool's schedule: rate and time may have moved together. Raises ImportFileError when Kafka takes too long.
    """
    windows = OutcomeWindows(engine, window_us=window_us)
    while not stop.is_set() and (chunk := await asyncio.to_thread(_take, outcomes)):
        for told in chunk:
            if isinstance(told, Dropped):
                windows.drop(told)
            else:
                windows.add(told)
        for window, rows in windows.ripe():
            publisher.publish("requests", window, rows, RequestFacts(engine=engine), final=False)
        await _acknowledged(publisher)
        if on_progress is not None:
            on_progress(windows.requests)
    if not windows.requests:
        return None
    await _publish_rest(windows, publisher, engine, window_us)
    publisher.announce(_stage(windows, run_id, engine))
    totals = LoadTotals(
        scheduled=windows.requests + windows.dropped,
        sent=windows.requests,
        completed=windows.requests - windows.failed,
        failed=windows.failed,
        dropped=windows.dropped,
    )
    return Imported(totals, windows.first_us, windows.last_us)


def _take(outcomes: Iterator[Outcome | Dropped]) -> list[Outcome | Dropped]:
    return list(islice(outcomes, CHUNK))


async def _publish_rest(windows: OutcomeWindows, publisher: Publisher, engine: str, window_us: int) -> None:
    last = windows.last_us // window_us
    for count, end in enumerate(windows.rest(), start=1):
        facts = RequestFacts(
            engine=engine,
            scheduled=end.sent + end.dropped,
            sent=end.sent,
            dropped=end.dropped,
            in_flight=end.in_flight,
        )
        publisher.publish("requests", end.window, end.rows, facts, final=True, goodbye=end.window == last)
        if count % CHUNK == 0:
            await _acknowledged(publisher)
    await _acknowledged(publisher)


async def _acknowledged(publisher: Publisher) -> None:
    published = await publisher.flush(FLUSH_S)
    if published.batches_lost:
        raise ImportFileError(f"Kafka did not take the file ({published.note}); see that it is up, and import again")


def _stage(windows: OutcomeWindows, run_id: str, engine: str) -> StageEntered:
    ends_at_us = max(windows.last_due_us, windows.first_us + 1)
    rate_tps = (windows.requests + windows.dropped) / max((ends_at_us - windows.first_us) / 1e6, 1.0)
    return StageEntered(
        run_id=run_id,
        label=engine,
        stage=engine,
        form="ramp",
        visit=0,
        starts_at_us=windows.first_us,
        ends_at_us=ends_at_us,
        rate_from_tps=rate_tps,
        rate_to_tps=rate_tps,
    )
