"""What a load measures while Kafka is away from it lies on its disk: which may be full, outlive it, or say it twice.

Only the load is cut off, by a proxy of its own.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from schemas.batches import BatchHeader, BatchKey
from schemas.joined import JoinedWindow
from tests.faults.accounts import Seen, account
from tests.faults.duplicates import records_of
from tests.faults.fault import Fault, Outcome
from tests.faults.lane import Lane
from tests.faults.loads import BLOCK_S, RATE_TPS, LoadedLane, loaded_lane
from tests.faults.seat import WAIT_S
from tests.faults.site import Site
from tests.support.kafka_proxy import PRODUCE
from tests.support.polling import until
from tests.support.preludes import memory_for_kafka
from tests.support.small_disk import fill, small_disk
from tests.support.traffic import joined_events

MEMORY_BYTES = 48 << 10
"""Some ten windows of this load."""
FULL, LOSING, ROOM = "the spool takes nothing", "what is measured is being lost", "the spool takes messages again"
SPOOLED = 5
"""So many batches, at least, wait on disk as something happens."""
IN_MEMORY_S = 5
"""What a load has measured for so long may be in its memory only."""


async def _disk_full(site: Site, _: Fault, times: int) -> Outcome:
    """A real file system without room under the spool, then no memory either; then room, and then Kafka again."""
    recoveries_s = []
    async with (
        small_disk(4) as disk,
        site.door() as door,
        loaded_lane(
            site, 20 + times * 60, door=door, spool=disk / "spool", prelude=memory_for_kafka(MEMORY_BYTES)
        ) as loaded,
    ):
        (seat,) = loaded.lane.seats
        await loaded.begin()
        for number in range(1, times + 1):
            await seat.stored_since(time.monotonic())
            door.cut()
            await _spooled(loaded, 1)
            await _without_room(loaded, disk / "ballast", number)
            door.be_transparent()
            recoveries_s.append(await seat.stored_since(time.monotonic()))
            await until(lambda: not loaded.spooled(), WAIT_S, "an empty spool")
        return await loaded.outcome(times, recoveries_s, gives_up=True)


async def _without_room(loaded: LoadedLane, ballast: Path, times: int) -> None:
    """The load says each thing that happens to it, once each time."""
    fill(ballast)
    for words in (FULL, LOSING):
        await loaded.says(words, times)
    await asyncio.to_thread(ballast.unlink)
    await loaded.says(ROOM, times)


async def _spooled(loaded: LoadedLane, batches: int) -> None:
    await until(lambda: len(loaded.spooled()) >= batches, WAIT_S, f"{batches} batches on disk")


async def _sent_twice(site: Site, _: Fault, times: int) -> Outcome:
    """Kafka has it and the load does not know; the worker dies, and then it comes once more, from the disk."""

    async def unheard(kind: int, _: bytes) -> bool:
        return kind != PRODUCE

    async with site.door() as door, loaded_lane(site, BLOCK_S, door=door) as loaded:
        lane = loaded.lane
        (seat,) = lane.seats
        await loaded.begin()
        await seat.stored_since(time.monotonic())
        door.on_answer = unheard
        await asyncio.to_thread(loaded.load.end)
        came = await _came(lane)
        twice = came.keys() & loaded.spooled().keys()
        await _visible(lane, came)
        before = await lane.see()
        killed_s = seat.kill()
        door.be_transparent()
        await loaded.send_spool(door.bootstrap)
        await seat.start()
        recovery_s = await seat.stored_since(killed_s)

        async def unchanged(_: Lane) -> None:
            found = account(await _came(lane), await _announced(lane))
            lane.broken += (
                [f"{found.lost} batches lost, {found.repeated} repeated"] if found.lost or found.repeated else []
            )
            lane.broken += found.broken[:3]
            after = await lane.see()
            for window, one in before.joined.items():
                lane.expect(_as_joined(after.joined[window]) == _as_joined(one), f"window {window} has changed")
            lane.expect(twice, "nothing came twice, so nothing was tried")

        note = f", {len(twice)} batches came twice"
        return await loaded.outcome(times, [recovery_s], note, on_schedule=False, closing=unchanged)


async def _visible(lane: Lane, batches: Collection[BatchKey]) -> None:
    """Wait until all of these can be seen, and are in their joined windows."""
    async with asyncio.timeout(WAIT_S):
        while True:
            seen = await lane.see()
            if set(batches) <= set(seen.batches) and {key.window for key in batches} <= seen.joined.keys():
                return
            await asyncio.sleep(0.2)


def _as_joined(window: JoinedWindow) -> JoinedWindow:
    """But for how it was closed, which is no part of what it holds."""
    return replace(window, closed_by="late")


async def _came(lane: Lane) -> dict[BatchKey, int]:
    """The batches that Kafka has, with their rows."""
    bulk = [(lane.topics.kind(record.topic), record.headers) for record in await records_of(lane)]
    headers = [BatchHeader.from_kafka(kind, one) for kind, one in bulk]
    return {header.key: header.rows for header in headers}


async def _announced(lane: Lane) -> Seen:
    """What can be seen, and what was announced."""
    seen = await lane.see()
    seen.announced = await joined_events(lane.broker, lane.topics, lane.run_id)
    return seen


async def _load_killed(site: Site, _: Fault, times: int) -> Outcome:
    """It never comes back; somebody sends what it left. Only what it had in memory is gone, and nobody knows of it."""
    async with site.door() as door, loaded_lane(site, 60, door=door) as loaded:
        lane = loaded.lane
        (seat,) = lane.seats
        await loaded.begin()
        await seat.stored_since(time.monotonic())
        door.cut()
        await _spooled(loaded, SPOOLED)
        loaded.load.kill()
        waits = loaded.spooled()
        door.be_transparent()
        await loaded.send_spool(door.bootstrap)
        sent = await _came(lane)
        await _visible(lane, sent)
        await asyncio.to_thread(seat.worker.interrupt)
        found = account(sent | waits, await _announced(lane))
        lane.broken += found.broken[:3]
        for one in await lane.checks():
            unknown = one.ok is None and one.name in ("I0", "I1", "I3")  # it never said what it had sent
            lane.expect(unknown or one.ok is True, f"{one.name}: {one.sentence}")
        gone = loaded.target.requests - sum(sent.values())
        lane.expect(0 <= gone <= IN_MEMORY_S * RATE_TPS, f"{gone} outcomes are gone")
        note = f"{len(waits)} batches were on disk; {gone} of {loaded.target.requests} outcomes were in memory only"
        return lane.closed(Outcome(times, found.lost, found.repeated, note=note))


FAULTS = (
    Fault("acknowledgements lost, worker killed, sent again from the spool", _sent_twice, 3, 0, alone=False),
    Fault("load killed with batches in its spool", _load_killed, 3, 0, alone=False),
    Fault("disk full under the spool (a file system without room)", _disk_full, 2, 0, 2),
)
