"""A run from its first to its last word: display, processes, report, verdict."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from loadflame.checks import checks_table, checks_told
from loadflame.commands.common import run_until_stopped
from loadflame.early_end import EarlyEnd
from loadflame.kafka_access import security_of
from loadflame.live import display_on
from loadflame.preflight import check_service, check_surroundings
from loadflame.runs import RunOutcome, run_here
from loadflame.settings import Settings, SettingsError
from loadflame.starting import ACKNOWLEDGE_S, cores_here, new_run_id
from loadflame.stopping import unless
from loadflame.up import SOURCE
from producers.load.engine import choose_engine
from producers.load.plan import Plan
from producers.load.segments import segments_of
from producers.load.settled import settled
from producers.load.workers import Workers, workers_for
from producers.profiler.backends import choose_backend
from producers.profiler.targets import target_of
from producers.publisher import KafkaPublisher, PublisherError
from schemas.events import EventData, RunJudged
from sinks.clickhouse import open_store

if TYPE_CHECKING:
    from views.report import Report

_WORKER_AND_AGENT = 2
NOTHING_TO_PROFILE = "nothing to profile: add `profile:` to the plan, or give --pid, --name or -- COMMAND"


@dataclass(frozen=True, slots=True)
class Profiled:
    """What `loadflame profile` is to watch, in its own arguments."""

    arguments: tuple[str, ...]

    @property
    def starts_service(self) -> bool:
        """Whether it is a command, which only begins to listen once the run has started it."""
        return "--" in self.arguments

    @classmethod
    def of(
        cls, *, pid: int | None, name: str | None, command: list[str] | None, socket: str | None = None
    ) -> "Profiled | None":
        """From the flags of a command; None when none is given. Raises UserError when there is nothing to watch.

        `socket` is where the service's middleware tells.
        """
        given = [flag for flag in (pid, name, command or None) if flag is not None]
        if len(given) > 1:
            raise SettingsError("give one of --pid, --name and -- COMMAND, not several")
        if not given:
            return None
        target_of(pid=pid, name=name, command=command)  # said now, not when everything else has started
        told = ("--socket", socket) if socket is not None else ()
        if command:
            return cls((*told, "--", *command))
        if pid is not None:
            return cls((*told, "--pid", str(pid)))
        assert name is not None
        return cls((*told, "--name", name))

    @classmethod
    def of_plan(cls, plan: Plan) -> "Profiled | None":
        """From the plan's `profile`."""
        if plan.profile is None:
            return None
        told = plan.profile
        return cls.of(pid=told.pid, name=told.name, command=told.command, socket=told.socket)


def run_and_report(
    plan: Plan,
    settings: Settings,
    profiled: Profiled | None,
    backend: str,
    console: Console,
    *,
    as_json: bool,
    workers: int | None = None,
) -> "Report":
    """Run a plan with a display on `console`, print the report, and return it.

    `workers` processes share the load; None is as many as the plan's rate needs.
    """
    if profiled is None:
        raise SettingsError(NOTHING_TO_PROFILE)
    choose_backend(backend)
    arguments = ("--service", plan.service, "--backend", backend, *profiled.arguments)
    run_id, engine = new_run_id(), choose_engine(plan)
    about = settled(plan, time.time_ns() // 1000)  # as far as it can be told before the run begins
    needed = Workers(workers, "as --workers says") if workers else workers_for(about, cores_here())

    async def session(stop: asyncio.Event) -> RunOutcome:
        await preflight(about, settings, profiled, stop, loads=needed.count)
        console.print(f"[bold]run {run_id}[/]: {escape(plan.service)} at {escape(plan.target)}", highlight=False)
        console.print(f"engine {engine.name}: {escape(engine.reason)}", style="dim", highlight=False)
        console.print(needed.sentence, style="dim", highlight=False)
        duration_s = max(segment.offset_s + segment.duration_s for segment in segments_of(about))
        with display_on(console, duration_s=duration_s) as display:
            return await run_here(
                plan,
                settings,
                profile=arguments,
                run_id=run_id,
                stop=stop,
                on_phase=display.phase,
                on_window=display.window,
                on_finding=display.finding,
                on_page=display.page if settings.web else None,
                workers=needed.count,
                early_end=EarlyEnd.of(about),
            )

    outcome = run_until_stopped(session)
    return judge_and_print(outcome, settings, console, as_json=as_json)


async def preflight(plan: Plan, settings: Settings, profiled: Profiled, stop: asyncio.Event, *, loads: int) -> None:
    """Everything that can be refused of a settled plan is refused here, before anything is started or made."""
    async with unless(stop):
        await check_service(plan, settings, is_started=profiled.starts_service)
        await check_surroundings(settings, _WORKER_AND_AGENT + loads)


def judge(outcome: RunOutcome, settings: Settings, console: Console) -> "Report":
    """Report on a run that is stored; keep its checks and verdict, and make them known. Blocks."""
    # Not before: most of what a run can be refused for is told in the time that this takes to be imported.
    from views.report import build_report  # noqa: PLC0415

    with contextlib.closing(open_store(settings.store_url)) as store:
        checked = checks_told(outcome.run_id, outcome.checks)
        store.write_events([checked], [outcome.ended_at_us])
        report = build_report(store.client, outcome.run_id)
        judged = RunJudged(run_id=outcome.run_id, verdict=report.run.verdict)
        store.write_events([judged], [outcome.ended_at_us])
    if settings.broker is not None:  # the embedded one has ended, and nobody could hear of it
        asyncio.run(_tell(settings, settings.broker, (checked, judged), console))
    return report


def judge_and_print(outcome: RunOutcome, settings: Settings, console: Console, *, as_json: bool) -> "Report":
    """Judge a run that is stored, print all of it, then raise what failed, if anything."""
    from views.terminal import render  # noqa: PLC0415

    report = judge(outcome, settings, console)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        console.print(render(report))
        console.print(checks_table(outcome.checks))
    if outcome.failure:
        raise outcome.failure
    return report


async def _tell(settings: Settings, broker: str, events: Sequence[EventData], console: Console) -> None:
    """Publish what is known of a run once it is stored; the run stays what it is where that cannot be done."""
    run_id = events[0].run_id
    publisher = KafkaPublisher(broker, settings.topics, run_id, source=SOURCE, security=security_of(settings))
    try:
        async with publisher:
            for event in events:
                publisher.announce(event)
            await publisher.close(ACKNOWLEDGE_S)
    except PublisherError as error:
        console.print(f"the verdict could not be published: {error}", style="yellow", highlight=False)
