"""`loadflame run`: everything on this machine, from a plan or from just a URL and a process."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadflame.checks import checks_table
from loadflame.commands.common import AllowHost, AsJson, Backend, Broker, DataDir, StoreUrl, run_until_stopped
from loadflame.commands.profile import Command, Name, Pid
from loadflame.live import display_on
from loadflame.runs import RunOutcome, new_run_id, run_here
from loadflame.settings import Settings, SettingsError, read_settings
from loadflame.verdicts import exit_code
from producers.load.plan import Plan, load_plan
from producers.load.segments import segments_of
from schemas.events import RunJudged
from sinks.store import open_store
from views.report import Report, build_report
from views.terminal import render


@dataclass(frozen=True, slots=True)
class Watch:
    """What `loadflame profile` is to watch, in its own arguments."""

    arguments: tuple[str, ...]

    @classmethod
    def of(cls, *, pid: int | None, name: str | None, command: list[str] | None) -> "Watch | None":
        """From the flags of a command; None when none is given."""
        given = [flag for flag in (pid, name, command) if flag]
        if len(given) > 1:
            raise SettingsError("give one of --pid, --name and -- COMMAND, not several")
        if command:
            return cls(("--", *command))
        if pid is not None:
            return cls(("--pid", str(pid)))
        return cls(("--name", name)) if name else None

    @classmethod
    def of_plan(cls, plan: Plan) -> "Watch | None":
        """From the plan's `profile`."""
        if plan.profile is None:
            return None
        return cls.of(pid=plan.profile.pid, name=plan.profile.name, command=plan.profile.command)


def run(
    target: Annotated[str, typer.Argument(metavar="PLAN|URL", help="A plan (YAML), or the URL to load.")],
    command: Command = None,
    pid: Pid = None,
    name: Name = None,
    save_plan: Annotated[Path | None, typer.Option(help="Keep the plan that was made up for a URL.")] = None,
    backend: Backend = "auto",
    allow_host: AllowHost = None,
    broker: Broker = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Load a service on this machine, profile it meanwhile, and report which function limits it.

    [bold]loadflame run plan.yaml[/] runs a plan. [bold]loadflame run http://127.0.0.1:8000/ --pid 4711[/] needs none: a
    short probe finds the rates. Broker and store are embedded unless given. Ctrl-C ends the run and still reports.
    """
    settings = read_settings(
        broker=broker, store=store, data_dir=data_dir, allow_hosts=tuple(allow_host) if allow_host else None
    )
    console = Console(stderr=as_json)
    watch = Watch.of(pid=pid, name=name, command=command)
    plan = _plan(target, settings, watch, console, save_plan)
    report = run_and_report(plan, settings, watch or Watch.of_plan(plan), backend, console, as_json=as_json)
    raise typer.Exit(exit_code(report.run.verdict))


def run_and_report(
    plan: Plan, settings: Settings, watch: Watch | None, backend: str, console: Console, *, as_json: bool
) -> Report:
    """Run a plan with a display on `console`, print the report, and return it."""
    if watch is None:
        raise SettingsError("nothing to profile: add `profile:` to the plan, or give --pid, --name or -- COMMAND")
    arguments = ("--service", plan.service, "--backend", backend, *watch.arguments)
    run_id = new_run_id()
    console.print(f"[bold]run {run_id}[/]: {plan.service} at {plan.target}", highlight=False)

    async def session(stop: asyncio.Event) -> RunOutcome:
        duration_s = max(segment.offset_s + segment.duration_s for segment in segments_of(plan))
        with display_on(console, duration_s=duration_s) as display:
            return await run_here(
                plan,
                settings,
                profile=arguments,
                run_id=run_id,
                stop=stop,
                on_phase=display.phase,
                on_window=display.window,
            )

    outcome = run_until_stopped(session)
    with contextlib.closing(open_store(settings.store_url)) as store:
        report = build_report(store.client, run_id)
        store.write_events([(RunJudged(run_id=run_id, verdict=report.run.verdict), outcome.ended_at_us)])
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        console.print(render(report))
        console.print(checks_table(outcome.checks))
    return report


def _plan(target: str, settings: Settings, watch: Watch | None, console: Console, save: Path | None) -> Plan:
    if not target.startswith(("http://", "https://")):
        return load_plan(Path(target))
    if watch is None or "--" in watch.arguments:
        raise SettingsError("to load a URL without a plan, say with --pid or --name which running process serves it")
    from loadflame.made_up import made_up_plan

    plan = run_until_stopped(lambda _: made_up_plan(target, settings.allow_hosts))
    console.print("A short probe made up this plan:", plan.to_yaml(), sep="\n", highlight=False)
    if save:
        save.write_text(plan.to_yaml())
    return plan
