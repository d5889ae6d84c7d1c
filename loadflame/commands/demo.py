"""`loadflame demo`: the sample shop, loaded and profiled, in about a minute and a half."""

from typing import Annotated

import typer
from rich.console import Console

from loadflame.commands.common import AsJson, Backend, DataDir, NoWeb, StoreUrl
from loadflame.settings import read_settings
from loadflame.verdicts import exit_code


def demo(
    data_dir: DataDir = None,
    store: StoreUrl = None,
    backend: Backend = "auto",
    visits: Annotated[int, typer.Option(min=3, help="Visits of each of the four levels, 4 s each.")] = 3,
    no_web: NoWeb = False,
    as_json: AsJson = False,
) -> None:
    """Load and profile a small shop that comes with loadflame, and say which function stops it.

    Starts the shop, an embedded broker, the stream processor, the profiler and the load as processes of their own,
    visits four rates in random order, then one with other shares of its requests, and ends them all. Nothing is
    downloaded, nothing leaves this machine. Exit code 0 whatever the verdict, for the shop is meant to be limited; 3
    when not every outcome is accounted for, 130 when it was ended by Ctrl-C.
    """
    from loadflame.demo import demo_plan, sample_shop
    from loadflame.session import Profiled, run_and_report

    settings = read_settings(store=store, data_dir=data_dir, web=False if no_web else None)
    console = Console(stderr=as_json)
    with sample_shop() as (url, pid):
        plan = demo_plan(url, visits)
        report = run_and_report(plan, settings, Profiled(("--pid", str(pid))), backend, console, as_json=as_json)
    if not as_json:
        console.print(
            "\nNow your own service: [bold]loadflame run http://127.0.0.1:8000/ --pid PID[/]"
            " · this report again: [bold]loadflame report[/] · look at it: [bold]loadflame serve[/]"
        )
    if report.run.verdict == "aborted" or report.is_broken:
        raise typer.Exit(exit_code(report.run.verdict))
