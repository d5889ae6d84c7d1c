"""`loadflame observe`: a production service under the traffic that it has anyway, without a load of ours."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from loadflame.commands.common import AsJson, Backend, Broker, DataDir, NoWeb, StoreUrl
from loadflame.commands.profile import Name, Pid
from loadflame.settings import SettingsError, read_settings
from loadflame.tellers import heard_beside, owner_of
from loadflame.verdicts import exit_code

if TYPE_CHECKING:
    from loadflame.natural_load import Watched
    from producers.natural import Source
    from producers.natural.access_log import Stamp
    from producers.natural.entry import Unit
    from producers.publisher import Publisher


def observe(
    service: Annotated[str, typer.Option(help="Name of the service in reports.")],
    access_log: Annotated[
        Path | None,
        typer.Argument(
            metavar="[ACCESS_LOG]",
            help="The log that the service, or the proxy before it, writes; it is read as it grows.",
            show_default=False,
        ),
    ] = None,
    pid: Pid = None,
    name: Name = None,
    socket: Annotated[
        Path | None,
        typer.Option(
            help="Instead of a log: the Unix socket at which the service's middleware tells (`loadflame middleware`)."
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option("--for", help="How long to watch, like 10m or 8h. [dim](default: until Ctrl-C)[/]"),
    ] = None,
    unit: Annotated[
        Literal["s", "ms", "us", "ns"] | None,
        typer.Option(
            help="Unit of a duration in the log that does not say it: us for %D of Apache and gunicorn. "
            "[dim](default: a decimal number is seconds, as nginx's $request_time; a whole one is not believed)[/]"
        ),
    ] = None,
    stamp: Annotated[
        Literal["end", "start"],
        typer.Option(help="Whether a line has the time at which its request ended, or began (Apache, aiohttp)."),
    ] = "end",
    under: Annotated[
        list[str] | None,
        typer.Option(help="Count only requests whose path begins so; repeatable. [dim](default: all)[/]"),
    ] = None,
    wait: Annotated[
        str | None,
        typer.Option(
            help="How long a second stays open for requests that are told of late: longer than the proxy buffers its "
            "log (nginx: `flush=`). [dim](default: 400ms for a log, 700ms for a socket)[/]"
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Run id, for agents elsewhere to take part in. [dim](default: a new one)[/]")
    ] = None,
    backend: Backend = "auto",
    broker: Broker = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
    no_web: NoWeb = False,
    as_json: AsJson = False,
) -> None:
    """Watch a service under the traffic that it has anyway: no load is sent. Ctrl-C ends it with a report.

    [bold]loadflame observe /var/log/nginx/access.log --service shop --name gunicorn[/] counts the requests that the log
    tells of, by second and endpoint, and profiles the processes meanwhile. Common, combined and JSON logs are read,
    through rotation. Latency needs a duration in each line: nginx's $request_time behind the format `combined`, say;
    without one it is unknown, and nothing is shown for it. Findings say what was seen together, never what caused it.
    """
    from loadflame.observing import observe_and_report
    from loadflame.session import Profiled

    if (access_log is None) == (socket is None):
        raise SettingsError("name the ACCESS_LOG to follow, or with --socket where the service's middleware tells")
    settings = read_settings(broker=broker, store=store, data_dir=data_dir, web=False if no_web else None)
    console = Console(stderr=as_json)
    profiled = Profiled.of(pid=pid, name=name, command=None)
    stack = ExitStack()
    for_s, wait_s = _seconds("--for", duration), _seconds("--wait", wait)
    wait_us = None if wait_s is None else round(wait_s * 1e6)
    if access_log is not None:
        watched = _by_log(access_log, service, unit, stamp, under or [], wait_us)
    else:
        assert socket is not None
        beside = stack.enter_context(heard_beside()) if profiled else None
        watched = _by_socket(socket, service, pid, under or [], wait_us, beside)
        if profiled is not None:
            profiled = Profiled.of(pid=pid, name=name, command=None, socket=str(beside))
    with stack:
        report = observe_and_report(
            watched, settings, profiled, backend, console, run=run, for_s=for_s, as_json=as_json
        )
    raise typer.Exit(exit_code(report.run.verdict))


def _by_log(
    path: Path, service: str, unit: Unit | None, stamp: Stamp, under: list[str], wait_us: int | None
) -> Watched:
    from loadflame.natural_load import Watched
    from producers.natural import AccessLog
    from producers.natural.observing import WAIT_US

    def opened(publisher: Publisher) -> Source:
        clock, correction_us = publisher.clock, publisher.skew.correction_us
        return AccessLog(path, clock.now_us(), unit=unit, stamp=stamp, under=under, correction_us=correction_us)

    AccessLog(path, 0).close()  # what is wrong with it is said now, not when everything else has started
    return Watched(service, AccessLog.name, path.name, opened, wait_us or WAIT_US)


def _by_socket(
    path: Path, service: str, pid: int | None, under: list[str], wait_us: int | None, beside: Path | None
) -> Watched:
    """`beside` is where the agent listens: what is told is passed on to it."""
    from loadflame.natural_load import Watched
    from producers.context.relay import Relay
    from producers.natural import MiddlewareSocket

    owner = owner_of(pid)

    def opened(publisher: Publisher) -> Source:
        return MiddlewareSocket(
            path,
            under=under,
            owner=owner,
            correction_us=publisher.skew.correction_us,
            relay=Relay(beside) if beside else None,
        )

    MiddlewareSocket(path, owner=owner).close()
    return Watched(service, MiddlewareSocket.name, path.name, opened, wait_us or MiddlewareSocket.settle_us)


def _seconds(option: str, text: str | None) -> float | None:
    from schemas.durations import parse_duration_s

    try:
        return None if text is None else parse_duration_s(text)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from None
