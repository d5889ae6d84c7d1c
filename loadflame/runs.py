"""A run on this machine: broker, worker, agent and load as processes of their own, begun and ended in order.

    broker -> topics -> worker -> agent (first samples) -> load -> agent off -> worker drained -> checks -> broker off

Nothing here decides anything about load, profiles or storage: each role is the command that a user can start alone.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from loadflame.children import Child, ChildError
from loadflame.early_end import EarlyEnd
from loadflame.loads import begin_loads
from loadflame.parts import START_S, Parts, parts_here
from loadflame.settings import Settings
from loadflame.starting import LEAD_US, STOP_S, aligned, run_started
from loadflame.subscription import windows_of
from processors.verify import Check
from producers.load.guard import TargetRefusedError, check_target
from producers.load.plan import Plan
from producers.load.settled import settled
from producers.publisher import KafkaPublisher
from schemas.events import ProducerEnded, RunEnded, WindowJoined

SOURCE = "loadflame/run"
_LONGEST_NOTE = 1024
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What came of the processes of a run; what came of the service is in the store."""

    run_id: str
    ended_at_us: int
    aborted: bool
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

    async def unspoken(self, until_us: int | None) -> Sequence[ProducerEnded]:
        """What is to be said for those of it that could not say their last words themselves, once it is over.

        `until_us` is when its arrivals were cut off, None when they were not. Raises ChildError when it is not known.
        """


Reason = Literal["error", "aborted", "broken", "finished"]
BeginLoad = Callable[[Parts, int], Load]
"""From the parts of the run and the time of the first arrival, in Unix microseconds."""


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

    `profile` holds the arguments that tell `loadflame profile` what to watch. `on_phase` hears in a few words what is
    going on, `on_window` gets each joined window. `workers` processes share the load, unless `begin` begins another.
    The run is over once `early_end` has heard of a broken threshold. Raises UserError when a part cannot start or
    fails.
    """
    logs = settings.data_dir / "runs" / run_id
    about = settled(plan, time.time_ns() // 1000)  # how it would be now, to be checked before anything starts
    if "--" not in profile:  # a command is started by the agent, so its service cannot answer yet
        await check_target(about, settings.allow_hosts, settings.max_tps)
    on_phase("starting the broker")
    async with parts_here(settings, logs) as parts:
        broker = parts.broker
        on_phase("starting the stream processor and the profiler")
        worker = await parts.worker(run_id)
        agent = await parts.child("profile", "--run", run_id, *profile)
        await _all(worker.ready(START_S), agent.ready(START_S))
        await _listening(about, settings, agent, patience_s=START_S if "--" in profile else 0.0)

        started_at_us = aligned(int(time.time() * 1e6) + LEAD_US, settings.window_us)
        plan = settled(plan, started_at_us)
        plan_file = _write_plan(plan, logs)
        announcer = await _opened(plan, settings, broker, run_id, started_at_us)
        on_phase("loading")
        if begin is None:
            load: Load = await begin_loads(parts, plan, plan_file, run_id, started_at_us=started_at_us, workers=workers)
        else:
            load = begin(parts, started_at_us)
        early = early_end or EarlyEnd()

        def heard(window: WindowJoined) -> None:
            on_window(window)
            early.hears(window)

        watching = asyncio.create_task(windows_of(broker, settings.topics, run_id, heard))
        parts.on_end(watching.cancel)
        failure, cut_off_us = await _until_over(load, worker, agent, stop, early.broken)

        on_phase("finishing")
        producers, trouble = await _last_words(load, agent, announcer, cut_off_us)
        failure = failure or trouble
        reason = _reason(failure, stop, early)
        if reason == "broken":
            on_phase(early.note)
        ended_at_us = int(time.time() * 1e6)
        if load.note:
            on_phase(load.note)
        announcer.announce(
            RunEnded(
                run_id=run_id,
                ended_at_us=ended_at_us,
                reason=reason,
                producers=producers,
                note="; ".join(filter(None, (early.note, load.note)))[:_LONGEST_NOTE],
            )
        )
        await announcer.close(STOP_S)
        if failure and not worker.running:
            raise failure
        checks = await parts.drained(worker, run_id)
        return RunOutcome(run_id, ended_at_us, stop.is_set(), checks, failure)


async def _opened(plan: Plan, settings: Settings, broker: str, run_id: str, started_at_us: int) -> KafkaPublisher:
    """Announce the run, and give what will announce its end."""
    announcer = KafkaPublisher(broker, settings.topics, run_id, source=SOURCE)
    await announcer.start()
    announcer.announce(run_started(plan, settings, run_id, started_at_us, host_cores=os.cpu_count()))
    return announcer


async def _last_words(
    load: Load, agent: Child, announcer: KafkaPublisher, cut_off_us: int | None
) -> tuple[int, ChildError | None]:
    """See that every producer has its last words said: how many have, and what failed on the way."""
    producers, failure = load.producers, None
    try:
        for ended in await load.unspoken(cut_off_us):
            announcer.announce(ended)
            producers += 1
    except ChildError as error:
        failure = error
    try:
        await agent.finish(STOP_S)
        producers += 1
    except ChildError as error:
        failure = failure or error
    return producers, failure


def _reason(failure: ChildError | None, stop: asyncio.Event, early: EarlyEnd) -> Reason:
    if failure:
        return "error"
    if stop.is_set():
        return "aborted"
    return "broken" if early.note else "finished"


async def _listening(plan: Plan, settings: Settings, agent: Child, *, patience_s: float) -> None:
    """Check the target, again and again while a service that was just started does not listen yet."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return await check_target(plan, settings.allow_hosts, settings.max_tps)
        except TargetRefusedError:
            if time.monotonic() > until or not agent.running:
                raise
        await asyncio.sleep(_POLL_S)


async def _until_over(
    load: Load, worker: Child, agent: Child, stop: asyncio.Event, broken: asyncio.Event
) -> tuple[ChildError | None, int | None]:
    """Wait for the load's end; gives when its arrivals were cut off, in Unix microseconds, None when they were not.

    A part that fails is returned, not raised: what was measured is still brought home.
    """
    cut_off_us = None
    over = asyncio.create_task(load.wait())
    stopping = {asyncio.create_task(event.wait()) for event in (stop, broken)}
    parts = {asyncio.create_task(child.wait()): child for child in (worker, agent)}
    waiting: set[asyncio.Task[Any]] = {over, *stopping, *parts}
    try:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if all(parts.get(task) is agent and task.exception() is None for task in done):
            # An agent whose target exits ends well, and the run goes on without a profile.
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not over.done():
            cut_off_us = int(time.time() * 1e6)
            await load.finish(STOP_S)
        await over
        for task in done & parts.keys():
            child = parts[task]
            if task.exception() is not None or child is worker:
                return ChildError(f"{child.role} ended before the load did; see {child.log}"), cut_off_us
    except ChildError as error:
        return error, cut_off_us or int(time.time() * 1e6)
    finally:
        for task in (*stopping, *parts):
            task.cancel()
    return None, cut_off_us


async def _all(*waits: Awaitable[None]) -> None:
    """Wait for all; the first failure is raised as it is."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        for task in asyncio.as_completed(tasks):
            await task
    finally:
        for task in tasks:
            task.cancel()


def _write_plan(plan: Plan, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.yaml"
    path.write_text(plan.to_yaml())
    return path
