"""A production service watched under the traffic that it has anyway: broker, worker, agent, and no load of ours.

    broker -> topics -> worker -> agent (first samples) -> requests as they end -> agent off -> worker drained -> report

Everything but what tells of the requests is as in `loadflame run`.
"""

import asyncio
import os
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack

from rich.console import Console
from rich.markup import escape

from loadflame.commands.common import run_until_stopped
from loadflame.early_end import EarlyEnd
from loadflame.live import PLAIN_EVERY_WINDOWS, finding_text, hottest
from loadflame.natural_load import Watched, opened
from loadflame.parts import START_S, parts_here
from loadflame.preflight import check_surroundings, refuse_second_load
from loadflame.runs import RunCourse, RunOutcome
from loadflame.session import Profiled, judge_and_print
from loadflame.settings import Settings
from loadflame.starting import LEAD_US, STOP_S, aligned, new_run_id
from loadflame.stopping import StoppedError, unless
from loadflame.subscription import follow
from loadflame.up import SOURCE, Up
from producers.profiler.backends import choose_backend
from producers.publisher import KafkaPublisher
from schemas.events import RunStarted, WindowJoined
from views.report import Report


def observe_and_report(
    watched: Watched,
    settings: Settings,
    profiled: Profiled | None,
    backend: str,
    console: Console,
    *,
    run: str | None,
    for_s: float | None,
    as_json: bool,
) -> Report:
    """Watch until Ctrl-C, or for so long; print the report, and return it.

    Raises UserError when a part cannot start or fails, StoppedError when it is stopped before it has begun.
    """
    if profiled is not None:
        choose_backend(backend)
    if run is not None:
        refuse_second_load(settings, run)
    run_id = run or new_run_id()
    arguments = ("--service", watched.service, "--backend", backend, *profiled.arguments) if profiled else ()
    about = f"{watched.service} as {watched.engine} {watched.where} tells of it"
    console.print(f"[bold]run {run_id}[/]: {escape(about)}", highlight=False)
    try:
        outcome = run_until_stopped(
            lambda stop: _observe_here(watched, settings, arguments, run_id, console, stop=stop, for_s=for_s)
        )
    except StoppedError:
        shutil.rmtree(settings.data_dir / "runs" / run_id, ignore_errors=True)
        raise
    return judge_and_print(outcome, settings, console, as_json=as_json)


async def _observe_here(
    watched: Watched,
    settings: Settings,
    profile: Sequence[str],
    run_id: str,
    console: Console,
    *,
    stop: asyncio.Event,
    for_s: float | None,
) -> RunOutcome:
    def on_phase(text: str) -> None:
        console.print(f"· {text}", highlight=False, markup=False)

    def on_url(url: str) -> None:
        console.print(f"· the page: {url}", highlight=False, soft_wrap=True)

    async with AsyncExitStack() as stack:
        async with unless(stop):
            await check_surroundings(settings, 2)
            on_phase("starting the broker, the stream processor and the profiler")
            up = await _up(settings, stack, profile, run_id)
            if settings.web:
                from loadflame.pages import page_of_run  # noqa: PLC0415  only who looks needs a web server

                await stack.enter_async_context(page_of_run(settings, run_id, on_url=on_url))
            load = await stack.enter_async_context(opened(watched, up.parts, run_id, stop))
        start_us = aligned(up.announcer.clock.now_us() + LEAD_US, settings.window_us)
        up.announcer.announce(_started(watched, settings, run_id, start_us))
        load.begin(start_us)
        on_phase("watching; Ctrl-C ends it with a report")
        if for_s is not None:
            asyncio.get_running_loop().call_later((start_us - up.announcer.clock.now_us()) / 1e6 + for_s, stop.set)
        lines = TrafficLines(console)
        watching = asyncio.create_task(
            follow(
                up.parts.broker,
                settings.topics,
                run_id,
                on_window=lines.window,
                on_finding=lambda finding: (
                    None if stop.is_set() else console.print(finding_text(finding), highlight=False, soft_wrap=True)
                ),
                security=up.parts.security,
            )
        )
        up.parts.on_end(watching.cancel)
        # That somebody has seen enough is no abortion: what is asked to end early is a run with a plan.
        course = RunCourse(load, up, asyncio.Event(), EarlyEnd(), on_phase)
        await course.until_over()
        return await course.brought_home(run_id, start_us)


async def _up(settings: Settings, stack: AsyncExitStack, profile: Sequence[str], run_id: str) -> Up:
    parts = await stack.enter_async_context(parts_here(settings, settings.data_dir / "runs" / run_id))
    worker = await parts.worker(run_id)
    agent = await parts.child("profile", "--run", run_id, *profile) if profile else None
    await worker.ready(START_S)
    if agent is not None:
        stack.push_async_callback(agent.end, STOP_S)
        await agent.ready(START_S)
    announcer = KafkaPublisher(
        parts.broker, settings.topics, run_id, source=SOURCE, security=parts.security, spool=parts.settings.spool
    )
    return Up(parts, worker, agent, await stack.enter_async_context(announcer))


def _started(watched: Watched, settings: Settings, run_id: str, start_us: int) -> RunStarted:
    return RunStarted(
        run_id=run_id,
        service=watched.service,
        target=f"{watched.engine} {watched.where}",
        started_at_us=start_us,
        window_us=settings.window_us,
        partitions=settings.partitions,
        engine=watched.engine,
        plan={"observed": {"by": watched.engine, "from": watched.where}},
        host_cores=os.cpu_count(),
    )


class TrafficLines:
    """A line every few windows, for terminals and logs alike: such a run has no end to count down to."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._first: int | None = None
        self._due = 0

    def window(self, window: WindowJoined) -> None:
        """A joined window; they may come out of order, and again after a late batch."""
        if not window.stages:
            return  # the profiler is up before the first request
        if self._first is None:
            self._first = self._due = window.window
        if window.window < self._due:
            return
        self._due = window.window + PLAIN_EVERY_WINDOWS
        p99 = "" if window.p99_ms is None else f", p99 {window.p99_ms:.1f} ms"
        failed = f", {window.failed} failed" if window.failed else ""
        hot = "".join(f", hottest {name} {share:.0%}" for name, share in hottest(window, 1))
        elapsed_s = (window.window - self._first) * window.window_us / 1e6
        line = f"  {elapsed_s:5.0f} s  {window.tps:.4g} requests/s{p99}{failed}{hot}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
