"""`loadflame spool`: what waits on this host's disk for a Kafka that was away, and how it gets there."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadflame.commands.common import AsJson, Broker, DataDir, broker_of
from loadflame.kafka_access import security_of
from loadflame.settings import read_settings
from schemas.errors import UserError

if TYPE_CHECKING:
    from producers.publisher.leftovers import Leftover
    from schemas.kafka_security import KafkaSecurity

app = typer.Typer(help="What was measured while Kafka was away, and waits on this host's disk.")
Names = Annotated[list[str] | None, typer.Argument(help="Only these, wherever they were meant for.")]


@app.callback(invoke_without_command=True)
def spool(context: typer.Context, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List what waits: of which run, for which Kafka, and how much. `loadflame spool send` delivers it."""
    if context.invoked_subcommand is not None:
        return
    found = _found(read_settings(data_dir=data_dir).spool_folder)
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in found], indent=2))
        return
    if not found:
        typer.echo("Nothing waits: all that was measured here has been acknowledged by Kafka.")
        return
    table = Table(box=None, header_style="bold")
    for name in ("name", "run", "for Kafka at", "since (UTC)", "batches", "rows", "MB", "state"):
        table.add_column(name, no_wrap=name == "name", justify="right" if name in ("batches", "rows", "MB") else "left")
    for one in found:
        table.add_row(
            one.folder.name,
            ", ".join(one.runs),
            one.broker,
            f"{datetime.fromtimestamp(one.since_us / 1e6, UTC):%Y-%m-%d %H:%M}",
            f"{one.waiting.batches:,}",
            f"{one.waiting.rows:,}",
            f"{one.bytes / 1e6:,.1f}",
            "in use" if one.held else "waits",
        )
    Console().print(table)


@app.command("send")
def send(names: Names = None, broker: Broker = None, data_dir: DataDir = None) -> None:
    """Deliver what waits for this Kafka, and delete it here once Kafka has acknowledged it.

    What was sent before, and its acknowledgement lost, counts once all the same: batches have an identity.
    """
    settings = read_settings(broker=broker, data_dir=data_dir)
    bootstrap, security = broker_of(settings, "spool send"), security_of(settings)
    found = _found(settings.spool_folder)
    if unknown := sorted(set(names or ()) - {one.folder.name for one in found}):
        raise UserError(f"nothing named {unknown[0]} waits in {settings.spool_folder}; see `loadflame spool`")
    wanted = [one for one in found if (one.folder.name in names if names else one.broker == bootstrap)]
    if not wanted:
        others = sorted({one.broker for one in found})
        typer.echo(f"Nothing waits for {bootstrap}" + (f"; for others: {', '.join(others)}." if others else "."))
        return
    asyncio.run(_send(wanted, bootstrap, security))


def _found(folder: Path) -> "list[Leftover]":
    from producers.publisher.leftovers import folders_in, look_at

    found = []
    for one in folders_in(folder):
        try:
            found.append(look_at(one))
        except FileNotFoundError:
            continue  # sent meanwhile
        except ValueError as error:
            typer.echo(f"{one} is passed over: {error}", err=True)
    return found


def _as_json(one: "Leftover") -> dict[str, object]:
    return {
        "name": one.folder.name,
        "runs": list(one.runs),
        "broker": one.broker,
        "since": datetime.fromtimestamp(one.since_us / 1e6, UTC).isoformat(),
        "batches": one.waiting.batches,
        "rows": one.waiting.rows,
        "bytes": one.bytes,
        "in_use": one.held,
    }


async def _send(wanted: "Sequence[Leftover]", bootstrap: str, security: "KafkaSecurity") -> None:
    from aiokafka.errors import KafkaError

    from producers.publisher.client import Client
    from producers.publisher.leftovers import CONNECT_S, at_once, send_left_behind
    from producers.publisher.spool import SpoolHeldError

    client = Client(bootstrap, "loadflame-spool", security)
    await client.start(CONNECT_S)
    try:
        for one in wanted:
            try:
                done = await send_left_behind(client, one.folder, at_once)
            except SpoolHeldError:
                typer.echo(f"{one.folder.name} is in use: the process that fills or sends it goes on doing so")
                continue
            except FileNotFoundError:
                continue  # somebody else was faster
            except KafkaError as error:
                raise UserError(
                    f"Kafka at {bootstrap} went away meanwhile ({error}); what it did not acknowledge waits here: send "
                    "it again when Kafka is back"
                ) from error
            typer.echo(f"{one.folder.name}: {done.sent.batches:,} batches ({done.sent.rows:,} rows) delivered")
            if done.refused.messages:
                typer.echo(
                    f"{one.folder.name}: Kafka refused {done.refused.batches:,} batches ({done.refused.rows:,} rows), "
                    "which are lost; `loadflame verify` will miss them",
                    err=True,
                )
    finally:
        await client.stop()
