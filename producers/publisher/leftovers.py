"""Sending what spools hold: a process's own as Kafka comes back, and what earlier processes left behind."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from producers.publisher.base import PublisherError
from producers.publisher.client import Client, Delivered
from producers.publisher.messages import Message
from producers.publisher.spool import Spool, SpoolHeldError, Waiting, begun_us, broker_of, is_held, segments_of
from producers.publisher.spool_records import DamagedRecordError, read_record
from schemas.kafka_security import PLAINTEXT, KafkaSecurity

CHUNK_BYTES, CHUNK_MESSAGES = 1 << 20, 16
"""What is read from a spool, and under way from it, at once."""
CONNECT_S = 10.0

Pace = Callable[[Sequence[Message]], Awaitable[None]]
"""Called with what was just delivered; returns when more may be."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A spool as it lies on disk. `held`: a process is writing or sending it. `since_us` is Unix time."""

    folder: Path
    broker: str
    since_us: int
    bytes: int
    waiting: Waiting
    runs: tuple[str, ...]
    held: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a spool: what Kafka acknowledged, and what it refused for good."""

    sent: Waiting
    refused: Waiting


async def deliver_in_order(client: Client, messages: Sequence[Message]) -> list[Delivered | KafkaError]:
    """Deliver batches side by side, and an event only once all before it are acknowledged; what came of each.

    So whoever reads the last words of a producer knows that what they count has arrived.
    """
    outcomes: list[Delivered | KafkaError] = []
    for _, some in groupby(messages, key=lambda message: message.is_batch):
        deliveries = [asyncio.create_task(client.deliver(message)) for message in some]
        try:
            await asyncio.wait(deliveries)
        finally:
            for delivery in deliveries:
                delivery.cancel()
        for delivery in deliveries:
            error = delivery.exception()
            if error is not None and not isinstance(error, KafkaError):
                raise error
            outcomes.append(error if error is not None else delivery.result())
    return outcomes


def folders_in(place: Path) -> list[Path]:
    """The spools of a place; none when there is no such folder. Raises OSError."""
    if not place.is_dir():
        return []
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def look_at(folder: Path) -> Leftover:
    """Read a spool through and count, without holding it. Raises OSError, ValueError for a folder that is none."""
    broker, found, runs, size = broker_of(folder), Waiting(), dict[str, None](), 0
    for path in segments_of(folder):
        size += path.stat().st_size
        with path.open("rb") as file:
            try:
                while (message := read_record(file)) is not None:
                    found = found.plus(Waiting.of(message))
                    runs[_run_of(message)] = None
            except DamagedRecordError:
                pass  # a torn tail; what comes before it is good
    return Leftover(folder, broker, begun_us(folder), size, found, tuple(runs), is_held(folder))


async def send_left_behind(client: Client, folder: Path, pace: Pace) -> Sent:
    """Deliver a spool whose process is gone, and delete what is acknowledged.

    Raises SpoolHeldError when somebody has it, FileNotFoundError when it has been sent meanwhile, ValueError when it is
    none, OSError; PublisherError when Kafka may not, or cannot, take it: all that is not acknowledged stays.
    """
    there = await client.partitions()
    spool = await _opened(folder)
    done = Sent(Waiting(), Waiting())
    try:
        while messages := await asyncio.to_thread(spool.peek, CHUNK_BYTES, CHUNK_MESSAGES):
            for message in messages:
                _check(message, there, client.bootstrap)
            outcomes = await deliver_in_order(client, messages)
            for message, outcome in zip(messages, outcomes, strict=True):
                if isinstance(outcome, TopicAuthorizationFailedError):
                    raise PublisherError(
                        f"Kafka at {client.bootstrap} does not let this user write to topic {message.topic}; grant it"
                    ) from outcome
                one = Waiting.of(message)
                refused = isinstance(outcome, KafkaError)
                done = Sent(done.sent, done.refused.plus(one)) if refused else Sent(done.sent.plus(one), done.refused)
            await asyncio.to_thread(spool.drop)
            await pace(messages)
    finally:
        spool.close()
    return done


async def _opened(folder: Path) -> Spool:
    """Open a spool; when we are cancelled meanwhile, it is let go again."""
    opening = asyncio.create_task(asyncio.to_thread(Spool.left_behind, folder))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_let_go)
        raise


def _let_go(opening: asyncio.Task[Spool]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def at_once(delivered: Sequence[Message]) -> None:
    """A pace: as fast as Kafka takes it."""
    del delivered


async def bring_home(
    bootstrap: str, place: Path, names: Collection[str] | None = None, *, security: KafkaSecurity = PLAINTEXT
) -> None:
    """Deliver what these producers, which are gone, had spooled; None: all that was meant for this Kafka.

    Raises PublisherError, KafkaError, OSError.
    """
    folders = [
        folder
        for folder in await asyncio.to_thread(folders_in, place)
        if (_is_meant_for(bootstrap, folder) if names is None else folder.name in names)
    ]
    if not folders:
        return
    client = Client(bootstrap, "loadflame-spool", security)
    await client.start(CONNECT_S)
    try:
        for folder in folders:
            with contextlib.suppress(SpoolHeldError, FileNotFoundError):  # somebody else does it
                await send_left_behind(client, folder, at_once)
    finally:
        await client.stop()


def _is_meant_for(bootstrap: str, folder: Path) -> bool:
    with contextlib.suppress(ValueError, FileNotFoundError):
        return broker_of(folder) == bootstrap
    return False


def _check(message: Message, there: dict[str, set[int]], bootstrap: str) -> None:
    partitions = there.get(message.topic, set())
    if not partitions or (message.partition is not None and message.partition not in partitions):
        raise PublisherError(
            f"Kafka at {bootstrap} has no partition {message.partition or 0} of topic {message.topic}, for which run "
            f"{_run_of(message)} has messages in the spool; name the Kafka of that run, or make the topic as it was"
        )


def _run_of(message: Message) -> str:
    if message.key is not None:
        return message.key.decode(errors="replace")
    return dict(message.headers).get("run", b"").decode(errors="replace")
