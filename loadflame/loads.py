"""The processes that share a load: begun together, and spoken for where they die.

What a dead one published, or had spooled, is read back from Kafka; the rest of its share counts as dropped. So the
sums of a run close whatever becomes of its parts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka.errors import KafkaError

from loadflame.children import Child, ChildError
from loadflame.parts import Parts
from processors.published import Published, published_by
from producers.load.plan import Plan
from producers.load.shards import Shard
from producers.load.share import arrivals_of, totals_of
from producers.publisher import PublisherError, new_producer_id
from producers.publisher.leftovers import bring_home
from schemas.events import ProducerEnded

PUNCTUAL = -10
"""Niceness of the load, whose schedule must not slip."""
_READ_S = 20.0


@dataclass(frozen=True, slots=True)
class SharedLoad:
    """One process of a load, with its share of the plan and the id under which it publishes."""

    child: Child
    shard: Shard
    producer_id: str


LastWords = Callable[[Sequence[SharedLoad], int | None], Awaitable[Sequence[ProducerEnded]]]
"""Of processes that died; the time is when the load's arrivals were cut off, in Unix microseconds, if they were."""


@dataclass(frozen=True, slots=True)
class WaitingLoads:
    """The processes that will share a load, up to the moment at which they are told to begin."""

    processes: Sequence[SharedLoad]
    parts: Parts
    run_id: str

    async def ready(self, timeout_s: float) -> None:
        """Wait until all are. Raises ChildError when one is not."""
        for one in self.processes:
            await one.child.ready(timeout_s)

    def begin(self, plan: Plan, started_at_us: int) -> "Loads":
        """Have all begin at that moment (Unix microseconds). The plan is settled by it."""
        for one in self.processes:
            one.child.tell(str(started_at_us))

        async def last_words(dead: Sequence[SharedLoad], until_us: int | None) -> list[ProducerEnded]:
            return await _last_words_of(
                dead, plan, self.parts, self.run_id, started_at_us=started_at_us, until_us=until_us
            )

        return Loads(self.processes, last_words)


class Loads:
    """The processes that share a load (see `loadflame.runs.Load`). One that fails is told, and the others go on."""

    def __init__(self, processes: Sequence[SharedLoad], last_words: LastWords) -> None:
        self._processes = processes
        self._last_words = last_words
        self._dead: list[SharedLoad] = []
        self.note = ""

    @property
    def producers(self) -> int:
        """See Load."""
        return len(self._processes) - len(self._dead)

    async def wait(self) -> None:
        """Wait until all have ended. Raises ChildError when none ended well."""
        await self._all(one.child.wait() for one in self._processes)

    async def finish(self, timeout_s: float) -> None:
        """Interrupt all, as Ctrl-C would, and wait. Raises as `wait` does."""
        await self._all(one.child.finish(timeout_s) for one in self._processes)

    async def _all(self, waits: Iterable[Awaitable[None]]) -> None:
        ends = await asyncio.gather(*waits, return_exceptions=True)
        errors = [end for end in ends if isinstance(end, BaseException)]
        self._dead = [one for one, end in zip(self._processes, ends, strict=True) if isinstance(end, BaseException)]
        for error in errors:
            if not isinstance(error, ChildError) or len(errors) == len(ends):
                raise error
        if errors:
            self.note = f"{len(errors)} of {len(ends)} load processes ended before their time: {errors[0]}"

    async def unspoken(self, until_us: int | None) -> Sequence[ProducerEnded]:
        """See Load."""
        return await self._last_words(self._dead, until_us)


async def start_loads(parts: Parts, plan_file: Path, run_id: str, workers: int) -> WaitingLoads:
    """Start so many processes that share a plan, which settle it themselves. Raises ChildError when one cannot start.

    They are told when to begin, not started with it: how long a process takes to be ready is the machine's secret, and
    one that is late has its rates in the windows of other stages.
    """
    processes = []
    for shard in (Shard(index, workers) for index in range(workers)):
        producer_id = new_producer_id()
        mine = ("--shard", str(shard), "--producer", producer_id, "--start-at", "-")
        child = await parts.child("load", str(plan_file), "--run", run_id, *mine, niceness=PUNCTUAL)
        processes.append(SharedLoad(child, shard, producer_id))
    return WaitingLoads(processes, parts, run_id)


async def _last_words_of(
    dead: Sequence[SharedLoad],
    plan: Plan,
    parts: Parts,
    run_id: str,
    *,
    started_at_us: int,
    until_us: int | None,
) -> list[ProducerEnded]:
    """The end of each of them, of a run whose arrivals were cut off at `until_us`, if they were (Unix microseconds).

    Raises ChildError when what they published cannot be read.
    """
    if not dead:
        return []
    producers = {one.producer_id for one in dead}
    try:
        async with asyncio.timeout(_READ_S):
            await bring_home(parts.broker, parts.settings.spool_folder, producers, security=parts.security)
            told = await published_by(
                parts.broker,
                parts.settings.topics,
                run_id,
                producers,
                since_us=started_at_us,
                security=parts.security,
            )
    except (PublisherError, KafkaError, OSError, TimeoutError) as error:
        raise ChildError(f"a load process died, and what it had published could not be read: {error}") from error
    until_s = None if until_us is None else max(0, until_us - started_at_us) / 1e6
    return [_ended(one, run_id, told[one.producer_id], arrivals_of(plan, one.shard, until_s)) for one in dead]


def _ended(one: SharedLoad, run_id: str, told: Published, planned: int) -> ProducerEnded:
    return ProducerEnded(
        run_id=run_id,
        producer_id=one.producer_id,
        role="load",
        batches_acknowledged=told.batches,
        rows_acknowledged=told.rows,
        totals=totals_of(told.facts, rows=told.rows, failed=told.failed, planned=planned),
        died=True,
        note=f"the load process of shard {one.shard} died: what it had not published counts as dropped",
    )
