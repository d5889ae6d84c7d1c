"""`loadflame serve`: the store for people and for ClickHouse's clients, until it is stopped."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from loadflame.commands.common import DataDir, StoreUrl, WatchPort, run_until_stopped, say_ready
from loadflame.settings import PAGE_PORT, Settings, SettingsError, read_settings
from loadflame.watching import Watch, watching

CLICKHOUSE_PORT = 18123


def serve(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help=f"The page's port; 0 takes a free one. [dim](default: {PAGE_PORT}, or a free one where that is "
            "taken)[/]",
        ),
    ] = None,
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
    watch_port: WatchPort = None,
) -> None:
    """Serve the page of the runs in a store, and the embedded store to ClickHouse's clients, until Ctrl-C.

    The page shows load, latency and hot functions over time, flame graphs of what you select, and how far to trust
    them. Clients are curl, clickhouse-connect and Grafana's data source; they may only read. While a run is on, its
    stream processor has the embedded store, and answers through this command.
    """
    settings = read_settings(
        store=store, data_dir=data_dir, serve_host=host, serve_token_file=token_file, watch_port=watch_port
    )

    async def watched(stop: asyncio.Event) -> None:
        async with watching(settings) as watch:
            await _serve(settings, port, clickhouse_port, stop, watch)

    run_until_stopped(watched)


async def _serve(
    settings: Settings, port: int | None, clickhouse_port: int | None, stop: asyncio.Event, watch: Watch
) -> None:
    from loadflame.pages import page_of
    from schemas.watching import worst
    from sinks.connect import embedded_database, is_embedded
    from views.figures import GatewayFigures, PageFigures

    page_figures, gateway_figures = PageFigures(), GatewayFigures()
    shown: list[Callable[[], PageFigures | GatewayFigures]] = [lambda: page_figures]

    async with AsyncExitStack() as stack:
        read_from = settings.store_url
        if is_embedded(settings.store_url):
            from loadflame.gateways import check_readable, gateway_of

            check_readable(settings.store_url)
            way_in = await stack.enter_async_context(
                gateway_of(settings, CLICKHOUSE_PORT if clickhouse_port is None else clickhouse_port, gateway_figures)
            )
            shown.append(lambda: gateway_figures)
            typer.echo(f"ClickHouse's clients: {way_in.url} (read-only)", err=True)
            # Through the gateway, so that the store can be given to whoever wants to write.
            read_from = way_in.store_url(embedded_database(settings.store_url))
        elif clickhouse_port is not None:
            raise SettingsError(
                "a ClickHouse server answers its clients by itself: give them its address, and leave out "
                "--clickhouse-port"
            )
        else:
            from sinks.connect import open_client

            (await asyncio.to_thread(open_client, read_from)).close()  # said now, not by an empty page
        page = await stack.enter_async_context(
            page_of(
                settings,
                read_from,
                PAGE_PORT if port is None else port,
                may_move=port is None,
                figures=page_figures,
            )
        )
        typer.echo(f"The page: {page}", err=True)
        watch.show(lambda: worst(*(one().health() for one in shown)), *shown)
        say_ready()
        await stop.wait()
