"""`loadflame profile`: watch a service and publish its stacks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadflame.commands.common import Backend, Broker, WatchPort, broker_of, run_until_stopped, say_ready
from loadflame.kafka_access import security_of
from loadflame.logs import logs_about
from loadflame.settings import Settings, read_settings
from loadflame.tellers import owner_of
from loadflame.watching import Watch, watching
from schemas.loading import load_arrow

if TYPE_CHECKING:
    from producers.profiler.targets import Target

Pid = Annotated[int | None, typer.Option(help="Watch this process and its children.")]
Name = Annotated[str | None, typer.Option(help="Watch the processes whose command line holds this text.")]
Socket = Annotated[
    Path | None,
    typer.Option(help="The Unix socket at which the service's middleware tells (`loadflame middleware`)."),
]
Command = Annotated[list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="A command to start and watch.")]


def profile(
    run: Annotated[str, typer.Option(help="The run that the samples belong to.")],
    command: Command = None,
    pid: Pid = None,
    name: Name = None,
    service: Annotated[str, typer.Option(help="Name of the service in reports.")] = "service",
    backend: Backend = "auto",
    rate_hz: Annotated[
        int | None, typer.Option(help="Samples per second and process; default: the sampler's own.")
    ] = None,
    looks_hz: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=200,
            help="Looks per second at all threads, which tell why the tail is slow; 0 is none. "
            "[dim](env LOADFLAME_LOOKS_HZ; default: what 0.4% of a core affords)[/]",
        ),
    ] = None,
    socket: Socket = None,
    broker: Broker = None,
    watch_port: WatchPort = None,
) -> None:
    """Sample the stacks of a Python service and publish them to Kafka, until Ctrl-C or the service's end.

    With --socket, at which the service's middleware tells of its requests, each sample is joined with the request that
    its thread served: then the report says which endpoint pays for which function.
    """
    load_arrow()
    from producers.profiler.targets import target_of

    settings = read_settings(broker=broker, watch_port=watch_port, looks_hz=looks_hz)
    target = target_of(pid=pid, name=name, command=command or None)

    async def watched(stop: asyncio.Event) -> None:
        with logs_about(run=run):
            async with watching(settings) as watch:
                await _profile(target, settings, run, service, backend, rate_hz, socket, stop, watch)

    run_until_stopped(watched)


async def _profile(
    target: Target,
    settings: Settings,
    run: str,
    service: str,
    backend: str,
    rate_hz: int | None,
    socket: Path | None,
    stop: asyncio.Event,
    watch: Watch,
) -> None:
    from loadflame.starting import ACKNOWLEDGE_S
    from loadflame.topics import ensure_topics
    from producers.profiler.agent import run_agent
    from producers.publisher import KafkaPublisher, health_of, say_last_words
    from schemas.watching import worst

    broker, security = broker_of(settings, "profile"), security_of(settings)
    await ensure_topics(broker, settings.topics, security=security)
    async with KafkaPublisher(
        broker, settings.topics, run, source="loadflame/profile", security=security, spool=settings.spool
    ) as publisher:
        summary = await run_agent(
            target,
            publisher=publisher,
            service=service,
            run_id=run,
            backend=backend,
            rate_hz=rate_hz,
            looks_hz=settings.looks_hz,
            window_us=settings.window_us,
            stop=stop,
            told_at=socket,
            owner=owner_of(target.pid) if socket is not None else None,
            on_ready=say_ready,
            on_start=lambda agent: watch.show(
                lambda: worst(health_of(publisher.figures()), agent.health()), agent.figures, publisher.figures
            ),
        )
        await say_last_words(publisher, run, "profiler", note=summary.note, timeout_s=ACKNOWLEDGE_S)
