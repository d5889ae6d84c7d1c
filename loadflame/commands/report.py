"""`loadflame report`: what a run found, as a page or as JSON."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadflame.commands.common import AsJson, DataDir, StoreUrl
from loadflame.settings import read_settings
from loadflame.verdicts import exit_code

Run = Annotated[str, typer.Argument(help="Run id, as `loadflame runs` lists them; `last` is the newest.")]


def report(
    run: Run = "last",
    store: StoreUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    svg: Annotated[Path | None, typer.Option(help="Also write the page as a picture.")] = None,
) -> None:
    """Say which function limits the service, at which TPS, and by how much.

    Exit code: 0 passed, 1 a threshold failed, 3 the run may not be judged, 130 it was aborted.
    """
    from sinks.clickhouse import open_for_reading
    from views.report import build_report
    from views.runs import resolve_run
    from views.terminal import render, save_svg

    client = open_for_reading(read_settings(store=store, data_dir=data_dir).store_url)
    built = build_report(client, resolve_run(client, run))
    if as_json:
        typer.echo(built.model_dump_json(indent=2))
    else:
        Console().print(render(built))
    if svg:
        save_svg(built, svg)
    raise typer.Exit(exit_code(built.run.verdict))
