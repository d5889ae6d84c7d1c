"""The delivery invariants of a run, checked from the store, the run's own totals and, while they last, the topics.

I0  what the target counted = sent
I1  visible batches = distinct batches that Kafka acknowledged, and their rows are complete
I2  every joined window = the same window computed again from the visible batches
I3  scheduled = completed + failed + dropped + in flight at the end, and completed + failed are stored
I4  everything below the committed offsets is durable (needs the broker)
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from processors.join import join_window
from schemas.batches import BatchHeader
from schemas.errors import DecodeError
from schemas.events import EventData, LoadTotals, ProducerEnded, RunStarted
from schemas.topics import BULK, Topics
from sinks.clickhouse import ClickHouseStore

READ_S = 20.0


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: whether it holds (None: it could not be checked), and the figures in one sentence."""

    name: str
    ok: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Topic:
    """Where the run's messages may still be read."""

    broker: str
    topics: Topics
    group: str


def verify_run(store: ClickHouseStore, run_id: str, where: Topic | None = None) -> list[Check]:
    """Check a run. Blocks; reads every window of it. Must not be called in a running event loop."""
    events = store.read_events(run_id)
    producers = [event for event in events if isinstance(event, ProducerEnded)]
    loads = [event.totals for event in producers if event.totals is not None]
    return [
        _counted(loads),
        _stored_once(store, run_id, producers, events),
        _recomputed(store, run_id, events),
        _accounted(store, run_id, loads),
        _committed(store, run_id, where),
    ]


def _counted(loads: Sequence[LoadTotals]) -> Check:
    counts = [total.target_counted for total in loads if total.target_counted is not None]
    if not counts or len(counts) < len(loads):
        return Check("I0", None, "the target does not count its requests (target_count_path in the plan)")
    sent, counted = sum(total.sent for total in loads), sum(counts)
    return Check("I0", sent == counted, f"{sent} requests were sent, the target counted {counted}")


def _stored_once(
    store: ClickHouseStore, run_id: str, producers: Sequence[ProducerEnded], events: Sequence[EventData]
) -> Check:
    visible = store.count_batches(run_id)
    acknowledged = {event.producer_id: event.batches_acknowledged for event in producers}
    rows = sum(event.rows_acknowledged for event in producers)
    announced = _number(store, "SELECT sum(rows) FROM batches WHERE run = {run:String}", run_id)
    found = _number(store, "SELECT count() FROM requests WHERE run = {run:String}", run_id)
    found += _number(store, "SELECT count() FROM samples WHERE run = {run:String}", run_id)
    started_us = min((event.started_at_us for event in events if isinstance(event, RunStarted)), default=0)
    letters = store.count_dead_letters(since_us=started_us)
    unknown = sorted(set(visible) - set(acknowledged))
    sentence = (
        f"{sum(acknowledged.values())} batches ({rows} rows) were acknowledged, {sum(visible.values())} ({found} rows) "
        f"are visible, {letters} dead letters"
    )
    if unknown:
        return Check("I1", None, f"{sentence}; the tail of producers that did not say their end is unknown: {unknown}")
    missing = {name: count - visible.get(name, 0) for name, count in acknowledged.items()}
    lost = sum(event.batches_lost for event in producers)
    # A batch that was given up may have arrived all the same: nobody said so.
    exact = all(-lost <= count for count in missing.values()) and sum(map(abs, missing.values())) <= letters + lost
    complete = announced == found and (found == rows or bool(letters or lost))
    if lost:
        sentence += f"; {lost} batches were given up and declared lost by their producers"
    return Check("I1", exact and complete, sentence)


def _recomputed(store: ClickHouseStore, run_id: str, events: Sequence[EventData]) -> Check:
    window_us = next((event.window_us for event in events if isinstance(event, RunStarted)), None)
    if window_us is None:
        return Check("I2", None, "the run's start is not in the store, so the length of its windows is unknown")
    sql = "SELECT DISTINCT window FROM batches WHERE run = {run:String} ORDER BY window"
    windows = [int(row[0]) for row in store.client.query(sql, {"run": run_id}).result_rows]
    different = []
    for window in windows:
        truth, joined = store.read_window(run_id, window), store.read_joined(run_id, window)
        again = join_window(run_id, window, window_us, truth.requests, truth.stacks, closed_by="late")
        if joined is None or replace(joined, closed_by="late") != again:
            different.append(window)
    sentence = f"{len(windows)} joined windows computed again from the batches, {len(different)} differ"
    return Check("I2", not different, sentence + (f": {different[:5]}" if different else ""))


def _accounted(store: ClickHouseStore, run_id: str, loads: Sequence[LoadTotals]) -> Check:
    if not loads:
        return Check("I3", None, "no load producer said its totals")
    total = {
        name: sum(getattr(load, name) for load in loads) for name in LoadTotals.model_fields if name != "target_counted"
    }
    stored = _number(store, "SELECT count() FROM requests WHERE run = {run:String}", run_id)
    ended = total["completed"] + total["failed"]
    closes = total["scheduled"] == ended + total["dropped"] + total["in_flight_at_end"] and stored == ended
    return Check(
        "I3",
        closes,
        f"{total['scheduled']} scheduled = {total['completed']} completed + {total['failed']} failed + "
        f"{total['dropped']} dropped + {total['in_flight_at_end']} in flight; {stored} stored",
    )


def _number(store: ClickHouseStore, sql: str, run_id: str) -> int:
    return int(store.client.query(sql, {"run": run_id}).result_rows[0][0])


def _committed(store: ClickHouseStore, run_id: str, where: Topic | None) -> Check:
    if where is None:
        return Check("I4", None, "no broker was named, so the topics could not be read")
    try:
        below = asyncio.run(asyncio.wait_for(_below_commits(where, run_id), READ_S))
    except (KafkaError, OSError, TimeoutError) as error:
        return Check("I4", None, f"the topics could not be read: {str(error) or 'no answer in time'}")
    sql = "SELECT topic, window, producer, seq FROM batches WHERE run = {run:String}"
    visible = {tuple(row) for row in store.client.query(sql, {"run": run_id}).result_rows}
    lost = len(below - visible)
    return Check("I4", not lost, f"{len(below)} batches lie below the committed offsets, {lost} of them are not stored")


async def _below_commits(where: Topic, run_id: str) -> set[tuple[str, int, str, int]]:
    """Identities of the run's readable batches that the group has committed past."""
    found: set[tuple[str, int, str, int]] = set()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=where.broker, group_id=where.group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        places = [TopicPartition(where.topics.name(kind), n) for kind in BULK for n in range(where.topics.partitions)]
        consumer.assign(places)
        commits = {place: await consumer.committed(place) or 0 for place in places}
        await consumer.seek_to_beginning(*places)
        while waiting := [place for place in places if await consumer.position(place) < commits[place]]:
            for place, records in (await consumer.getmany(*waiting, timeout_ms=500)).items():
                kind = where.topics.kind(place.topic)
                for record in records:
                    try:
                        header = BatchHeader.from_kafka(kind, record.headers)
                    except DecodeError:
                        continue  # a dead letter
                    key = header.key
                    if record.offset < commits[place] and key.run_id == run_id and not header.tick:
                        found.add((key.topic, key.window, key.producer_id, key.seq))
    finally:
        await consumer.stop()
    return found
