"""A search for the limit from its first to its last word: the steps as they are judged, report, the limit."""

import asyncio

from rich.console import Console
from rich.markup import escape

from analysis.judging.limit_search import LimitSearch
from loadflame.commands.common import run_until_stopped
from loadflame.found import FoundLimit
from loadflame.limit import LimitLoad
from loadflame.limit_steps import Step
from loadflame.live import finding_text
from loadflame.parts import Parts
from loadflame.runs import RunOutcome, run_here
from loadflame.session import NOTHING_TO_PROFILE, Profiled, judge_and_print, preflight
from loadflame.settings import Settings, SettingsError
from loadflame.starting import new_run_id
from producers.load.engine import choose_engine
from producers.load.plan import Plan
from producers.load.stages import Hold
from producers.profiler.backends import choose_backend
from views.report import Report


def find_limit_and_report(
    plan: Plan,
    settings: Settings,
    profiled: Profiled | None,
    backend: str,
    console: Console,
    *,
    start_tps: float,
    each_s: float,
    resolution: float,
) -> tuple[FoundLimit, Report]:
    """Search the highest rate that holds, print each step, the report and what was found."""
    if profiled is None:
        raise SettingsError(NOTHING_TO_PROFILE)
    choose_backend(backend)
    arguments = ("--service", plan.service, "--backend", backend, *profiled.arguments)
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

    def tell_page(url: str) -> None:
        console.print(f"  the page: {url}", highlight=False, soft_wrap=True)

    def begin(parts: Parts, start_at_us: int) -> LimitLoad:
        loads.append(LimitLoad(plan, settings, parts.broker, parts.security, run_id, start_at_us, search, each_s, tell))
        return loads[0]

    async def session(stop: asyncio.Event) -> RunOutcome:
        await preflight(plan, settings, profiled, stop, loads=0)
        about = escape(f"the limit of {plan.service} at {plan.target}")
        console.print(f"[bold]run {run_id}[/]: {about}", highlight=False)
        console.print(f"engine {engine.name}: {escape(engine.reason)}", style="dim", highlight=False)
        return await run_here(
            plan,
            settings,
            profile=arguments,
            run_id=run_id,
            stop=stop,
            on_phase=lambda phase: console.print(f"  {phase}", style="dim"),
            on_window=lambda _: None,
            on_finding=lambda finding: console.print(finding_text(finding), highlight=False, soft_wrap=True),
            on_page=tell_page if settings.web else None,
            begin=begin,
        )

    outcome = run_until_stopped(session)
    report = judge_and_print(outcome, settings, console, as_json=False)
    found = FoundLimit.of(search, loads[0].steps, loads[0].note)
    console.print(f"[bold]The limit[/]: {escape(found.sentence)}", highlight=False)
    return found, report
