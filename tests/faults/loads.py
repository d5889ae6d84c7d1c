"""A real load, as it is deployed, on a target here that counts: its schedule must not feel what goes wrong."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass

from schemas.events import ProducerEnded
from tests.faults.fault import Outcome
from tests.faults.lane import Lane
from tests.faults.site import Site
from tests.support.commands import environment_of
from tests.support.roles import RoleProcess
from tests.support.target import Target, running_target

RATE_TPS = 200
BLOCK_S = 10
RATE_ERROR = 0.01
_PLAN = """
target: {url}
service: shop
target_count_path: /counts
stages: [{{name: hold, hold: {rate}, for: {seconds}s}}]
requests: [{{name: ok, path: /ok}}]
"""


@dataclass(slots=True)
class LoadedLane:
    """A lane whose run is that of `loadflame load`."""

    lane: Lane
    load: RoleProcess
    target: Target

    async def begin(self) -> None:
        """Start the worker, then the load."""
        await self.lane.seats[0].start()
        await asyncio.to_thread(self.load.__enter__)

    async def outcome(
        self,
        times: int,
        recoveries_s: list[float],
        note: str = "",
        *,
        on_schedule: bool = True,
        unknown: Collection[str] = (),
        closing: Callable[[Lane], Awaitable[None]] | None = None,
    ) -> Outcome:
        """Wait for the load's end and the worker's; then what the target counted is held against what is stored.

        `on_schedule`: the rate error must be small, too, which asks for a core that nobody else needs. `unknown` are
        the checks that cannot be made after such a fault, `closing` looks at more when all is stored.
        """
        lane = self.lane
        await asyncio.to_thread(self.load.end, 180.0)
        for seat in lane.seats:
            if seat.is_taken:
                await asyncio.to_thread(seat.worker.end)
        rate_error = await self._rate_error()
        lane.expect(
            rate_error < RATE_ERROR or not on_schedule, f"the schedule moved: {rate_error:.2%} off in {BLOCK_S} s"
        )
        checks = await lane.checks()
        open_ = {one.name for one in checks if one.ok is None}
        lane.expect(open_ <= set(unknown), f"not checked: {open_}")
        lane.broken += [f"{one.name}: {one.sentence}" for one in checks if one.ok is False]
        if closing is not None:
            await closing(lane)
        (stored,) = await lane.rows("SELECT count() FROM requests WHERE run = {run:String}")
        missing = self.target.requests - int(stored[0])
        return lane.closed(
            Outcome(
                times,
                lost=max(0, missing),
                repeated=max(0, -missing),
                recoveries_s=recoveries_s,
                note=f"rate error {rate_error:.2%}{note}",
            )
        )

    async def _rate_error(self) -> float:
        """The greatest share by which a block of seconds was sent off the plan's rate, by the moments of sending."""
        ended = [event for event in await self.lane.events() if isinstance(event, ProducerEnded) and event.totals]
        self.lane.expect(len(ended) == 1, "the load did not say its end")
        sql = (
            "SELECT intDiv(toUnixTimestamp64Micro(scheduled_at) + dispatch_lag_us - first, 1000000) AS second, count() "
            "FROM requests, (SELECT min(toUnixTimestamp64Micro(scheduled_at)) AS first FROM requests "
            "WHERE run = {run:String}) AS began WHERE run = {run:String} GROUP BY second"
        )
        sent = Counter({int(second): int(count) for second, count in await self.lane.rows(sql)})
        blocks = range(0, max(sent) - BLOCK_S + 1, BLOCK_S)
        of_block = [sum(sent[block + second] for second in range(BLOCK_S)) for block in blocks]
        return max(abs(count / (RATE_TPS * BLOCK_S) - 1) for count in of_block)


@contextlib.asynccontextmanager
async def _target() -> AsyncIterator[Target]:
    """It has a loop of its own, and is begun and ended where none is running."""
    running = running_target()
    target = await asyncio.to_thread(running.__enter__)
    try:
        yield target
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def loaded_lane(site: Site, seconds: int) -> AsyncIterator[LoadedLane]:
    """A lane with one seat, under a load of that length that has yet to begin."""
    async with site.lane(window_us=1_000_000) as lane, _target() as target:
        plan = lane.folder / "plan.yaml"
        plan.write_text(_PLAN.format(url=target.url, rate=RATE_TPS, seconds=seconds))
        environment = environment_of(
            lane.folder,
            LOADFLAME_BROKER=lane.broker.bootstrap,
            LOADFLAME_TOPIC_PREFIX=lane.topics.prefix,
            LOADFLAME_PARTITIONS=str(lane.topics.partitions),
        )
        load = RoleProcess(["load", str(plan), "--open-run", lane.run_id], environment, lane.folder / "load.log")
        try:
            yield LoadedLane(lane, load, target)
        finally:
            load.__exit__(None, None, None)
