"""`loadflame run`: everything on this machine, from a plan or from just a URL and a process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loadflame.commands.common import AllowHost, AsJson, Backend, Broker, DataDir, NoWeb, StoreUrl, run_until_stopped
from loadflame.commands.profile import Command, Name, Pid
from loadflame.settings import Settings, SettingsError, read_settings
from loadflame.verdicts import exit_code

if TYPE_CHECKING:
    from loadflame.session import Profiled
    from producers.load.plan import Plan


def run(
    target: Annotated[str, typer.Argument(metavar="PLAN|URL", help="A plan (YAML), or the URL to load.")],
    command: Command = None,
    pid: Pid = None,
    name: Name = None,
    save_plan: Annotated[Path | None, typer.Option(help="Keep the plan that was made up for a URL.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="Processes that share the load. [dim](default: as many as the plan's rate needs, up to the cores)[/]",
        ),
    ] = None,
    backend: Backend = "auto",
    allow_host: AllowHost = None,
    broker: Broker = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
    watch_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Serve /metrics and /healthz of the stream processor here, of the agent on the next port, of each "
            "load process on one more. [dim](env LOADFLAME_WATCH_PORT; default: off)[/]",
        ),
    ] = None,
    no_web: NoWeb = False,
    as_json: AsJson = False,
) -> None:
    """Load a service on this machine, profile it meanwhile, and report which function limits it.

    [bold]loadflame run plan.yaml[/] runs a plan. [bold]loadflame run http://127.0.0.1:8000/ --pid 4711[/] needs none: a
    short probe finds the rates. Broker and store are embedded unless given. Ctrl-C ends the run and still reports.
    """
    from loadflame.session import Profiled, run_and_report
    from producers.profiler.backends import choose_backend

    settings = read_settings(
        broker=broker,
        store=store,
        data_dir=data_dir,
        allow_hosts=tuple(allow_host) if allow_host else None,
        watch_port=watch_port,
        web=False if no_web else None,
    )
    console = Console(stderr=as_json)
    profiled = Profiled.of(pid=pid, name=name, command=command)
    if save_plan and not save_plan.parent.is_dir():
        raise SettingsError(f"there is no folder {save_plan.parent} for --save-plan; make it first")
    choose_backend(backend)  # said now, not after the probe
    plan = _plan(target, settings, profiled, console, save_plan)
    profiled = profiled or Profiled.of_plan(plan)
    report = run_and_report(plan, settings, profiled, backend, console, as_json=as_json, workers=workers)
    raise typer.Exit(exit_code(report.run.verdict))


def _plan(target: str, settings: Settings, profiled: Profiled | None, console: Console, save: Path | None) -> Plan:
    from producers.load.plan import load_plan

    if not target.startswith(("http://", "https://")):
        return load_plan(Path(target))
    if profiled is None or profiled.starts_service:
        raise SettingsError("to load a URL without a plan, say with --pid or --name which running process serves it")
    from loadflame.made_up import made_up_plan
    from loadflame.preflight import check_surroundings
    from loadflame.stopping import unless

    async def probed(stop: asyncio.Event) -> Plan:
        async with unless(stop):
            await check_surroundings(settings)  # the probe is a load already
            return await made_up_plan(target, settings.allow_hosts, settings.max_tps)

    plan = run_until_stopped(probed)
    console.print("A short probe made up this plan:", plan.to_yaml(), sep="\n", highlight=False, markup=False)
    if save:
        save.write_text(plan.to_yaml())
    return plan
