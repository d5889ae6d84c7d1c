"""`loadflame find-limit`: the highest rate that holds, found by raising it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loadflame.commands.common import AllowHost, AsJson, Backend, Broker, DataDir, StoreUrl
from loadflame.commands.profile import Command, Name, Pid
from loadflame.settings import read_settings
from loadflame.verdicts import exit_code

if TYPE_CHECKING:
    from loadflame.found import FoundLimit
    from views.report import Report


def find_limit(
    plan: Annotated[Path, typer.Argument(help="A plan (YAML); its requests and thresholds count, its stages do not.")],
    command: Command = None,
    pid: Pid = None,
    name: Name = None,
    start: Annotated[float, typer.Option(min=1, help="The first rate, in requests per second.")] = 10.0,
    each: Annotated[
        float, typer.Option(min=3, help="Seconds at each rate, up to thrice where it is not steady; a third settles.")
    ] = 9.0,
    resolution: Annotated[float, typer.Option(min=0.01, max=0.5, help="When to stop: width of the interval.")] = 0.05,
    backend: Backend = "auto",
    allow_host: AllowHost = None,
    broker: Broker = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Raise the rate until a threshold of PLAN breaks, and say between which rates the limit lies.

    Coarse steps first, half as much again each, then bisection, and both ends of what is left once more. A step lasts
    until it is steady, and ends early when it is plainly broken. Without thresholds a rate holds when under 1% of its
    requests fail and 95% of what was offered gets through. The service is profiled meanwhile, so the report says which
    function the rate broke on. Exit code 1: no rate held; 3: the generator could not keep up, or not every outcome is
    accounted for.
    """
    from loadflame.limit_session import find_limit_and_report
    from loadflame.session import Profiled
    from producers.load.plan import load_plan

    settings = read_settings(
        broker=broker, store=store, data_dir=data_dir, allow_hosts=tuple(allow_host) if allow_host else None
    )
    console = Console(stderr=as_json)
    read = load_plan(plan)
    profiled = Profiled.of(pid=pid, name=name, command=command) or Profiled.of_plan(read)
    found, report = find_limit_and_report(
        read, settings, profiled, backend, console, start_tps=start, each_s=each, resolution=resolution
    )
    if as_json:
        typer.echo(json.dumps({"run": report.run.id, "limit": found.as_json()}, indent=2))
    raise typer.Exit(exit_code(_verdict(found, report)))


def _verdict(found: FoundLimit, report: Report) -> str:
    """What a search says to a shell; how its run fared is no part of it, for a rate that broke was looked for."""
    if report.run.verdict == "aborted" or report.is_broken:
        return report.run.verdict
    if found.note:
        return "generator-limited"
    return "passed" if found.held_tps is not None else "failed"
