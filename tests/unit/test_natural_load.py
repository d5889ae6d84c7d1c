"""What stands where a load stands while nobody loads: it listens before it begins, and ends when all is told."""

import asyncio
import os
from types import SimpleNamespace
from typing import Any, Self

import pytest

from loadflame import natural_load
from loadflame.natural_load import Watched, opened
from loadflame.settings import SettingsError
from loadflame.tellers import owner_of
from producers.natural import Seen, Tally
from producers.publisher import MemoryPublisher, Publisher

START_US, SECOND = 1_795_467_601_000_000, 1_000_000


class HastyClock:
    """Ten seconds pass with every look at it."""

    time_us = START_US

    def now_us(self) -> int:
        self.time_us += 10 * SECOND
        return self.time_us


class Opened(MemoryPublisher):
    """As Kafka's: open while it is entered."""

    def __init__(self, broker: str, topics: Any, run_id: str, **_: object) -> None:
        super().__init__(topics, run_id)
        self.clock = HastyClock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(0)


class Silent:
    """A source that has one thing to tell, at once; notes what becomes of it."""

    name, note, behind, settle_us = "access log", "nothing else", False, 0

    def __init__(self, publisher: Publisher) -> None:
        self.publisher, self.tally, self.closed = publisher, Tally(), 0
        self.told = [Seen(START_US, 1_000, 200, None, "GET /")]

    def look(self, now_us: int) -> list[Seen]:
        told, self.told = self.told, []
        return told

    def close(self) -> None:
        self.closed += 1


async def test_it_listens_before_it_begins_and_waits_as_long_as_requests_may_be_told_of_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(natural_load, "KafkaPublisher", Opened)
    settings = SimpleNamespace(topics=None, spool=None, window_us=SECOND)
    parts: Any = SimpleNamespace(broker="", security=None, settings=settings)
    sources: list[Silent] = []

    def open_source(publisher: Publisher) -> Silent:
        sources.append(Silent(publisher))
        return sources[0]

    watched = Watched("shop", "access log", "access.log", open_source, 60 * SECOND)
    async with opened(watched, parts, "run-1", asyncio.Event()) as load:
        (source,) = sources
        load.begin(START_US)
        await load.finish(0)  # what it waits for comes on top
        assert (source.closed, load.note) == (1, "nothing else")
    publisher = source.publisher
    assert isinstance(publisher, Opened)
    assert sum(batch.header.rows for batch in publisher.batches) == 1
    assert publisher.events[-1].totals.scheduled == 1  # type: ignore[union-attr]
    assert source.closed == 1


async def test_one_that_never_begins_is_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natural_load, "KafkaPublisher", Opened)
    parts: Any = SimpleNamespace(broker="", security=None, settings=SimpleNamespace(topics=None, spool=None))
    sources: list[Silent] = []

    def open_source(publisher: Publisher) -> Silent:
        sources.append(Silent(publisher))
        return sources[0]

    watched = Watched("shop", "access log", "access.log", open_source, 0)
    async with opened(watched, parts, "run-1", asyncio.Event()):
        assert sources[0].closed == 0
    assert sources[0].closed == 1


def test_only_root_lets_others_tell_and_a_process_that_is_gone_has_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert owner_of(4_194_305) is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert owner_of(None) is None
    with pytest.raises(SettingsError, match="--pid: there is no process 4194305"):  # the kernel counts to 4194304
        owner_of(4_194_305)
