"""`loadflame compare`: two versions of a service under one plan, restarted and interleaved, then compared."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadflame.commands.common import AllowHost, AsJson, Backend, Broker, DataDir, StoreUrl
from loadflame.commands.diff import AsMarkdown, FailOn, exit_code_of, one_form, show
from loadflame.settings import read_settings
from loadflame.verdicts import exit_code

_COMMAND = "Starts the service, split into words as a shell would; no shell runs it."


def compare(
    plan: Annotated[Path, typer.Argument(help="A plan (YAML); whatever its `profile` says is not used.")],
    a: Annotated[str, typer.Option("--a", metavar="CMD", help=f"The base side. {_COMMAND}")],
    b: Annotated[str, typer.Option("--b", metavar="CMD", help="The new side, in the same way and at the same target.")],
    restarts: Annotated[int, typer.Option(min=1, max=100, help="Runs a side; 3 at least for a verdict.")] = 5,
    fail_on: FailOn = "nothing",
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Processes that share the load. [dim](default: as many as needed)[/]"),
    ] = None,
    backend: Backend = "auto",
    allow_host: AllowHost = None,
    broker: Broker = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """Run PLAN on command A and on command B in turns, and say what got dearer or slower.

    Each run starts the command anew and ends it, in the order ABBA ABBA ..., so that a machine that gets slower does so
    for both. Ctrl-C ends the run that is on and compares what was measured. The runs stay in the store.
    """
    from loadflame.comparing import again, compare_and_report
    from producers.load.plan import load_plan

    one_form(as_json=as_json, as_markdown=as_markdown)
    settings = read_settings(
        broker=broker,
        store=store,
        data_dir=data_dir,
        allow_hosts=tuple(allow_host) if allow_host else None,
        web=False,
    )
    console = Console(stderr=as_json or as_markdown)
    sequel, difference = compare_and_report(
        load_plan(plan), settings, (a, b), backend, console, restarts=restarts, workers=workers
    )
    show(difference, as_json=as_json, as_markdown=as_markdown)
    console.print(f"again: {again(sequel)}", style="dim", highlight=False, soft_wrap=True)
    if sequel.failure:
        raise sequel.failure
    raise typer.Exit(exit_code("aborted") if sequel.stopped else exit_code_of(difference, fail_on))
