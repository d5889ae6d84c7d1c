"""Kafka that stops, dies or cannot be reached."""

import asyncio
import time
from functools import partial
from typing import Literal

from processors.app import SESSION_TIMEOUT_S
from tests.faults.fault import Fault, Outcome
from tests.faults.loads import loaded_lane
from tests.faults.site import Site

AWAY_S, SHORT_AWAY_S = 30.0, 5.0
AGAIN_S = 60.0


async def _broker_away(how: Literal["stopped", "killed"], away_s: float, site: Site, _: Fault, times: int) -> Outcome:
    """A load and its worker live on; consuming again within a minute, the spool drains, and the schedule never knew."""
    recoveries_s, most = [], 0
    async with loaded_lane(site, seconds=round(15 + times * (away_s + 25))) as loaded:
        (seat,) = loaded.lane.seats
        await loaded.begin()
        for _ in range(times):
            await seat.stored_since(time.monotonic())
            await asyncio.to_thread(site.kafka.stop if how == "stopped" else site.kafka.kill)
            await asyncio.sleep(away_s)
            most = max(most, len(loaded.spooled()))
            await asyncio.to_thread(site.kafka.start)
            back_s = time.monotonic()
            recoveries_s.append(await seat.stored_since(back_s, AGAIN_S))
        await loaded.lane.check_durable(f"Kafka {how}")
        loaded.lane.expect(most or not away_s, "nothing was spooled")
        return await loaded.outcome(times, recoveries_s, f", at most {most} batches spooled" if away_s else "")


async def _cut_off(cut_s: float, site: Site, _: Fault, times: int) -> Outcome:
    """The network between one of two workers and Kafka fails; it can still write to the store. Then it mends."""
    recoveries_s = []
    async with site.lane(seats=2) as lane:
        await lane.begin()
        for seat in lane.seats:
            await seat.start()
        for number in range(times):
            lonely, other = lane.seats[number % 2], lane.seats[1 - number % 2]
            await lonely.stored_since(0.0)
            cut_at_s = time.monotonic()
            lonely.kafka.cut()
            await asyncio.sleep(cut_s)
            await other.stored_since(cut_at_s)
            lonely.kafka.be_transparent()
            mended_s = time.monotonic()
            recoveries_s.append(await lonely.stored_since(mended_s))
            await lane.check_durable("cut off and back")
        lane.expect(all(seat.is_taken for seat in lane.seats), "a worker ended")
        await lane.finish()
        return await lane.outcome(times, recoveries_s)


FAULTS = (
    Fault(f"Kafka stopped for {AWAY_S:.0f} s", partial(_broker_away, "stopped", AWAY_S), 2, 0),
    Fault(f"Kafka killed, away for {AWAY_S:.0f} s", partial(_broker_away, "killed", AWAY_S), 2, 0),
    Fault("Kafka killed and started again", partial(_broker_away, "killed", 0.0), 4, 1, 2),
    Fault("worker cut off from Kafka for 2 s", partial(_cut_off, 2.0), 4, 1, 4, alone=False),
    Fault(
        f"worker cut off from Kafka past {SESSION_TIMEOUT_S:.0f} s",
        partial(_cut_off, SESSION_TIMEOUT_S + 4.0),
        4,
        0,
        4,
        alone=False,
    ),
)
