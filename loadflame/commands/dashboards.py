"""`loadflame dashboards`: TPS versus hot function in your own Grafana."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Write the Grafana dashboards to files, or push them to a Grafana.", no_args_is_help=True)


@app.command("export")
def export_command(
    folder: Annotated[Path, typer.Argument(help="Where the JSON files go; made when missing.")],
) -> None:
    """Write every dashboard as JSON, for provisioning or for looking at."""
    from views.grafana.export import export

    for path in export(folder):
        typer.echo(path)
