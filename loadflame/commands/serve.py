"""`loadflame serve`: the store for people and for ClickHouse's clients, until it is stopped."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from loadflame.commands.common import DataDir, StoreUrl, run_until_stopped, say_ready
from loadflame.settings import Settings, SettingsError, read_settings

CLICKHOUSE_PORT = 18123


def serve(
    clickhouse_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Answer ClickHouse's HTTP interface on this port, read-only, from the embedded store; 0 takes a free "
            f"one. [dim](default: {CLICKHOUSE_PORT})[/]",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; another than loopback needs a token. [dim](env LOADFLAME_SERVE_HOST)[/]"
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the token that whoever asks gives as a password. "
            "[dim](env LOADFLAME_SERVE_TOKEN_FILE, or the token itself in LOADFLAME_SERVE_TOKEN)[/]"
        ),
    ] = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Answer ClickHouse's clients (curl, clickhouse-connect, Grafana's data source) from the embedded store, read-only.

    While a run is on, its stream processor has the store, and answers through this command.
    """
    settings = read_settings(store=store, data_dir=data_dir, serve_host=host, serve_token_file=token_file)
    run_until_stopped(lambda stop: _serve(settings, clickhouse_port, stop))


async def _serve(settings: Settings, clickhouse_port: int | None, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        if settings.store_url.startswith("chdb:"):
            from loadflame.gateways import check_readable, gateway_of

            check_readable(settings.store_url)
            port = CLICKHOUSE_PORT if clickhouse_port is None else clickhouse_port
            url = await stack.enter_async_context(gateway_of(settings, port))
            typer.echo(f"ClickHouse's clients: {url} (read-only)", err=True)
        else:
            # The page is served for any store; it is added here.
            raise SettingsError(
                "a ClickHouse server answers its clients by itself: give them its address; `serve` has a gateway for "
                "the embedded store only"
            )
        say_ready()
        await stop.wait()
