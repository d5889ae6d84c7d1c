"""A run on this machine: broker, worker, agent and load as processes of their own, begun and ended in order.

    broker -> topics -> worker -> agent (first samples) -> load -> agent off -> worker drained -> checks -> broker off

Nothing here decides anything about load, profiles or storage: each role is the command that a user can start alone.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from loadflame.children import Child, ChildError
from loadflame.early_end import EarlyEnd
from loadflame.parts import Parts
from loadflame.settings import Settings
from loadflame.starting import LEAD_US, STOP_S, aligned, run_started
from loadflame.stopping import StoppedError, unless
from loadflame.subscription import windows_of
from loadflame.up import Up, all_up
from processors.verify import Check
from producers.load.plan import Plan
from schemas.events import RunEnded, WindowJoined

PUNCTUAL = -10
"""Niceness of the load, whose schedule must not slip."""
_LONGEST_NOTE = 1024


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What came of the processes of a run; what came of the service is in the store."""

    run_id: str
    ended_at_us: int
    checks: list[Check]
    failure: ChildError | None = None
    """A part that failed; what was measured until then is stored all the same."""


class Load(Protocol):
    """What sends the requests of a run, once begun; `note` is what is to be told of it in the end."""

    @property
    def note(self) -> str:
        """Empty when there is nothing to tell."""

    @property
    def producers(self) -> int:
        """How many of it have said, or will say, their last words."""

    async def wait(self) -> None:
        """Wait until it has ended. Raises ChildError when it did not end well."""

    async def finish(self, timeout_s: float) -> None:
        """End it early, and wait. Raises ChildError as `wait` does, or when it does not end in time."""


BeginLoad = Callable[[Parts, int], Load]
"""From the parts of the run and the time of the first arrival, in Unix microseconds."""


class Loads:
    """The processes that share a load. One that fails is told in `note`, and the others go on."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self.producers = len(children)
        self.note = ""

    async def wait(self) -> None:
        """Wait until all have ended. Raises ChildError when none ended well."""
        await self._all(child.wait() for child in self._children)

    async def finish(self, timeout_s: float) -> None:
        """Interrupt all, as Ctrl-C would, and wait. Raises as `wait` does."""
        await self._all(child.finish(timeout_s) for child in self._children)

    async def _all(self, waits: Iterable[Awaitable[None]]) -> None:
        ends = await asyncio.gather(*waits, return_exceptions=True)
        errors = [end for end in ends if isinstance(end, BaseException)]
        self.producers = len(ends) - len(errors)
        for error in errors:
            if not isinstance(error, ChildError) or len(errors) == len(self._children):
                raise error
        if errors:
            self.note = f"{len(errors)} of {len(ends)} load processes ended before their time: {errors[0]}"


async def _loads(parts: Parts, plan_file: Path, run_id: str, started_at_us: int, workers: int) -> Loads:
    arguments = (str(plan_file), "--run", run_id, "--start-at", str(started_at_us))
    shards = [f"{number}/{workers}" for number in range(1, workers + 1)]
    return Loads([await parts.child("load", *arguments, "--shard", shard, niceness=PUNCTUAL) for shard in shards])


async def run_here(
    plan: Plan,
    settings: Settings,
    *,
    profile: Sequence[str],
    run_id: str,
    stop: asyncio.Event,
    on_phase: Callable[[str], None],
    on_window: Callable[[WindowJoined], None],
    workers: int = 1,
    begin: BeginLoad | None = None,
    early_end: EarlyEnd | None = None,
) -> RunOutcome:
    """Run a plan with everything on this machine, until it ends or `stop` is set (what was measured is kept).

    Look at the target, the broker and the store before (`loadflame.preflight`). `profile` holds the arguments that tell
    `loadflame profile` what to watch. `on_phase` hears in a few words what is going on, `on_window` gets each joined
    window. `workers` processes share the load, unless `begin` begins another. The run is over once `early_end` has
    heard of a broken threshold. Raises UserError when a part cannot start or fails, StoppedError when `stop` is set
    before the load has begun: nothing of the run is left then.
    """
    logs = settings.data_dir / "runs" / run_id
    try:
        async with AsyncExitStack() as stack:
            async with unless(stop):
                up = await all_up(plan, settings, stack, profile=profile, run_id=run_id, logs=logs, on_phase=on_phase)
            started_at_us = aligned(int(time.time() * 1e6) + LEAD_US, settings.window_us)
            up.announcer.announce(run_started(plan, settings, run_id, started_at_us, host_cores=os.cpu_count()))
            on_phase("loading")
            if begin is None:
                load: Load = await _loads(up.parts, up.plan_file, run_id, started_at_us, workers)
            else:
                load = begin(up.parts, started_at_us)
            early = early_end or EarlyEnd()

            def heard(window: WindowJoined) -> None:
                on_window(window)
                early.hears(window)

            watching = asyncio.create_task(windows_of(up.parts.broker, settings.topics, run_id, heard))
            up.parts.on_end(watching.cancel)
            failure = await _until_over(load, up, stop, early.broken, on_phase)
            return await _brought_home(
                load,
                up,
                run_id=run_id,
                started_at_us=started_at_us,
                stop=stop,
                early=early,
                failure=failure,
                on_phase=on_phase,
            )
    except StoppedError:
        shutil.rmtree(logs, ignore_errors=True)
        with suppress(OSError):  # not ours alone
            logs.parent.rmdir()
        raise


async def _until_over(
    load: Load, up: Up, stop: asyncio.Event, broken: asyncio.Event, on_phase: Callable[[str], None]
) -> ChildError | None:
    """Wait for the load's end. A part that fails is returned, not raised: what was measured is still brought home.

    What fails first is what is told, for others fail of it; what fails once `stop` is set is no failure of the run.
    """
    over = asyncio.create_task(load.wait())
    lasting = [asyncio.create_task(wait) for wait in (_outlasts(up.worker), _goes_on(up.agent))]
    waiting: set[asyncio.Task[Any]] = {over, *lasting, *(asyncio.create_task(event.wait()) for event in (stop, broken))}
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        errors = [error for task in (*lasting, over) if task in done and (error := task.exception())]
        for error in errors:
            if not isinstance(error, ChildError):
                raise error
        failure = next((error for error in errors if isinstance(error, ChildError)), None)
        if not over.done():
            try:
                await load.finish(STOP_S)
            except ChildError as error:
                failure = _failed(error, failure, stop, on_phase)
        return failure
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _outlasts(worker: Child) -> None:
    """Raises ChildError when the worker ends, well or not: there is a load still."""
    await worker.wait()
    raise ChildError(f"{worker.role} ended before the load did; see {worker.log}")


async def _goes_on(agent: Child) -> None:
    """Raises ChildError when the agent fails. One whose target exits ends well: the run goes on without a profile."""
    await agent.wait()
    await asyncio.Event().wait()


def _failed(
    error: ChildError, before: ChildError | None, stop: asyncio.Event, on_phase: Callable[[str], None]
) -> ChildError | None:
    """What the run failed of, once a part did not end well. Told only, where we were asked to end it early."""
    if before is None and stop.is_set():
        on_phase(str(error))
        return None
    return before or error


async def _brought_home(
    load: Load,
    up: Up,
    *,
    run_id: str,
    started_at_us: int,
    stop: asyncio.Event,
    early: EarlyEnd,
    failure: ChildError | None,
    on_phase: Callable[[str], None],
) -> RunOutcome:
    """End the profile and the run, wait until everything is stored, and check it."""
    is_aborted = stop.is_set()  # later it is too late: the plan is through
    on_phase("finishing")
    producers = load.producers
    try:
        await up.agent.finish(STOP_S)
        producers += 1
    except ChildError as error:
        failure = _failed(error, failure, stop, on_phase)
    reason: Literal["error", "aborted", "broken", "finished"] = "finished"
    if failure or is_aborted:
        reason = "error" if failure else "aborted"
    elif early.note:
        reason = "broken"
        on_phase(early.note)
    ended_at_us = max(int(time.time() * 1e6), started_at_us)  # it may have ended before its first arrival
    if load.note:
        on_phase(load.note)
    up.announcer.announce(
        RunEnded(
            run_id=run_id,
            ended_at_us=ended_at_us,
            reason=reason,
            producers=producers,
            note="; ".join(filter(None, (early.note, load.note)))[:_LONGEST_NOTE],
        )
    )
    await up.announcer.close(STOP_S)
    if failure and not up.worker.running:
        raise failure
    return RunOutcome(run_id, ended_at_us, await up.parts.drained(up.worker, run_id), failure)
