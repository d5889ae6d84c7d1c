"""Workers that are killed: at each step of a flush, and at any moment. The process gets a real SIGKILL.

Who kills is a proxy: between worker and store it knows the flush by its inserts, between worker and Kafka by the kind
of request. So the worker dies exactly where it stands, with what it has sent on its way or arrived.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from tests.faults.fault import Fault, Outcome
from tests.faults.seat import WAIT_S, Seat
from tests.faults.site import Site
from tests.support.kafka_proxy import COMMIT, PRODUCE
from tests.support.store_proxy import Decision

_EVENTS = b".windows"


@dataclass(frozen=True, slots=True)
class Step:
    """A point of the flush: before something is passed on, or after it was carried out and before its answer is."""

    name: str
    when: Literal["before", "after"]
    what: str
    """A table that is inserted into, `event` (a joined window is announced) or `commit`."""


STEPS = (
    Step("before rows", "before", "requests_stored"),
    Step("between the rows of requests and those of samples", "before", "samples_stored"),
    Step("between rows and batches", "before", "batches_stored"),
    Step("batches stored, not answered", "after", "batches_stored"),
    Step("between batches and join", "before", "endpoints_stored"),
    Step("joined rows stored, their window not", "before", "windows_stored"),
    Step("before the event", "after", "windows_stored"),
    Step("event on its way", "before", "event"),
    Step("event sent, not acknowledged", "after", "event"),
    Step("before the commit", "before", "commit"),
    Step("commit taken, not answered", "after", "commit"),
)


async def at_step(seat: Seat, step: Step, act: Callable[[], object]) -> float:
    """Wait until the worker comes to that step, and act there; when that was (`time.monotonic`).

    What was to be passed on is not, so `act` had better be the end of the worker.
    """
    came: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def here() -> None:
        if not came.done():
            act()
            came.set_result(time.monotonic())

    async def on_table(table: str) -> Decision:
        if table != step.what:
            return "pass"
        here()
        return "drop"

    async def on_kafka(kind: int, frame: bytes) -> bool:
        if not (kind == COMMIT if step.what == "commit" else kind == PRODUCE and _EVENTS in frame):
            return True
        here()
        return False

    if step.what in ("commit", "event"):
        hook = "on_request" if step.when == "before" else "on_answer"
        setattr(seat.kafka, hook, on_kafka)
    else:
        setattr(seat.store, "on_statement" if step.when == "before" else "on_answer", on_table)
    try:
        async with asyncio.timeout(WAIT_S):
            return await came
    finally:
        seat.store.be_transparent()
        seat.kafka.be_transparent()


async def _killed_at(step: Step, site: Site, _: Fault, times: int) -> Outcome:
    recoveries_s = []
    async with site.lane() as lane:
        (seat,) = lane.seats
        await seat.start()
        await lane.begin()
        for _ in range(times):
            killed_s = await at_step(seat, step, seat.kill)
            await lane.check_durable(f"killed {step.name}")
            await seat.start()
            recoveries_s.append(await seat.stored_since(killed_s))
        await lane.finish()
        return await lane.outcome(times, recoveries_s)


async def _killed_at_random(site: Site, _: Fault, times: int) -> Outcome:
    """Half of them at work, the other half while they start, join the group or begin to read."""
    recoveries_s = []
    async with site.lane() as lane:
        (seat,) = lane.seats
        await lane.begin()
        seat.launch()
        killed_s = 0.0
        for number in range(times):
            if number % 2:
                await asyncio.sleep(random.uniform(0.0, 9.0))
            else:
                await seat.ready()
                await seat.stored_since(killed_s)
                recoveries_s += [seat.last_stored_s - killed_s] if killed_s else []
                await asyncio.sleep(random.uniform(0.0, 2.0))
            killed_s = seat.kill()
            await lane.check_durable("killed at random")
            seat.launch()
        await seat.ready()
        recoveries_s.append(await seat.stored_since(killed_s))
        await lane.finish()
        return await lane.outcome(times, recoveries_s)


async def _first_run_ever(site: Site, _: Fault, times: int) -> Outcome:
    """What was sent before there was any worker, any group or any offset is read, also when the first worker dies."""
    async with site.lane() as lane:
        (seat,) = lane.seats
        await lane.begin()
        await asyncio.sleep(1.0)  # a head that could be skipped
        seat.launch()
        step = random.choice([STEPS[0], STEPS[2], STEPS[9]])
        killed_s = await at_step(seat, step, seat.kill)
        await seat.start()
        recovery_s = await seat.stored_since(killed_s)
        await lane.finish()
        return await lane.outcome(times, [recovery_s], note="killed before its first commit")


def _kill(
    name: str, run: Callable[[Site, Fault, int], Awaitable[Outcome]], times: int, short: int, at_once: int
) -> Fault:
    return Fault(f"worker killed {name}", run, times, short, at_once, alone=False, kind="kill")


FAULTS = (
    *(
        _kill(step.name, partial(_killed_at, step), 16, int(number % 4 == 0), 8)
        for number, step in enumerate(STEPS, start=1)
    ),
    _kill("at any moment", _killed_at_random, 24, 2, 8),
    _kill("in the first run ever, before any commit", _first_run_ever, 6, 1, 1),
)
