"""Dead letters as they still lie in Kafka: in the topic they came from, or else as the worker put them aside.

The topic they came from is better: there they are whole, whatever their size. A letter that was put aside lacks what
did not fit (`processors.announcements`), and says so by its size.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from processors.announcements import HEADER_BYTES, HEADERS
from schemas.errors import UserError
from schemas.topics import Topics
from sinks.store import DeadLetter

READ_S = 20.0
"""How long one question to Kafka may take."""
_CLOCK_SLACK_MS = 60_000
_ORIGINAL = "original-"
Whence = Literal["source", "letter"]


class LettersUnreadableError(UserError):
    """Kafka does not say what is in it."""


@dataclass(frozen=True, slots=True)
class Original:
    """A dead letter's message: key, value and headers as received, for `is_whole` ones, and where it was found."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    found_in: Whence
    is_whole: bool


class LettersInKafka:
    """`async with` it. Each question may take `READ_S`, and raises LettersUnreadableError when Kafka does not answer.

    `since_us` is the broker's time of the oldest letter that will be asked for.
    """

    def __init__(self, bootstrap: str, topics: Topics, *, since_us: int) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._since_us = since_us
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self._known: set[str] = set()
        self._bounds: dict[TopicPartition, range] = {}
        self._aside: dict[int, Mapping[tuple[str, int], int]] = {}

    async def __aenter__(self) -> Self:
        """Connect."""
        try:
            async with asyncio.timeout(READ_S):
                await self._consumer.start()
                self._known = set(await self._consumer.topics())
        except (KafkaError, OSError, TimeoutError) as error:
            await self._consumer.stop()
            raise self._unreadable(error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Let go of the connections."""
        await self._consumer.stop()

    async def original(self, letter: DeadLetter) -> Original | None:
        """What was received; None when Kafka has it no more."""
        try:
            async with asyncio.timeout(READ_S):
                return await self._in_source(letter) or await self._put_aside(letter)
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._unreadable(error) from error

    async def _in_source(self, letter: DeadLetter) -> Original | None:
        if letter.topic not in self._known:
            return None
        record = await self._at(TopicPartition(letter.topic, letter.partition), letter.offset)
        # A topic that was made anew has a record of this offset, too: of another time.
        if record is None or record.timestamp != letter.received_at_us // 1000:
            return None
        return Original(record.key, record.value, list(record.headers), "source", is_whole=True)

    async def _put_aside(self, letter: DeadLetter) -> Original | None:
        name = self._topics.name("dead-letters")
        if name not in self._known:
            return None
        partition = min(letter.partition, self._topics.partitions - 1)
        if partition not in self._aside:
            self._aside[partition] = await self._index(TopicPartition(name, partition))
        name_of_it = f"{letter.topic}/{letter.partition}/{letter.offset}"
        offset = self._aside[partition].get((name_of_it, letter.received_at_us))
        record = None if offset is None else await self._at(TopicPartition(name, partition), offset)
        if record is None:
            return None
        value = record.value or b""
        headers = [(key.removeprefix(_ORIGINAL), text) for key, text in record.headers if key.startswith(_ORIGINAL)]
        whole = len(value) == letter.size_bytes and len(headers) < HEADERS and all(map(_was_kept, headers))
        return Original(None, value, headers, "letter", is_whole=whole)

    async def _index(self, place: TopicPartition) -> Mapping[tuple[str, int], int]:
        """Offsets of the letters in a partition by id and time; of one that was sent more than once, the last."""
        found: dict[tuple[str, int], int] = {}
        self._consumer.assign([place])
        end = (await self._consumer.end_offsets([place]))[place]
        since_ms = max(0, self._since_us // 1000 - _CLOCK_SLACK_MS)
        first = (await self._consumer.offsets_for_times({place: since_ms}))[place]
        self._consumer.seek(place, end if first is None else first.offset)
        while await self._consumer.position(place) < end:
            for records in (await self._consumer.getmany(place, timeout_ms=500)).values():
                for record in records:
                    said = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
                    time_us = said.get("timestamp", "")
                    if time_us.isascii() and time_us.isdigit():
                        found[said.get("id", ""), int(time_us)] = record.offset
        return found

    async def _at(self, place: TopicPartition, offset: int) -> ConsumerRecord | None:
        """The record at an offset, if it is there."""
        if place not in self._bounds:
            first = (await self._consumer.beginning_offsets([place]))[place]
            self._bounds[place] = range(first, (await self._consumer.end_offsets([place]))[place])
        if offset not in self._bounds[place]:
            return None
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        record = await self._consumer.getone(place)
        return record if record.offset == offset else None

    def _unreadable(self, error: Exception) -> LettersUnreadableError:
        why = str(error)[:200] or "no answer in time"
        return LettersUnreadableError(
            f"the letters cannot be read from Kafka at {self._bootstrap} ({why}); start it there, or name another with "
            "--broker"
        )


def _was_kept(header: tuple[str, bytes | None]) -> bool:
    """Whether a header is as it was received: not cut, and not perhaps one without a value."""
    name, value = header
    return 0 < len(value or b"") < HEADER_BYTES and len(_ORIGINAL) + len(name) < HEADER_BYTES
