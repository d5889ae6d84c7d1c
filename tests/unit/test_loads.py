"""Load processes that share a plan: who speaks for those that die."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from loadflame.children import Child, ChildError
from loadflame.demo import demo_plan
from loadflame.loads import Loads, SharedLoad, WaitingLoads
from loadflame.parts import Parts
from producers.load.shards import Shard
from schemas.events import ProducerEnded


@dataclass
class Process:
    """Ends when told to; `error` is what it ends with."""

    error: BaseException | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[str] = field(default_factory=list)

    async def ready(self, timeout_s: float) -> None:
        await asyncio.wait_for(self.is_ready.wait(), timeout_s)

    def tell(self, line: str) -> None:
        self.told.append(line)

    async def wait(self) -> None:
        await self.over.wait()
        if self.error:
            raise self.error

    async def finish(self, timeout_s: float) -> None:
        self.over.set()
        await self.wait()


def loads_of(*errors: BaseException | None) -> tuple[Loads, list[Process]]:
    processes = [Process(error) for error in errors]
    shared = [
        SharedLoad(cast("Child", process), Shard(at, len(processes)), f"load-{at}")
        for at, process in enumerate(processes)
    ]

    async def last_words(dead: Sequence[SharedLoad], until_us: int | None) -> list[ProducerEnded]:
        return [
            ProducerEnded(
                run_id="r",
                producer_id=one.producer_id,
                role="load",
                batches_acknowledged=0,
                rows_acknowledged=0,
                note=str(until_us),
            )
            for one in dead
        ]

    return Loads(shared, last_words), processes


async def spoken_for(loads: Loads, until_us: int | None = None) -> list[str]:
    return [ended.producer_id for ended in await loads.unspoken(until_us)]


async def test_where_all_end_well_each_has_said_its_own_last_words() -> None:
    loads, processes = loads_of(None, None)
    for process in processes:
        process.over.set()
    await loads.wait()
    assert (loads.producers, loads.note, await spoken_for(loads)) == (2, "", [])


async def test_the_others_go_on_when_one_dies_and_it_is_spoken_for() -> None:
    loads, processes = loads_of(None, ChildError("killed"), None)
    waiting = asyncio.create_task(loads.wait())
    processes[1].over.set()
    await asyncio.sleep(0)
    assert not waiting.done()
    for process in processes:
        process.over.set()
    await waiting
    assert loads.producers == 2
    assert loads.note == "1 of 3 load processes ended before their time: killed"
    assert await spoken_for(loads) == ["load-1"]


async def test_one_that_does_not_end_when_it_is_told_to_is_spoken_for_until_then() -> None:
    loads, _ = loads_of(None, ChildError("did not end within 20 s"))
    await loads.finish(20)
    (ended,) = await loads.unspoken(77)
    assert (ended.producer_id, ended.note) == ("load-1", "77")


async def test_when_all_die_that_is_an_error_and_all_are_spoken_for() -> None:
    loads, processes = loads_of(ChildError("first"), ChildError("second"))
    for process in processes:
        process.over.set()
    with pytest.raises(ChildError, match="first"):
        await loads.wait()
    assert await spoken_for(loads) == ["load-0", "load-1"]
    assert loads.producers == 0


async def test_they_are_told_one_moment_to_begin_at_and_only_when_all_are_ready() -> None:
    processes = [Process(), Process()]
    shared = [
        SharedLoad(cast("Child", process), Shard(at, len(processes)), f"load-{at}")
        for at, process in enumerate(processes)
    ]
    waiting = WaitingLoads(shared, cast("Parts", None), "r")
    ready = asyncio.create_task(waiting.ready(60))
    processes[1].is_ready.set()
    await asyncio.sleep(0)
    assert not ready.done(), "the first is not"
    processes[0].is_ready.set()
    await ready
    assert [process.told for process in processes] == [[], []]
    loads = waiting.begin(demo_plan("http://127.0.0.1:1"), 1_790_000_000_000_000)
    assert [process.told for process in processes] == [["1790000000000000"]] * 2
    assert loads.producers == 2
