"""Workers that stand still, come and go: the group gives their partitions to others, and back."""

import asyncio
import random
import signal
from functools import partial

from processors.app import SESSION_TIMEOUT_S
from schemas.topics import BULK
from tests.faults.fault import Fault, Outcome
from tests.faults.kills import Step
from tests.faults.lane import Lane
from tests.faults.seat import WAIT_S, Seat
from tests.faults.site import Site
from tests.support.consumer_groups import assignments, commits
from tests.support.kafka_proxy import COMMIT
from tests.support.store_proxy import Decision

STOPS = (
    Step("with batches on their way", "before", "batches_stored"),
    Step("with a joined window on its way", "before", "windows_stored"),
    Step("with a commit on its way", "before", "commit"),
)


async def _zombie(step: Step, site: Site, _: Fault, times: int) -> Outcome:
    """What it had sent arrives when somebody else has had its partitions for a while; then it wakes up and goes on."""
    recoveries_s = []
    async with site.lane(seats=2) as lane:
        await lane.begin()
        sleeper, heir = lane.seats
        await sleeper.start()
        for _ in range(times):
            await sleeper.stored_since(0.0)
            stopped, late = await _stopped_at(sleeper, step)
            stopped_s = await stopped
            await heir.start()
            recoveries_s.append(await heir.stored_since(stopped_s))
            await _committed_by(lane)
            late.set()  # what the zombie had sent arrives
            await asyncio.sleep(0.2)
            sleeper.send(signal.SIGCONT)
            await lane.check_durable("woken up")
            await sleeper.stored_since(stopped_s + recoveries_s[-1])
            await asyncio.to_thread(heir.worker.interrupt)
        await lane.finish()
        return await lane.outcome(times, recoveries_s)


async def _stopped_at(seat: Seat, step: Step) -> tuple["asyncio.Future[float]", asyncio.Event]:
    """SIGSTOP at that step: when it comes, and what lets through what the worker had sent."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[float] = loop.create_future()
    late = asyncio.Event()

    async def hold() -> None:
        if not stopped.done():
            seat.send(signal.SIGSTOP)
            stopped.set_result(loop.time())
            await late.wait()

    async def on_table(table: str) -> Decision:
        if table == step.what:
            await hold()
        return "pass"

    async def on_request(kind: int, _: bytes) -> bool:
        if kind == COMMIT:
            await hold()
        return True

    if step.what == "commit":
        seat.kafka.on_request = on_request
    else:
        seat.store.on_statement = on_table
    return stopped, late


async def _committed_by(lane: Lane) -> None:
    """Wait until whoever has the partitions now has committed something."""
    group = lane.broker.bootstrap, lane.settings.group
    before = await commits(*group)
    async with asyncio.timeout(WAIT_S):
        while await commits(*group) == before:
            await asyncio.sleep(0.1)


async def _co_partitioned(lane: Lane, members: int) -> None:
    """Wait until so many members share the partitions, each of them the same ones of both bulk topics."""
    found: list[dict[str, set[int]]] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) != members:
            await asyncio.sleep(0.2)
            found = await assignments(lane.broker.bootstrap, lane.settings.group)
    requests, stacks = ([one.get(lane.topics.name(kind), set()) for one in found] for kind in BULK)
    lane.expect(requests == stacks, f"the members have other partitions of one topic than of the other: {found}")
    every = sorted(number for numbers in requests for number in numbers)
    lane.expect(every == list(range(lane.topics.partitions)), f"not every partition has one owner: {found}")


async def _come_and_go(site: Site, _: Fault, times: int) -> Outcome:
    """Joins, leaves in order and deaths in turn, so that one, two and three workers share the partitions."""
    async with site.lane(seats=3) as lane:
        await lane.begin()
        await lane.seats[0].start()
        for number in range(times):
            there = [seat for seat in lane.seats if seat.is_taken]
            free = [seat for seat in lane.seats if not seat.is_taken]
            if len(there) == 1 or (free and random.random() < 0.5):
                await free[0].start()
            elif number % 2:
                await asyncio.to_thread(random.choice(there).worker.interrupt)
            else:
                random.choice(there).kill()
            await _co_partitioned(lane, sum(seat.is_taken for seat in lane.seats))
            await lane.check_durable("partitions changed hands")
        await lane.finish()
        return await lane.outcome(times, note="co-partitioned each time")


FAULTS = (
    *(
        Fault(
            f"worker stopped {step.name} past {SESSION_TIMEOUT_S:.0f} s, then woken",
            partial(_zombie, step),
            4,
            int(step is STOPS[0]),
            4,
            alone=False,
        )
        for step in STOPS
    ),
    Fault("a worker joins, leaves or dies", _come_and_go, 10, 3, 10, alone=False),
)
