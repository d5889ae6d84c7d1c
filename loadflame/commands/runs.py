"""`loadflame runs`: what is in the store."""

import json

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loadflame.commands.common import AsJson, DataDir, StoreUrl
from loadflame.settings import read_settings

_STYLE = {"passed": "green", "failed": "red", "aborted": "yellow", "broken off": "yellow", "live": "cyan"}


def runs(store: StoreUrl = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the runs in the store, newest first, with their verdicts."""
    from sinks.clickhouse import open_for_reading
    from views.runs import list_runs

    settings = read_settings(store=store, data_dir=data_dir)
    found = list_runs(open_for_reading(settings.store_url))
    if as_json:
        typer.echo(json.dumps([run.model_dump(mode="json") for run in found], indent=2))
        return
    if not found:
        typer.echo("No runs yet; `loadflame demo` makes one.")
        return
    table = Table(box=None, header_style="bold")
    for name in ("run", "service", "started (UTC)", "lasted", "verdict"):
        table.add_column(name, no_wrap=name in ("run", "verdict"))
    for run in found:
        lasted = f"{(run.ended_at - run.started_at).total_seconds():.0f} s" if run.ended_at else "–"
        verdict = run.verdict or ("–" if run.state == "ended" else run.state)
        table.add_row(
            run.id,
            escape(run.service),
            f"{run.started_at:%Y-%m-%d %H:%M}",
            lasted,
            f"[{_STYLE.get(verdict, 'dim')}]{verdict}[/]",
        )
    Console().print(table)
