"""`loadflame report`: what a run found, as a page, as JSON, as a file to hand on; and its stacks for other viewers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loadflame.commands.common import AsJson, DataDir, StoreUrl
from loadflame.settings import SettingsError, read_settings
from loadflame.verdicts import exit_code

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Run = Annotated[str, typer.Argument(help="Run id, as `loadflame runs` lists them; `last` is the newest.")]
_VIEWERS = "For other viewers (instead of the report)"
_FROM_TO = "Seconds since the start of the run, as 12, 12s or 1m; or a time like 2026-01-31T12:00:05 (UTC)."


def report(
    run: Run = "last",
    store: StoreUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    svg: Annotated[Path | None, typer.Option(help="Also write the page as a picture.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write one file for a browser, with every chart, that needs no network.")
    ] = None,
    at_tps: Annotated[
        float | None,
        typer.Option(min=0.001, help="Size the service for this rate; default: the highest that was measured."),
    ] = None,
    folded: Annotated[
        Path | None,
        typer.Option(help="Stacks as `a;b;c MICROSECONDS`, for FlameGraph and its kin.", rich_help_panel=_VIEWERS),
    ] = None,
    speedscope: Annotated[
        Path | None, typer.Option(help="Stacks as JSON for speedscope.", rich_help_panel=_VIEWERS)
    ] = None,
    pprof: Annotated[
        Path | None, typer.Option(help="Stacks as pprof's profile, compressed.", rich_help_panel=_VIEWERS)
    ] = None,
    from_time: Annotated[
        str | None, typer.Option("--from", help=f"Stacks from here on. {_FROM_TO}", rich_help_panel=_VIEWERS)
    ] = None,
    to_time: Annotated[str | None, typer.Option("--to", help="Stacks up to here.", rich_help_panel=_VIEWERS)] = None,
) -> None:
    """Say which function limits the service, at which TPS, and by how much.

    Exit code: 0 passed, 1 a threshold failed, 3 the run may not be judged, 130 it was aborted. When only stacks are
    written for other viewers, 0.
    """
    from sinks.clickhouse import open_for_reading
    from views.report import build_report
    from views.runs import resolve_run
    from views.terminal import render, save_svg

    files = {"folded": folded, "speedscope": speedscope, "pprof": pprof}
    wanted = {kind: path for kind, path in files.items() if path is not None}
    if (from_time or to_time) and not wanted:
        raise SettingsError("--from and --to choose stacks: name a file by --folded, --speedscope or --pprof")
    client = open_for_reading(read_settings(store=store, data_dir=data_dir).store_url)
    run = resolve_run(client, run)
    if wanted:
        for path in _write_stacks(client, run, wanted, from_time, to_time):
            typer.echo(path, err=as_json)
        if not (html or svg or as_json):
            return
    built = build_report(client, run, at_tps=at_tps)
    if html:
        from views.exports.page import page, saved

        html.write_text(page(saved(client, run)))
    if as_json:
        typer.echo(built.model_dump_json(indent=2))
    else:
        Console().print(render(built))
    if svg:
        save_svg(built, svg)
    raise typer.Exit(exit_code(built.run.verdict))


def _write_stacks(
    client: "Client", run: str, wanted: dict[str, Path], from_time: str | None, to_time: str | None
) -> list[Path]:
    """Raises RangeError when there is no such range, or nothing was sampled in it."""
    from views.exports.folded import folded
    from views.exports.pprof import pprof
    from views.exports.speedscope import speedscope
    from views.ranges import Clock, RangeError
    from views.stacks import range_stacks

    clock = Clock.of(client, run)
    ends = [None if text is None else clock.parse(text) for text in (from_time, to_time)]
    part = clock.part(*ends)
    found = range_stacks(client, part)
    if not found.stacks:
        where = f"from {part.from_s:g} to {part.to_s:g} s of run {run}" if part.windows else "in the range"
        raise RangeError(
            f"nothing was sampled {where}; its windows go from {clock.part().from_s:g} to {clock.part().to_s:g} s"
        )
    for kind, path in wanted.items():
        if kind == "pprof":
            path.write_bytes(pprof(found))
        else:
            name = f"{run}, {part.from_s:g} to {part.to_s:g} s"
            path.write_text(folded(found) if kind == "folded" else speedscope(found, name=name))
    return list(wanted.values())
