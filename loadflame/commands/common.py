"""What the commands share: their options' words, and how a long-running one is stopped."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import uvloop

from loadflame.children import READY, end_with_parent
from loadflame.settings import Settings, SettingsError

T = TypeVar("T")

Broker = Annotated[
    str | None,
    typer.Option(help="Kafka as host:port. [dim](env LOADFLAME_BROKER; for `run` and `demo` default: embedded)[/]"),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="chdb:///folder or http(s)://user@host:port/database. [dim](env LOADFLAME_STORE; default: embedded)[/]",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Where the embedded store and the logs live. [dim](env LOADFLAME_DATA_DIR)[/]"),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(help="A host besides loopback that may be loaded; repeatable. [dim](env LOADFLAME_ALLOW_HOSTS)[/]"),
]
Backend = Annotated[
    str,
    typer.Option(help="Sampler: auto, py-spy or austin; auto takes what the truth benchmark found best."),
]
WatchPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Serve /metrics and /healthz on this port of loopback; 0 takes a free one, which the log names. "
        "[dim](env LOADFLAME_WATCH_PORT; default: off)[/]",
    ),
]
NoWeb = Annotated[
    bool,
    typer.Option("--no-web", help="Do not serve the web page meanwhile. [dim](env LOADFLAME_WEB=0)[/]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a page.")]


def broker_of(settings: Settings, role: str) -> str:
    """The broker that a role on its own needs; raises SettingsError when none is set."""
    if settings.broker is None:
        raise SettingsError(f"{role} needs a broker: give --broker HOST:PORT or set LOADFLAME_BROKER")
    return settings.broker


def say_ready() -> None:
    """Tell whoever started this role that it is up."""
    print(READY, flush=True)  # noqa: T201  part of the roles' contract, on standard output


async def next_line() -> str:
    """The next line of standard input, which whoever started this role writes; empty when they are gone."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return (await reader.readline()).decode(errors="replace").strip()


def run_until_stopped(main: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """Run `main` on uvloop with an event that Ctrl-C or SIGTERM sets; a second one ends the process at once."""

    async def body() -> T:
        end_with_parent()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ask)
        return await main(stop)

    return uvloop.run(body())
