"""`loadflame dashboards`: TPS versus hot function in your own Grafana."""

import os
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import UserError
from views.grafana.choices import PAGE_URL

app = typer.Typer(
    help="Write dashboards and alert rules for Grafana to files, or push them to a Grafana.", no_args_is_help=True
)

Store = Annotated[
    str | None,
    typer.Option(
        help="The store as Grafana reaches it: http(s)://reader@HOST:8123/DB, with ?ca_cert=FILE and the like as "
        "everywhere."
    ),
]
Page = Annotated[str, typer.Option(help="Where `loadflame serve` answers, for links to it.")]


@app.command("export")
def export_command(
    folder: Annotated[Path, typer.Argument(help="Where the files go; made when missing.")],
    store: Store = None,
    page: Page = PAGE_URL,
) -> None:
    """Write Grafana's provisioning folder: dashboards, the data source that they read, alert rules.

    Without --store the data source is that of compose.yaml. Secrets are Grafana's to put in, from
    READER_PASSWORD and READER_KEY in its environment.
    """
    from views.grafana.datasource import ClickHouseAccess
    from views.grafana.export import OF_COMPOSE, export

    access = ClickHouseAccess.of_url(store, "") if store else OF_COMPOSE
    for path in export(folder, access, page):
        typer.echo(path)


@app.command("push")
def push_command(
    url: Annotated[str, typer.Argument(help="The Grafana, as http://HOST:3000.")],
    token_file: Annotated[Path | None, typer.Option(help="File with the token; else env GRAFANA_TOKEN.")] = None,
    user: Annotated[str | None, typer.Option(help="Instead of a token; its password is env GRAFANA_PASSWORD.")] = None,
    store: Store = None,
    page: Page = PAGE_URL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Create or change folder, dashboards and alert rules in a Grafana, and with --store the data source they read.

    Says of each what is new, and of what is changed how; may be repeated. The reader's password is that of the store's
    URL (?password_file=FILE) or in the environment, LOADFLAME_READER_PASSWORD, so that it stands in no command line.
    """
    from views.grafana.datasource import ClickHouseAccess
    from views.grafana.push import push

    access = None
    if store:
        access = ClickHouseAccess.of_url(store, os.environ.get("LOADFLAME_READER_PASSWORD", ""))
    for change in push(url, _auth(token_file, user), store=access, page=page, dry_run=dry_run):
        typer.echo(str(change))


def _auth(token_file: Path | None, user: str | None) -> str | tuple[str, str]:
    """A token, or a user and a password. Raises UserError when there is neither."""
    from sinks.secrets import read_secret

    if user:
        password = os.environ.get("GRAFANA_PASSWORD", "")
        if not password:
            raise UserError(f"pushing as {user} needs a password: set GRAFANA_PASSWORD")
        return user, password
    token = read_secret(token_file, "--token-file") if token_file else os.environ.get("GRAFANA_TOKEN", "")
    if not token:
        raise UserError("pushing needs a token: set GRAFANA_TOKEN, or name a file by --token-file")
    return token
