"""`loadflame dashboards`: TPS versus hot function in your own Grafana."""

import os
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import UserError

app = typer.Typer(help="Write the Grafana dashboards to files, or push them to a Grafana.", no_args_is_help=True)


@app.command("export")
def export_command(
    folder: Annotated[Path, typer.Argument(help="Where the JSON files go; made when missing.")],
) -> None:
    """Write every dashboard as JSON, for provisioning or for looking at."""
    from views.grafana.export import export

    for path in export(folder):
        typer.echo(path)


@app.command("push")
def push_command(
    url: Annotated[str, typer.Argument(help="The Grafana, as http://HOST:3000.")],
    token_file: Annotated[Path | None, typer.Option(help="File with the token; else env GRAFANA_TOKEN.")] = None,
    store: Annotated[str | None, typer.Option(help="Also set up the data source: http://reader@HOST:8123/DB.")] = None,
) -> None:
    """Create or replace the dashboards in a Grafana, and with --store the data source they read from.

    The reader's password comes from the environment, LOADFLAME_READER_PASSWORD, so that it stands in no command line.
    """
    from views.grafana.push import ClickHouseAccess, push

    token = token_file.read_text().strip() if token_file else os.environ.get("GRAFANA_TOKEN", "")
    if not token:
        raise UserError("pushing needs a token: set GRAFANA_TOKEN, or name a file by --token-file")
    access = None
    if store:
        access = ClickHouseAccess.of_url(store, os.environ.get("LOADFLAME_READER_PASSWORD", ""))
    for address in push(url, token, store=access):
        typer.echo(address)
