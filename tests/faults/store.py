"""A store that is away, slow or full, and answers that get lost on the way back from it."""

import asyncio
import time
from functools import partial
from pathlib import Path

from processors.worker import WorkerConfig
from tests.faults.fault import Fault, Outcome
from tests.faults.lane import Lane
from tests.faults.loads import loaded_lane
from tests.faults.seat import WAIT_S, WORKER_BYTES, Seat
from tests.faults.site import Site
from tests.support.clickhouse_http import StoreProcess
from tests.support.kafka_proxy import FETCH
from tests.support.polling import until
from tests.support.small_disk import fill, small_disk
from tests.support.store_proxy import Decision, Refusal

MIB = 1 << 20
TABLES = (
    "requests_stored", "stacks_stored", "samples_stored", "batches_stored", "endpoints_stored", "functions_stored",
    "windows_stored",
)  # fmt: skip
FULL = Refusal(243, "Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)")


async def _dropped(_: str) -> Decision:
    return "drop"


async def _away(away_s: float, site: Site, _: Fault, times: int) -> Outcome:
    """More comes meanwhile than the worker may hold: it stops reading, and its memory stays within its budget."""
    recoveries_s, most = [], 0
    async with site.lane(rows=8_000) as lane:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin()
        for _ in range(times):
            await seat.stored_since(time.monotonic())
            seat.store.on_statement = _dropped
            most = max(most, await _watched(seat, away_s))
            seat.store.be_transparent()
            recoveries_s.append(await seat.stored_since(time.monotonic()))
            await lane.check_durable("the store was away")
        await lane.finish()
        lane.expect(most < WORKER_BYTES, f"the worker took {most // MIB} MiB")
        return await lane.outcome(times, recoveries_s, f"at most {most // MIB} MiB")


async def _watched(seat: Seat, for_s: float) -> int:
    """The most memory that the worker took meanwhile."""
    until_s, most = time.monotonic() + for_s, 0
    while time.monotonic() < until_s:
        most = max(most, seat.rss_bytes())
        await asyncio.sleep(0.1)
    return most


async def _answer_lost(site: Site, _: Fault, times: int) -> Outcome:
    """An insert is carried out, and the worker never hears of it: each table in turn."""
    async with site.lane() as lane:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin()
        for number in range(times):
            await _lose_answer(seat, TABLES[number % len(TABLES)])
        await lane.finish()
        return await lane.outcome(times)


async def _lose_answer(seat: Seat, table: str) -> None:
    lost = asyncio.Event()

    async def on_answer(of: str) -> Decision:
        if of != table or lost.is_set():
            return "pass"
        lost.set()
        return "drop"

    seat.store.on_answer = on_answer
    async with asyncio.timeout(WAIT_S):
        await lost.wait()


async def _refused(site: Site, _: Fault, times: int) -> Outcome:
    """The store says that its disk is full. The proxy says it in its place."""

    async def full(table: str) -> Decision:
        return FULL if table else "pass"

    async with site.lane() as lane:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin()
        recoveries_s = []
        for _ in range(times):
            await seat.stored_since(time.monotonic())
            seat.store.on_statement = full
            await _nothing_lost_and_an_alarm(lane, seat, "NOT_ENOUGH_SPACE")
            seat.store.be_transparent()
            recoveries_s.append(await seat.stored_since(time.monotonic()))
        await lane.finish()
        return await lane.outcome(times, recoveries_s)


async def _nothing_lost_and_an_alarm(lane: Lane, seat: Seat, said: str) -> None:
    """Nothing of what is not stored is committed, and the worker says why it waits."""
    before = seat.count_in_log(said)
    await until(lambda: seat.count_in_log(said) > before, WAIT_S, f"an alarm that says {said}")
    await asyncio.sleep(2.0)  # what was stored before may be committed meanwhile, and nothing else
    await lane.check_durable("the disk was full")


async def _disk_full(site: Site, _: Fault, times: int) -> Outcome:
    """A real file system without room, under a store of the fault's own."""
    async with small_disk(96) as disk, site.lane(rows=2_000) as lane:
        with_room = await asyncio.to_thread(StoreProcess(disk / "store").__enter__)
        try:
            return await _filled(lane, disk, with_room, times)
        finally:
            with_room.__exit__(None, None, None)


async def _filled(lane: Lane, disk: Path, store: StoreProcess, times: int) -> Outcome:
    lane.move_to(store.url())
    (seat,) = lane.seats
    await seat.start()
    await lane.begin()
    recoveries_s = []
    for _ in range(times):
        await seat.stored_since(time.monotonic())
        ballast = disk / "ballast"
        fill(ballast)
        await _nothing_lost_and_an_alarm(lane, seat, r"(?i)no space left|not enough space|cannot reserve")
        ballast.unlink()
        recoveries_s.append(await seat.stored_since(time.monotonic()))
    await lane.finish()
    return await lane.outcome(times, recoveries_s)


async def _slow(seconds: int, site: Site, _: Fault, times: int) -> Outcome:
    """A worker that gets a tenth of what is sent; then as much as there is."""
    async with loaded_lane(site, seconds) as loaded:
        (seat,) = loaded.lane.seats
        await loaded.begin()
        await seat.stored_since(0.0)
        sent_bytes_per_s = await _sent_bytes_per_s(seat)
        seat.kafka.slow_down(sent_bytes_per_s / 10)
        most = await _watched(seat, seconds - 10)
        seat.kafka.be_transparent()
        loaded.lane.expect(most < WORKER_BYTES, f"the worker took {most // MIB} MiB")
        return await loaded.outcome(times, [], f", at most {most // MIB} MiB")


async def _sent_bytes_per_s(seat: Seat) -> float:
    """What the worker fetches while it keeps up."""
    fetched = 0

    async def on_answer(kind: int, frame: bytes) -> bool:
        nonlocal fetched
        fetched += len(frame) if kind == FETCH else 0
        return True

    seat.kafka.on_answer = on_answer
    await asyncio.sleep(3.0)
    return fetched / 3.0


FAULTS = (
    Fault("store away for 60 s", partial(_away, 60.0), 2, 0),
    Fault("store away for 8 s", partial(_away, 8.0), 3, 1, 3, alone=False),
    Fault("insert carried out, answer lost", _answer_lost, 3 * len(TABLES), len(TABLES), len(TABLES), alone=False),
    Fault("disk full under the store (error 243, said by a proxy)", _refused, 3, 1, 3, alone=False),
    Fault("disk full under the store (a file system without room)", _disk_full, 3, 0, 3),
    Fault("worker at a tenth of the speed", partial(_slow, 60), 1, 0),
)
assert WorkerConfig.__dataclass_fields__["buffered_bytes"].default < WORKER_BYTES
