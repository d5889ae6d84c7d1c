"""`loadflame watch`: events as they are published, a line each."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import aclosing
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.console import Console

from loadflame.broker import BrokerError
from loadflame.commands.common import Broker, broker_of, run_until_stopped
from loadflame.kafka_access import security_of
from loadflame.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from loadflame.heard import Heard, Watchable

DEFAULT: tuple[Watchable, ...] = ("findings", "runs")


class Topic(StrEnum):
    """See `Watchable`: the form in which typer takes several of them."""

    FINDINGS = "findings"
    RUNS = "runs"
    WINDOWS = "windows"
    DEAD_LETTERS = "dead-letters"


def watch(
    topic: Annotated[
        list[Topic] | None,
        typer.Option(help="findings, runs, windows or dead-letters; repeatable. [dim](default: findings and runs)[/]"),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Of this run only.")] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest that Kafka has, not with what comes now.")
    ] = False,
    broker: Broker = None,
    as_json: Annotated[bool, typer.Option("--json", help="A CloudEvent in JSON a line, for other programs.")] = False,
) -> None:
    """Print what was found, and a run's course, as it is published to Kafka; until Ctrl-C.

    Each event once, a line each: its time (UTC), its run, what it says. A finding that is told again has a revision,
    and the highest holds.
    """
    settings = read_settings(broker=broker)
    try:
        run_until_stopped(lambda stop: _watch(settings, _kinds(topic), run, stop, from_start, as_json))
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _kinds(topics: list[Topic] | None) -> tuple[Watchable, ...]:
    from loadflame.heard import Watchable

    asked = {topic.value for topic in topics or ()}
    return tuple(kind for kind in get_args(Watchable) if kind in asked) or DEFAULT


async def _watch(
    settings: Settings,
    kinds: tuple[Watchable, ...],
    run: str | None,
    stop: asyncio.Event,
    from_start: bool,
    as_json: bool,
) -> None:
    from aiokafka.errors import KafkaError

    from loadflame.heard import heard_on
    from loadflame.topics import ensure_topics

    bootstrap, security, topics = broker_of(settings, "watch"), security_of(settings), settings.topics
    await ensure_topics(bootstrap, topics, security=security)
    ready = asyncio.Event()
    messages = heard_on(bootstrap, topics, kinds, from_start=from_start, ready=ready, security=security)
    parts = [asyncio.create_task(stop.wait()), asyncio.create_task(_said(ready, bootstrap, kinds))]
    printing = asyncio.create_task(_print(messages, run, as_json))
    try:
        await asyncio.wait({parts[0], printing}, return_when=asyncio.FIRST_COMPLETED)
        if printing.done():
            printing.result()
    except KafkaError as error:
        raise BrokerError(
            f"Kafka at {bootstrap} cannot be read ({str(error)[:200]}); see whether it is well"
        ) from error
    finally:
        for task in (*parts, printing):
            task.cancel()
        await asyncio.gather(*parts, printing, return_exceptions=True)


async def _said(ready: asyncio.Event, bootstrap: str, kinds: tuple[Watchable, ...]) -> None:
    await ready.wait()
    typer.echo(f"watching {', '.join(kinds)} at {bootstrap}; Ctrl-C ends it", err=True)


async def _print(messages: AsyncGenerator[Heard, None], run: str | None, as_json: bool) -> None:
    from loadflame.event_text import line_of

    console = Console(soft_wrap=True)  # what goes into a pipe goes there plainly, and may be broken off
    async with aclosing(messages):
        async for message in messages:
            if run not in (None, message.run_id):
                continue
            if not as_json and console.is_terminal:
                console.print(line_of(message), highlight=False)
            elif not as_json:
                typer.echo(line_of(message).plain)
            elif message.trouble:
                typer.echo(f"an event that cannot be read was left out: {message.trouble}", err=True)
            else:
                typer.echo(json.dumps(message.as_json(), ensure_ascii=False))
