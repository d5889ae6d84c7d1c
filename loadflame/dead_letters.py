"""What can be done about dead letters: see which there are, look into one, and send again those that can be read now.

A replay sends the message as it was received to the topic and partition that it came from. The worker then takes it
for what it is: a batch has an identity, so one that was stored meanwhile, or is sent again twice, changes nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from loadflame.broker import BrokerError
from loadflame.settings import Settings
from processors.admission import check_message
from processors.letters import READ_S, LettersInKafka, Original
from processors.records import Place, Record
from producers.publisher.connection import connect, stop
from schemas.batches import Batch
from schemas.errors import DecodeError, UserError
from sinks.letters import KnownLetter
from sinks.store import DeadLetter

InKafka = Literal["source", "letter", "cut", "gone"]
"""Where a letter is still whole: in the topic it came from, or among the letters; or only its beginning, or nothing."""


class NoSuchLetterError(UserError):
    """The store knows no letter of this name."""


def name_of(letter: DeadLetter) -> str:
    """How a letter is called: topic/partition/offset."""
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def named(known: Iterable[KnownLetter], names: Sequence[str]) -> list[KnownLetter]:
    """Letters by their names, of several that share one (their topic was made anew) the newest, which come first.

    Raises NoSuchLetterError.
    """
    by_name: dict[str, KnownLetter] = {}
    for one in known:
        by_name.setdefault(name_of(one.letter), one)
    for name in names:
        if name not in by_name:
            raise NoSuchLetterError(f"no dead letter {name!r} in the store; `loadflame dead-letters list` names them")
    return [by_name[name] for name in dict.fromkeys(names)]


def kafka_of(settings: Settings, broker: str, known: Sequence[KnownLetter]) -> LettersInKafka:
    """Where to look for these letters' bytes."""
    since_us = min((one.letter.received_at_us for one in known), default=0)
    return LettersInKafka(broker, settings.topics, since_us=since_us)


async def whereabouts(settings: Settings, broker: str, known: Sequence[KnownLetter]) -> list[InKafka]:
    """Where each letter still is. Raises UserError when Kafka does not say."""
    async with kafka_of(settings, broker, known) as kafka:
        return [whereabouts_of(await kafka.original(one.letter)) for one in known]


def whereabouts_of(original: Original | None) -> InKafka:
    """See InKafka."""
    if original is None:
        return "gone"
    return original.found_in if original.is_whole else "cut"


def read_now(settings: Settings, letter: DeadLetter, original: Original) -> Batch | None:
    """What a worker would make of the message if it came now: its batch, None of an event. Raises DecodeError."""
    headers = [(name, value or b"") for name, value in original.headers]
    place = Place(letter.topic, letter.partition)
    record = Record(place, letter.offset, time.time_ns() // 1000, headers, original.value or b"")
    return check_message(settings.topics, record, settings.window_us)


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of one letter: the offset that it was sent to, or why it was not sent. Neither: it would be."""

    letter: DeadLetter
    offset: int | None = None
    why_not: str = ""

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"letter": name_of(self.letter), "sent_to_offset": self.offset, "why_not": self.why_not or None}


async def replay(
    known: Sequence[KnownLetter],
    settings: Settings,
    broker: str,
    *,
    anyway: bool,
    again: bool,
    execute: bool,
    on_sent: Callable[[DeadLetter, int], object],
) -> list[Replay]:
    """Send letters again, the oldest first, or only say what would be sent, unless `execute`.

    Left out are those that are visible or were sent again already, unless `again`; those that still cannot be read,
    unless `anyway`; and those of which Kafka has not all. `on_sent` is called with each letter and its new offset once
    that is acknowledged, in a thread. Raises UserError when Kafka does not answer.
    """
    outcomes = []
    async with kafka_of(settings, broker, known) as kafka, _producer(broker, needed=execute) as producer:
        for one in sorted(known, key=lambda one: one.letter.received_at_us):
            why_not = "" if again else _done_already(one)
            original = None if why_not else await kafka.original(one.letter)
            why_not = why_not or _unfit(settings, one.letter, original, anyway=anyway)
            offset = None
            if not why_not and producer is not None:
                assert original is not None
                offset = await _sent(producer, one.letter, original)
                await asyncio.to_thread(on_sent, one.letter, offset)
            outcomes.append(Replay(one.letter, offset, why_not))
    return outcomes


def _done_already(known: KnownLetter) -> str:
    if known.is_visible:
        return "its batch is visible in the store already"
    if known.replayed_at_us is not None:
        return "it was sent again before; --again does it once more"
    return ""


def _unfit(settings: Settings, letter: DeadLetter, original: Original | None, *, anyway: bool) -> str:
    if original is None:
        return "Kafka does not have it any more"
    if not original.is_whole:
        return "Kafka has only a part of it, and the topic it came from nothing"
    try:
        read_now(settings, letter, original)
    except DecodeError as error:
        return "" if anyway else f"it still cannot be read: {error}"
    return ""


async def _sent(producer: AIOKafkaProducer, letter: DeadLetter, original: Original) -> int:
    try:
        async with asyncio.timeout(READ_S):
            acknowledged = await producer.send_and_wait(
                letter.topic,
                original.value,
                key=original.key,
                partition=letter.partition,
                headers=original.headers,
            )
    except (KafkaError, OSError, TimeoutError) as error:
        why = str(error)[:200] or "no answer in time"
        raise BrokerError(f"Kafka did not take letter {name_of(letter)} ({why}); those before it were sent") from error
    offset: int = acknowledged.offset
    return offset


@asynccontextmanager
async def _producer(broker: str, *, needed: bool) -> AsyncIterator[AIOKafkaProducer | None]:
    if not needed:
        yield None
        return
    try:
        async with asyncio.timeout(READ_S):
            producer = await connect(broker, "loadflame-replay")
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"Kafka at {broker} takes no messages; start it, or name another with --broker") from error
    try:
        yield producer
    finally:
        await stop(producer)
