"""What comes again: batches that are sent once more, a group that is put back or forgotten. Nothing visible changes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from schemas.topics import BULK
from tests.faults.accounts import Seen
from tests.faults.fault import Fault, Outcome
from tests.faults.lane import Lane
from tests.faults.seat import WAIT_S
from tests.faults.site import Site
from tests.support.consumer_groups import commits, delete, rewind
from tests.support.kafka_proxy import PRODUCE, KafkaProxy

Again = Callable[[Lane], Awaitable[None]]


async def _unchanged(again: Again, site: Site, _: Fault, times: int) -> Outcome:
    """A run that is stored, and then comes again; whoever reads it sees what it saw before."""
    async with site.lane() as lane:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin()
        await asyncio.sleep(3.0)
        await lane.finish()
        before = _visible(await lane.see())
        for _ in range(times):
            await again(lane)
            began_s = time.monotonic()
            await seat.start()
            await asyncio.to_thread(seat.worker.end)
            lane.expect(seat.last_stored_s > began_s, "nothing came again, so nothing was tried")
            lane.expect(_visible(await lane.see()) == before, "what can be seen has changed")
        return await lane.outcome(times)


def _visible(seen: Seen) -> object:
    """All of it but for how a window was closed, which is no part of what it holds."""
    joined = {window: asdict(one) | {"closed_by": ""} for window, one in seen.joined.items()}
    return sorted(seen.batches), seen.rows, joined


async def _sent_again(lane: Lane) -> None:
    """All messages once more, byte by byte, as from the spool of a producer that never heard an acknowledgement."""
    records = await records_of(lane)
    producer = AIOKafkaProducer(bootstrap_servers=lane.broker.bootstrap)
    await producer.start()
    try:
        for record in records:
            headers = list(record.headers)
            await producer.send(record.topic, record.value, partition=record.partition, headers=headers)
    finally:
        await producer.stop()


async def records_of(lane: Lane) -> list[ConsumerRecord]:
    """Everything in the bulk topics but ticks."""
    consumer = AIOKafkaConsumer(bootstrap_servers=lane.broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[ConsumerRecord] = []
    try:
        places = [TopicPartition(lane.topics.name(kind), n) for kind in BULK for n in range(lane.topics.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        while waiting := [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(*waiting, timeout_ms=200)).values():
                found += [record for record in records if dict(record.headers)["kind"] == b"data"]
    finally:
        await consumer.stop()
    return found


async def _put_back(lane: Lane) -> None:
    """The group's offsets, to where each topic begins."""
    group = lane.broker.bootstrap, lane.settings.group
    await rewind(*group, dict.fromkeys(await commits(*group), 0))


async def _forgotten(lane: Lane) -> None:
    await delete(lane.broker.bootstrap, lane.settings.group)


async def _unacknowledged(site: Site, _: Fault, times: int) -> Outcome:
    """Kafka has a batch and its producer does not know: so it sends it again."""
    async with site.lane() as lane, site.door() as door:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin(lane.broker_at(door))
        for _ in range(times):
            await _lose_an_answer(door)
            await asyncio.sleep(0.5)
        await lane.finish()
        return await lane.outcome(times)


async def _lose_an_answer(door: KafkaProxy) -> None:
    lost = asyncio.Event()

    async def on_answer(kind: int, _: bytes) -> bool:
        if kind != PRODUCE or lost.is_set():
            return True
        lost.set()
        return False

    door.on_answer = on_answer
    async with asyncio.timeout(WAIT_S):
        await lost.wait()


FAULTS = (
    Fault("acknowledgement lost, batch sent again", _unacknowledged, 20, 3, 20, alone=False),
    Fault("everything sent again", partial(_unchanged, _sent_again), 3, 1, 3, alone=False),
    Fault("group put back to the beginning", partial(_unchanged, _put_back), 3, 1, 3, alone=False),
    Fault("group and its offsets deleted", partial(_unchanged, _forgotten), 3, 0, 3, alone=False),
)
