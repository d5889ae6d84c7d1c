"""A run from its first to its last word: display, processes, report, verdict."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.markup import escape

from analysis.limit_search import LimitSearch
from loadflame.checks import checks_table
from loadflame.commands.common import run_until_stopped
from loadflame.early_end import EarlyEnd
from loadflame.found import FoundLimit
from loadflame.limit import LimitLoad
from loadflame.limit_steps import Step
from loadflame.live import display_on
from loadflame.parts import Parts
from loadflame.preflight import check_service, check_surroundings
from loadflame.runs import RunOutcome, run_here
from loadflame.settings import Settings, SettingsError
from loadflame.starting import cores_here, new_run_id
from loadflame.stopping import unless
from producers.load.engine import choose_engine
from producers.load.plan import Plan
from producers.load.segments import segments_of
from producers.load.settled import settled
from producers.load.stages import Hold
from producers.load.workers import Workers, workers_for
from producers.profiler.backends import choose_backend
from producers.profiler.targets import target_of
from schemas.events import CheckOutcome, RunChecked, RunJudged
from sinks.clickhouse import open_store
from views.report import Report, build_report
from views.terminal import render

_WORKER_AND_AGENT = 2
_LONGEST = 1024
"""Of a sentence in an event."""
_NOTHING_TO_PROFILE = "nothing to profile: add `profile:` to the plan, or give --pid, --name or -- COMMAND"


@dataclass(frozen=True, slots=True)
class Watch:
    """What `loadflame profile` is to watch, in its own arguments."""

    arguments: tuple[str, ...]

    @property
    def starts_service(self) -> bool:
        """Whether it is a command, which only begins to listen once the run has started it."""
        return "--" in self.arguments

    @classmethod
    def of(cls, *, pid: int | None, name: str | None, command: list[str] | None) -> "Watch | None":
        """From the flags of a command; None when none is given. Raises UserError when there is nothing to watch."""
        given = [flag for flag in (pid, name, command or None) if flag is not None]
        if len(given) > 1:
            raise SettingsError("give one of --pid, --name and -- COMMAND, not several")
        if not given:
            return None
        target_of(pid=pid, name=name, command=command)  # said now, not when everything else has started
        if command:
            return cls(("--", *command))
        if pid is not None:
            return cls(("--pid", str(pid)))
        assert name is not None
        return cls(("--name", name))

    @classmethod
    def of_plan(cls, plan: Plan) -> "Watch | None":
        """From the plan's `profile`."""
        if plan.profile is None:
            return None
        return cls.of(pid=plan.profile.pid, name=plan.profile.name, command=plan.profile.command)


def run_and_report(
    plan: Plan,
    settings: Settings,
    watch: Watch | None,
    backend: str,
    console: Console,
    *,
    as_json: bool,
    workers: int | None = None,
) -> Report:
    """Run a plan with a display on `console`, print the report, and return it.

    `workers` processes share the load; None is as many as the plan's rate needs.
    """
    if watch is None:
        raise SettingsError(_NOTHING_TO_PROFILE)
    choose_backend(backend)
    arguments = ("--service", plan.service, "--backend", backend, *watch.arguments)
    run_id, engine = new_run_id(), choose_engine(plan)
    about = settled(plan, time.time_ns() // 1000)  # as far as it can be told before the run begins
    needed = Workers(workers, "as --workers says") if workers else workers_for(about, cores_here())

    async def session(stop: asyncio.Event) -> RunOutcome:
        await _preflight(about, settings, watch, stop, loads=needed.count)
        console.print(f"[bold]run {run_id}[/]: {plan.service} at {plan.target}", highlight=False)
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
                workers=needed.count,
                early_end=EarlyEnd.of(about),
            )

    outcome = run_until_stopped(session)
    return judge_and_print(outcome, settings, console, as_json=as_json)


def find_limit_and_report(
    plan: Plan,
    settings: Settings,
    watch: Watch | None,
    backend: str,
    console: Console,
    *,
    start_tps: float,
    each_s: float,
    resolution: float,
) -> tuple[FoundLimit, Report]:
    """Search the highest rate that holds, print each step, the report and what was found."""
    if watch is None:
        raise SettingsError(_NOTHING_TO_PROFILE)
    choose_backend(backend)
    arguments = ("--service", plan.service, "--backend", backend, *watch.arguments)
    run_id = new_run_id()
    engine = choose_engine(plan)
    search = LimitSearch(start_tps, resolution=resolution)
    # What the plan's own stages say does not count, and is not what is run.
    first = Hold.model_validate({"name": "find", "hold": start_tps, "for": each_s})
    plan = plan.model_copy(update={"stages": (first,)})
    loads: list[LimitLoad] = []

    def tell(step: Step) -> None:
        told = "[green]held[/]" if step.broken is None else f"[red]broke[/]: {escape(step.broken)}"
        p99 = "" if step.p99_ms is None else f", p99 {step.p99_ms:.1f} ms"
        restless = "" if step.steady or step.broken else ", not steady"
        figures = f"{step.tps:8,.5g} TPS for {step.seconds:.0f} s: achieved {step.achieved_tps:,.5g}{p99}{restless}"
        console.print(f"  {figures}, {told}", highlight=False)

    def begin(parts: Parts, start_at_us: int) -> LimitLoad:
        loads.append(LimitLoad(plan, settings, parts.broker, run_id, start_at_us, search, each_s, tell))
        return loads[0]

    async def session(stop: asyncio.Event) -> RunOutcome:
        await _preflight(plan, settings, watch, stop, loads=0)
        console.print(f"[bold]run {run_id}[/]: the limit of {plan.service} at {plan.target}", highlight=False)
        console.print(f"engine {engine.name}: {escape(engine.reason)}", style="dim", highlight=False)
        return await run_here(
            plan,
            settings,
            profile=arguments,
            run_id=run_id,
            stop=stop,
            on_phase=lambda phase: console.print(f"  {phase}", style="dim"),
            on_window=lambda _: None,
            begin=begin,
        )

    outcome = run_until_stopped(session)
    report = judge_and_print(outcome, settings, console, as_json=False)
    found = FoundLimit.of(search, loads[0].steps, loads[0].note)
    console.print(f"[bold]The limit[/]: {escape(found.sentence)}", highlight=False)
    return found, report


async def _preflight(plan: Plan, settings: Settings, watch: Watch, stop: asyncio.Event, *, loads: int) -> None:
    """Everything that can be refused of a settled plan is refused here, before anything is started or made."""
    async with unless(stop):
        await check_service(plan, settings, is_started=watch.starts_service)
        await check_surroundings(settings, _WORKER_AND_AGENT + loads)


def judge_and_print(outcome: RunOutcome, settings: Settings, console: Console, *, as_json: bool) -> Report:
    """Report on a run that is stored, keep its checks and verdict, print all, then raise what failed, if anything."""
    with contextlib.closing(open_store(settings.store_url)) as store:
        checks = [CheckOutcome(name=one.name, ok=one.ok, sentence=one.sentence[:_LONGEST]) for one in outcome.checks]
        store.write_events([RunChecked(run_id=outcome.run_id, checks=checks)], [outcome.ended_at_us])
        report = build_report(store.client, outcome.run_id)
        store.write_events([RunJudged(run_id=outcome.run_id, verdict=report.run.verdict)], [outcome.ended_at_us])
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        console.print(render(report))
        console.print(checks_table(outcome.checks))
    if outcome.failure:
        raise outcome.failure
    return report
