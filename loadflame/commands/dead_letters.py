"""`loadflame dead-letters`: messages that could not be read, and what can be done about them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loadflame.commands.common import AsJson, Broker, DataDir, StoreUrl, broker_of
from loadflame.settings import SettingsError, read_settings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from loadflame.dead_letters import InKafka
    from processors.letters import Original

app = typer.Typer(
    help="List messages that could not be read, look into one, send again those that can be read now.",
    no_args_is_help=True,
)
Letter = Annotated[str, typer.Argument(metavar="LETTER", help="As `list` names it: topic/partition/offset.")]
RunOption = Annotated[str | None, typer.Option(help="Of this run only; `last` is the newest.")]


@app.command("list")
def list_command(
    run: RunOption = None,
    most: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    broker: Broker = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List what could not be read: what, where, why, when, and what became of it.

    With --broker also whether Kafka still has it: in its source topic, or as the letter that was put aside.
    """
    from loadflame.dead_letters import name_of, whereabouts
    from loadflame.letter_text import as_json as letter_as_json
    from loadflame.letter_text import moment_of, state_of
    from loadflame.plain_text import plain
    from sinks.clickhouse import open_for_reading
    from sinks.letters import read_dead_letters

    settings = read_settings(broker=broker, store=store, data_dir=data_dir)
    with contextlib.closing(open_for_reading(settings.store_url)) as client:
        known = read_dead_letters(client, run_id=_run_id(client, run), most=most)
    found: list[InKafka | None] = [None] * len(known)
    if settings.broker is not None and known:
        found = [*asyncio.run(whereabouts(settings, settings.broker, known))]
    if as_json:
        pairs = zip(known, found, strict=True)
        typer.echo(json.dumps([letter_as_json(one) | {"in_kafka": where} for one, where in pairs], indent=2))
        return
    if not known:
        typer.echo("No dead letters.")
        return
    table = Table(box=None, header_style="bold")
    for column in ("letter", "run", "when (UTC)", "bytes", "rows", "since then", "in Kafka", "why"):
        table.add_column(column, overflow="fold", justify="right" if column in ("bytes", "rows") else "left")
    for one, where in zip(known, found, strict=True):
        letter = one.letter
        table.add_row(
            name_of(letter),
            escape(plain(letter.run_id)),
            f"{moment_of(letter.received_at_us):%Y-%m-%d %H:%M:%S}",
            f"{letter.size_bytes:,}",
            f"{letter.rows:,}",
            state_of(one),
            where or "–",
            escape(plain(letter.error)),
        )
    Console().print(table)


@app.command("show")
def show_command(
    letter: Letter, broker: Broker = None, store: StoreUrl = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Look into one letter: why it could not be read, its headers, its first bytes, and whether it can be read now."""
    from loadflame.dead_letters import kafka_of, named
    from loadflame.letter_text import details, hexdump
    from loadflame.plain_text import plain
    from sinks.clickhouse import open_for_reading
    from sinks.letters import read_dead_letters

    settings = read_settings(broker=broker, store=store, data_dir=data_dir)
    bootstrap = broker_of(settings, "dead-letters show")
    with contextlib.closing(open_for_reading(settings.store_url)) as client:
        (one,) = named(read_dead_letters(client), [letter])

    async def fetched() -> Original | None:
        async with kafka_of(settings, bootstrap, [one]) as kafka:
            return await kafka.original(one.letter)

    said = details(settings, one, asyncio.run(fetched()))
    if as_json:
        typer.echo(json.dumps(said, indent=2))
        return
    headers, first_bytes = said.pop("headers", []), bytes.fromhex(said.pop("first_bytes", ""))
    for name, value in said.items():
        typer.echo(f"{name.replace('_', ' ')}: {plain(str(value))}")
    for name, value in headers:
        typer.echo(f"  {name} = {value}")
    for line in hexdump(first_bytes):
        typer.echo(f"  {line}")


@app.command("replay")
def replay_command(
    letters: Annotated[list[str] | None, typer.Argument(metavar="[LETTER...]", help="As `list` names them.")] = None,
    run: RunOption = None,
    every: Annotated[bool, typer.Option("--all", help="All that the store knows.")] = False,
    execute: Annotated[bool, typer.Option("--execute", help="Do it, rather than say what would be done.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also what still cannot be read.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what was sent again before, or is visible.")] = False,
    broker: Broker = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send letters again as they were received, to the topic and partition that they came from.

    A dry run, unless --execute is given. Only what can be read now is sent, and nothing twice: what is sent all the
    same is known by its identity, and counts once. A running `loadflame process` stores it. Exit code 1 when
    something was left out.
    """
    from loadflame.dead_letters import name_of, named, replay
    from loadflame.plain_text import plain
    from sinks.clickhouse import open_store
    from sinks.letters import read_dead_letters

    settings = read_settings(broker=broker, store=store, data_dir=data_dir)
    bootstrap = broker_of(settings, "dead-letters replay")
    if sum((bool(letters), run is not None, every)) != 1:
        raise SettingsError("say what to replay: letters as `dead-letters list` names them, --run RUN or --all")
    with contextlib.closing(open_store(settings.store_url)) as opened:
        known = read_dead_letters(opened.client, run_id=_run_id(opened.client, run))
        chosen = named(known, letters) if letters else known
        outcomes = asyncio.run(
            replay(
                chosen,
                settings,
                bootstrap,
                anyway=anyway,
                again=again,
                execute=execute,
                on_sent=lambda letter, offset: opened.write_replays([(letter, offset)]),
            )
        )
    left_out = [one for one in outcomes if one.why_not]
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in outcomes], indent=2))
    else:
        for one in outcomes:
            sent = f"sent to offset {one.offset}" if execute else "would be sent"
            typer.echo(f"{name_of(one.letter)}: {plain(one.why_not) or sent}")
        typer.echo(_summary(len(outcomes) - len(left_out), len(left_out), execute=execute))
    if left_out:
        raise typer.Exit(1)


def _run_id(client: Client, run: str | None) -> str | None:
    """A letter may be of a run that nobody opened, so only `last` is looked up."""
    from views.runs import NEWEST, resolve_run

    return resolve_run(client, run) if run == NEWEST else run


def _summary(sent: int, left_out: int, *, execute: bool) -> str:
    if not execute:
        return f"{sent} would be sent again, {left_out} not; --execute does it"
    then = "; a running `loadflame process` stores them, then `loadflame verify` counts them" if sent else ""
    return f"{sent} sent again, {left_out} not{then}"
