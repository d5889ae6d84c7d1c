"""A run on this machine: broker, worker, agent and load as processes of their own, begun and ended in order.

    broker -> topics -> worker -> agent (first samples) -> load -> agent off -> worker drained -> checks -> broker off

Nothing here decides anything about load, profiles or storage: each role is the command that a user can start alone.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from loadflame.children import Child, ChildError
from loadflame.early_end import EarlyEnd
from loadflame.parts import Parts
from loadflame.settings import Settings
from loadflame.starting import LEAD_US, STOP_S, aligned, run_started
from loadflame.stopping import StoppedError, unless
from loadflame.subscription import follow
from loadflame.up import Up, all_up
from processors.verify import Check
from producers.load.plan import Plan
from producers.load.settled import settled
from schemas.events import FindingMade, ProducerEnded, RunEnded, WindowJoined

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

    async def unspoken(self, until_us: int | None) -> Sequence[ProducerEnded]:
        """What is to be said for those of it that could not say their last words themselves, once it is over.

        `until_us` is when its arrivals were cut off, None when they were not. Raises ChildError when it is not known.
        """


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
    on_finding: Callable[[FindingMade], None] = lambda _: None,
    on_page: Callable[[str], None] | None = None,
    workers: int = 1,
    begin: BeginLoad | None = None,
    early_end: EarlyEnd | None = None,
) -> RunOutcome:
    """Run a plan with everything on this machine, until it ends or `stop` is set (what was measured is kept).

    Look at the target, the broker and the store before (`loadflame.preflight`). `profile` holds the arguments that tell
    `loadflame profile` what to watch. `on_phase` hears in a few words what is going on, `on_window` gets each joined
    window, `on_finding` what is found while it is loaded; `on_page` the address of the run's page, which is served when
    there is somebody to tell. `workers` processes share the load, unless `begin` begins another. The run is over once
    `early_end` has heard of a broken threshold.
    Raises UserError when a part cannot start or fails, StoppedError when `stop` is set before the load has begun:
    nothing of the run is left then.
    """
    logs = settings.data_dir / "runs" / run_id
    try:
        async with AsyncExitStack() as stack:
            async with unless(stop):
                up, loads = await all_up(
                    plan,
                    settings,
                    stack,
                    profile=profile,
                    workers=0 if begin else workers,
                    run_id=run_id,
                    logs=logs,
                    on_phase=on_phase,
                )
                if on_page is not None:
                    from loadflame.pages import page_of_run  # noqa: PLC0415  only who looks needs a web server

                    await stack.enter_async_context(page_of_run(settings, run_id, on_url=on_page))
            started_at_us = aligned(up.announcer.clock.now_us() + LEAD_US, settings.window_us)
            plan = settled(plan, started_at_us)
            up.announcer.announce(run_started(plan, settings, run_id, started_at_us, host_cores=os.cpu_count()))
            on_phase("loading")
            load: Load = begin(up.parts, started_at_us) if begin else loads.begin(plan, started_at_us)
            early, over = early_end or EarlyEnd(), asyncio.Event()

            def heard(window: WindowJoined) -> None:
                on_window(window)
                early.hears(window)

            parts = up.parts
            watching = asyncio.create_task(
                follow(
                    parts.broker,
                    settings.topics,
                    run_id,
                    on_window=heard,
                    on_finding=lambda finding: None if over.is_set() else on_finding(finding),
                    security=parts.security,
                )
            )
            parts.on_end(watching.cancel)
            course = RunCourse(load, up, stop, early, on_phase)
            await course.until_over()
            over.set()  # what is found from now on stands in the report
            return await course.brought_home(run_id, started_at_us)
    except StoppedError:
        shutil.rmtree(logs, ignore_errors=True)
        with suppress(OSError):  # not ours alone
            logs.parent.rmdir()
        raise


class RunCourse:
    """A run from its load's first arrival to its last stored row.

    A part that fails is kept in `failure`, not raised: what was measured is still brought home. What fails first is
    what is told, for others fail of it; what fails once `stop` is set is no failure of the run.
    """

    def __init__(
        self, load: Load, up: Up, stop: asyncio.Event, early: EarlyEnd, on_phase: Callable[[str], None]
    ) -> None:
        self.failure: ChildError | None = None
        self._load = load
        self._up = up
        self._stop = stop
        self._early = early
        self._on_phase = on_phase
        self._cut_off_us: int | None = None

    async def until_over(self) -> None:
        """Wait for the load's end, or bring it about: at a failure, when asked to, or by a threshold."""
        over = asyncio.create_task(self._load.wait())
        lasting = [asyncio.create_task(_outlasts(self._up.worker))]
        if self._up.agent is not None:
            lasting.append(asyncio.create_task(_goes_on(self._up.agent)))
        asked = [asyncio.create_task(event.wait()) for event in (self._stop, self._early.broken)]
        waiting: set[asyncio.Task[Any]] = {over, *lasting, *asked}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in (*lasting, over):
                if task in done and (error := task.exception()):
                    self._failed(error)
            if self.failure or not over.done():
                self._cut_off_us = self._up.announcer.clock.now_us()
            if not over.done():
                try:
                    await self._load.finish(STOP_S)
                except ChildError as error:
                    self._failed(error)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def brought_home(self, run_id: str, started_at_us: int) -> RunOutcome:
        """End the profile and the run, wait until everything is stored, and check it."""
        is_aborted = self._stop.is_set()  # later it is too late: the plan is through
        self._on_phase("finishing")
        producers = await self._last_words()
        reason: Literal["error", "aborted", "broken", "finished"] = "finished"
        if self.failure or is_aborted:
            reason = "error" if self.failure else "aborted"
        elif self._early.note:
            reason = "broken"
            self._on_phase(self._early.note)
        # It may have ended before its first arrival.
        ended_at_us = max(self._up.announcer.clock.now_us(), started_at_us)
        if self._load.note:
            self._on_phase(self._load.note)
        self._up.announcer.announce(
            RunEnded(
                run_id=run_id,
                ended_at_us=ended_at_us,
                reason=reason,
                producers=producers,
                judged=self._up.worker.running,  # without one there will be nothing to judge by
                note="; ".join(filter(None, (self._early.note, self._load.note)))[:_LONGEST_NOTE],
            )
        )
        await self._up.announcer.close(STOP_S)
        if self.failure and not self._up.worker.running:
            raise self.failure
        checks = await self._up.parts.drained(self._up.worker, run_id)
        return RunOutcome(run_id, ended_at_us, checks, self.failure)

    async def _last_words(self) -> int:
        """See that every producer has its last words said, and count them."""
        producers = self._load.producers
        try:
            for ended in await self._load.unspoken(self._cut_off_us):
                self._up.announcer.announce(ended)
                producers += 1
        except ChildError as error:
            self._failed(error)
        try:
            if self._up.agent is not None:
                await self._up.agent.finish(STOP_S)
                producers += 1
        except ChildError as error:
            self._failed(error)
        return producers

    def _failed(self, error: BaseException) -> None:
        """Keep what the run failed of; only tell it, where a part was asked to end early."""
        if not isinstance(error, ChildError):
            raise error
        if self._stop.is_set() and self.failure is None:
            self._on_phase(str(error))
        else:
            self.failure = self.failure or error


async def _outlasts(worker: Child) -> None:
    """Raises ChildError when the worker ends, well or not: there is a load still."""
    await worker.wait()
    raise ChildError(f"{worker.role} ended before the load did; see {worker.log}")


async def _goes_on(agent: Child) -> None:
    """Raises ChildError when the agent fails. One whose target exits ends well: the run goes on without a profile."""
    await agent.wait()
    await asyncio.Event().wait()
