"""A real load, as it is deployed, on a target here that counts: its schedule must not feel what goes wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from producers.publisher.leftovers import folders_in
from schemas.batches import BatchKey
from schemas.events import ProducerEnded
from tests.faults.fault import Outcome
from tests.faults.lane import Lane
from tests.faults.seat import WAIT_S
from tests.faults.site import Site
from tests.faults.spooled import batches_in
from tests.support.commands import environment_of, loadflame
from tests.support.kafka_proxy import KafkaProxy
from tests.support.polling import until
from tests.support.roles import RoleProcess
from tests.support.target import Target, running_target

RATE_TPS = 200
BLOCK_S = 10
RATE_ERROR, SHORT_RATE_ERROR = 0.01, 0.2
"""In the short form the machine may be busy with other things, and holds the load itself up: only a load that waited
for Kafka, which is away for seconds, is off by more.
"""
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
    spool: Path
    """Where the load puts what Kafka does not take."""

    async def begin(self) -> None:
        """Start the worker, then the load."""
        await self.lane.seats[0].start()
        await asyncio.to_thread(self.load.__enter__)

    def spooled(self) -> dict[BatchKey, int]:
        """The batches that wait on disk, with their rows."""
        return batches_in(self.spool, self.lane.topics)

    async def says(self, words: str, times: int) -> None:
        """Wait until the load has said that so many times."""
        await until(lambda: self.load.log(whole=True).count(words) >= times, WAIT_S, f"a load that says: {words}")

    async def send_spool(self, broker: str) -> None:
        """What somebody does who finds it there: `loadflame spool send`."""
        done = await asyncio.to_thread(loadflame, "spool", "send", "--broker", broker, data_dir=self.lane.folder)
        self.lane.expect(done.returncode == 0, f"`spool send` failed: {done.stderr}")
        self.check_drained()

    def check_drained(self) -> None:
        """Nothing may wait on disk any more."""
        self.lane.expect(not folders_in(self.spool), "the spool did not drain")

    async def outcome(
        self,
        times: int,
        recoveries_s: list[float],
        note: str = "",
        *,
        on_schedule: bool = True,
        gives_up: bool = False,
        unknown: Collection[str] = (),
        closing: Callable[[Lane], Awaitable[None]] | None = None,
    ) -> Outcome:
        """Wait for the load's end and the worker's; then what the target counted is held against what is stored.

        `on_schedule`: the rate error must be small, too, which asks for a core that nobody else needs. `gives_up`:
        there was no place for some of what the load measured, which it must declare. `unknown` are the checks that
        cannot be made after such a fault, `closing` looks at more when all is stored.
        """
        lane = self.lane
        await asyncio.to_thread(self.load.end, 180.0)
        for seat in lane.seats:
            if seat.is_taken:
                await asyncio.to_thread(seat.worker.end)
        self.check_drained()
        rate_error = await self._rate_error()
        given_up = await self._given_up()
        lane.expect(bool(given_up) == gives_up, f"{given_up} outcomes were given up")
        bound = SHORT_RATE_ERROR if RoleProcess.is_forked else RATE_ERROR
        lane.expect(rate_error < bound or not on_schedule, f"the schedule moved: {rate_error:.2%} off in {BLOCK_S} s")
        checks = await lane.checks()
        open_ = {one.name for one in checks if one.ok is None}
        lane.expect(open_ <= set(unknown), f"not checked: {open_}")
        lane.broken += [f"{one.name}: {one.sentence}" for one in checks if one.ok is False]
        if closing is not None:
            await closing(lane)
        (stored,) = await lane.rows("SELECT count() FROM requests WHERE run = {run:String}")
        missing = self.target.requests - given_up - int(stored[0])
        if given_up:
            note += f", {given_up} of {self.target.requests} outcomes given up and declared"
        return lane.closed(
            Outcome(
                times,
                lost=max(0, missing),
                repeated=max(0, -missing),
                recoveries_s=recoveries_s,
                note=f"rate error {rate_error:.2%}{note}",
            )
        )

    async def _given_up(self) -> int:
        """Outcomes that the load has declared lost."""
        ended = [event for event in await self.lane.events() if isinstance(event, ProducerEnded) and event.totals]
        self.lane.expect(len(ended) == 1, "the load did not say its end")
        return sum(event.rows_lost for event in ended)

    async def _rate_error(self) -> float:
        """The greatest share by which a block of seconds was sent off the plan's rate.

        By the counts of each window, which are there also where its rows were given up; I0 holds their sum against
        what the target counted.
        """
        joined = (await self.lane.see()).joined
        sent = [joined[window].sent if window in joined else 0 for window in range(min(joined), max(joined) + 1)]
        blocks = range(0, len(sent) - BLOCK_S + 1, BLOCK_S)
        return max(abs(sum(sent[block : block + BLOCK_S]) / (RATE_TPS * BLOCK_S) - 1) for block in blocks)


@contextlib.asynccontextmanager
async def _target() -> AsyncIterator[Target]:
    """It has a loop of its own, and is begun and ended where none is running."""
    running = running_target()
    target = await asyncio.to_thread(running.__enter__)
    try:
        yield target
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def environment_in(lane: Lane, **more: str) -> dict[str, str]:
    """Of a producer of that run."""
    usual = {
        "LOADFLAME_BROKER": lane.broker.bootstrap,
        "LOADFLAME_TOPIC_PREFIX": lane.topics.prefix,
        "LOADFLAME_PARTITIONS": str(lane.topics.partitions),
    }
    return environment_of(lane.folder, **usual | more)


@contextlib.asynccontextmanager
async def loaded_lane(
    site: Site, seconds: int, *, door: KafkaProxy | None = None, spool: Path | None = None, prelude: str = ""
) -> AsyncIterator[LoadedLane]:
    """A lane with one seat, under a load of that length that has yet to begin.

    The load goes to Kafka through `door`, spools into another folder, or has a `prelude` (`tests.support.preludes`).
    """
    async with site.lane(window_us=1_000_000) as lane, _target() as target:
        plan = lane.folder / "plan.yaml"
        plan.write_text(_PLAN.format(url=target.url, rate=RATE_TPS, seconds=seconds))
        spool = spool or lane.folder / "spool"
        broker = (door or lane.broker).bootstrap
        environment = environment_in(lane, LOADFLAME_BROKER=broker, LOADFLAME_SPOOL_DIR=str(spool))
        arguments = ["load", str(plan), "--open-run", lane.run_id]
        load = RoleProcess(arguments, environment, lane.folder / "load.log", prelude=prelude)
        try:
            yield LoadedLane(lane, load, target, spool)
        finally:
            load.__exit__(None, None, None)
