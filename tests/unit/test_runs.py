"""The course of a run: what ends it, and which failure is told."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from loadflame.children import ChildError
from loadflame.early_end import EarlyEnd
from loadflame.runs import RunCourse
from loadflame.up import Up
from producers.publisher import MemoryPublisher
from schemas.events import ProducerEnded


@dataclass
class Part:
    """A process or a load: ends when told to, or at once; `error` is what it ends with."""

    error: Exception | None = None
    at_once: bool = False
    role: str = "part"
    note: str = ""
    producers: int = 1
    log: Path = Path("part.log")
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        if not self.at_once:
            await self.over.wait()
        if self.error:
            raise self.error

    async def finish(self, timeout_s: float) -> None:
        self.over.set()
        await self.wait()

    async def unspoken(self, until_us: int | None) -> Sequence[ProducerEnded]:
        return ()


async def failure_of(
    load: Part, worker: Part, agent: Part | None, *, stop: bool = False
) -> tuple[ChildError | None, list[str]]:
    """What a run is told to have failed of, and what else was said."""
    asked, said = asyncio.Event(), []
    if stop:
        asked.set()
    nothing: Any = None
    up = Up(nothing, cast("Any", worker), cast("Any", agent), cast("Any", MemoryPublisher()))
    course = RunCourse(load, up, asked, EarlyEnd(), said.append)
    async with asyncio.timeout(60):
        await course.until_over()
    return course.failure, said


DEAD = ChildError("the load died")
ENDED = ChildError("the command ended with code 3")


@pytest.mark.parametrize(
    ("parts", "failure"),
    [
        pytest.param((Part(at_once=True), Part(), Part()), "", id="all is well"),
        pytest.param((Part(at_once=True), Part(), Part(at_once=True)), "", id="a service that ended"),
        pytest.param((Part(DEAD, at_once=True), Part(), Part()), str(DEAD), id="the load"),
        pytest.param((Part(), Part(), Part(ENDED, at_once=True)), str(ENDED), id="the agent, in its own words"),
        pytest.param((Part(DEAD), Part(), Part(ENDED, at_once=True)), str(ENDED), id="the agent, and then the load"),
        pytest.param((Part(DEAD, at_once=True), Part(), Part(ENDED, at_once=True)), str(ENDED), id="both at once"),
        pytest.param(
            (Part(), Part(at_once=True, role="process"), Part()), "process ended before the load did", id="the worker"
        ),
    ],
)
async def test_what_failed_first_is_told(parts: tuple[Part, Part, Part], failure: str) -> None:
    load, worker, agent = (Part(one.error, one.at_once, one.role) for one in parts)
    found, said = await failure_of(load, worker, agent)
    assert str(found or "").startswith(failure)
    assert bool(found) == bool(failure)
    assert said == []


async def test_where_nothing_is_profiled_the_run_is_over_when_its_load_is() -> None:
    assert await failure_of(Part(at_once=True), Part(), None) == (None, [])


async def test_a_part_that_was_interrupted_and_did_not_end_well_is_told_and_is_no_failure() -> None:
    found, said = await failure_of(Part(DEAD), Part(), Part(), stop=True)
    assert (found, said) == (None, [str(DEAD)])


async def test_a_mistake_of_ours_is_not_taken_for_a_part_that_failed() -> None:
    with pytest.raises(ZeroDivisionError):
        await failure_of(Part(ZeroDivisionError(), at_once=True), Part(), Part())
