"""What we rely on in Faust, whose commit is a private method: held to its behaviour on both brokers.

faust-streaming is pinned; when it is raised, this suite says whether the ledger still commits what it thinks.
"""

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from loadflame.topics import ensure_topics
from processors.app import LONE_SESSION_TIMEOUT_S, StreamApp
from processors.records import Place, Record
from schemas.batches import Headers
from schemas.topics import Topics
from tests.support.brokers import Broker, new_topics
from tests.support.polling import until

pytestmark = pytest.mark.broker
WAIT_S = 60.0


@dataclass(slots=True)
class Listener:
    """A StreamApp that keeps what it hears."""

    records: list[Record] = field(default_factory=list)
    revoked: list[set[Place]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    app: StreamApp = field(init=False)

    async def on_record(self, record: Record) -> None:
        self.records.append(record)
        await self.gate.wait()

    def on_revoked(self, places: Iterable[Place]) -> None:
        self.revoked.append(set(places))

    def values(self, place: Place) -> list[bytes]:
        return [record.value for record in self.records if record.place == place]


@asynccontextmanager
async def listening(broker: Broker, topics: Topics, **named: float) -> AsyncIterator[Listener]:
    listener = Listener()
    listener.gate.set()
    listener.app = StreamApp(
        broker.bootstrap, topics, topics.prefix, on_record=listener.on_record, on_revoked=listener.on_revoked, **named
    )
    await listener.app.start()
    try:
        async with asyncio.timeout(WAIT_S):
            await listener.app.assigned.wait()
        yield listener
    finally:
        await listener.app.stop()


async def append(broker: Broker, place: Place, *values: bytes | None, headers: Headers | None = None) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(place.topic, value, key=b"", partition=place.partition, headers=headers)
    finally:
        await producer.stop()


def numbers(start: int, end: int) -> list[bytes]:
    return [b"%d" % number for number in range(start, end)]


@pytest.fixture
def topics(kafka_broker: Broker) -> Topics:
    """On Kafka, where a group is joined at once; the embedded broker waits three seconds each time."""
    return new_topics(kafka_broker)


@pytest.fixture
def here(topics: Topics) -> Place:
    return Place(topics.name("requests"), 1)


def test_the_version_is_the_one_that_this_suite_was_written_for() -> None:
    assert importlib.metadata.version("faust-streaming") == "0.15.3"


async def committed(broker: Broker, group: str, place: Place) -> int | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        offset: int | None = await consumer.committed(TopicPartition(*place))
    finally:
        await consumer.stop()
    return offset


async def test_who_has_the_embedded_broker_for_itself_waits_less_long_for_others(tansu_broker: Broker) -> None:
    alone, among_others = [await asyncio.to_thread(new_topics, tansu_broker) for _ in range(2)]
    came: list[Topics] = []

    async def join(topics: Topics, **named: float) -> None:
        async with listening(tansu_broker, topics, **named):
            came.append(topics)

    await asyncio.gather(join(among_others), join(alone, session_timeout_s=LONE_SESSION_TIMEOUT_S))
    assert came == [alone, among_others]


@pytest.mark.parametrize("kind", ["tansu", "kafka"])
async def test_what_we_commit_is_committed_and_nothing_else_however_much_was_read(
    request: pytest.FixtureRequest, kind: str
) -> None:
    broker: Broker = request.getfixturevalue(f"{kind}_broker")
    topics = Topics(f"commits-{kind}", 4)
    await ensure_topics(broker.bootstrap, topics)
    here, there = Place(topics.name("requests"), 1), Place(topics.name("stacks"), 1)
    await append(broker, here, *numbers(0, 10))
    await append(broker, there, *numbers(0, 3))
    async with listening(broker, topics) as listener:
        await until(lambda: len(listener.records) == 13, WAIT_S, "all records")
        assert await listener.app.start_of(here) == 0
        assert await listener.app.commit({here: 4})
        starts = [await listener.app.start_of(place) for place in (here, there, Place("nobody's", 0))]
    assert starts == [4, 0, None]
    assert [await committed(broker, topics.prefix, place) for place in (here, there)] == [4, None]


async def test_a_restart_resumes_exactly_at_the_committed_offset(
    kafka_broker: Broker, topics: Topics, here: Place
) -> None:
    await append(kafka_broker, here, *numbers(0, 10))
    async with listening(kafka_broker, topics) as first:
        await until(lambda: len(first.records) == 10, WAIT_S, "ten records")
        await first.app.commit({here: 4})
    async with listening(kafka_broker, topics) as second:
        await until(lambda: len(second.records) == 6, WAIT_S, "six records again")
        assert second.values(here) == numbers(4, 10)
        assert (await second.app.ends())[here] == await second.app.position(here) == 10
        assert await second.app.position(Place("nobody's", 0)) is None


async def test_committing_for_a_partition_that_is_not_ours_does_no_harm(
    kafka_broker: Broker, topics: Topics, here: Place
) -> None:
    await append(kafka_broker, here, *numbers(0, 2))
    async with listening(kafka_broker, topics) as listener:
        nobodys = Place("somebody-elses", 0)
        assert not await listener.app.commit({nobodys: 5})
        assert await listener.app.commit({nobodys: 5, here: 1})
        await append(kafka_broker, here, b"after")
        await until(lambda: b"after" in listener.values(here), WAIT_S, "a record after it")


async def test_records_come_as_they_were_sent(kafka_broker: Broker, topics: Topics, here: Place) -> None:
    sent: Headers = [("kind", b"data"), ("x", b"\xff\x00")]
    await append(kafka_broker, here, b"\x00\xffbytes", headers=sent)
    await append(kafka_broker, here, b"", None)
    async with listening(kafka_broker, topics) as listener:
        await until(lambda: len(listener.records) == 3, WAIT_S, "three records")
        assert listener.app.known_end(here) == 3
        assert listener.app.known_end(Place(here.topic, 99)) is None, "a partition that is not ours"
    first = listener.records[0]
    assert (first.value, first.headers, first.offset) == (b"\x00\xffbytes", sent, 0)
    assert 1.7e15 < first.timestamp_us < 4e15
    assert [record.value for record in listener.records[1:]] == [b"", b""], "no value is as good as an empty one"


async def test_while_on_record_waits_nothing_is_lost_or_overtaken(
    kafka_broker: Broker, topics: Topics, here: Place
) -> None:
    async with listening(kafka_broker, topics) as listener:
        listener.gate.clear()
        await append(kafka_broker, here, *numbers(0, 300))
        await until(lambda: len(listener.records) == 1, WAIT_S, "the first record")
        listener.gate.set()
        await until(lambda: len(listener.records) == 300, WAIT_S, "all of them")
        assert listener.values(here) == numbers(0, 300)


async def test_what_was_skipped_can_be_read_again(kafka_broker: Broker, topics: Topics, here: Place) -> None:
    await append(kafka_broker, here, *numbers(0, 5))
    async with listening(kafka_broker, topics) as listener:
        await until(lambda: len(listener.records) == 5, WAIT_S, "five records")
        await listener.app.read_again(here, 2)
        await until(lambda: len(listener.records) == 8, WAIT_S, "three of them again")
        assert listener.values(here)[5:] == numbers(2, 5)


async def test_an_error_in_our_code_ends_consumption_instead_of_skipping_the_record(
    kafka_broker: Broker, topics: Topics, here: Place
) -> None:
    heard = []

    async def fails(record: Record) -> None:
        heard.append(record.value)
        raise ValueError(record.value.decode())

    app = StreamApp(kafka_broker.bootstrap, topics, topics.prefix, on_record=fails, on_revoked=lambda _: None)
    await app.start()
    try:
        await append(kafka_broker, here, b"first", b"second")
        async with asyncio.timeout(WAIT_S):
            reason = await app.failed()
        assert isinstance(reason, ValueError)
        assert heard == [b"first"]
    finally:
        await app.stop()


async def test_a_message_that_is_sent_is_acknowledged(kafka_broker: Broker, topics: Topics, here: Place) -> None:
    async with listening(kafka_broker, topics) as listener:
        await listener.app.send(here.topic, here.partition, b"key", b"value", [("name", b"text")])
        await until(lambda: len(listener.records) == 1, WAIT_S, "it")
        assert listener.records[0].headers == [("name", b"text")]


def content(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_no_folder_is_made_in_the_working_directory(
    kafka_broker: Broker, topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with listening(kafka_broker, topics):
        pass
    assert content(tmp_path) == []


async def test_two_workers_get_the_same_partitions_of_both_topics_and_leave_each_other_no_gap(
    kafka_broker: Broker,
) -> None:
    topics = Topics("two-workers", 4)
    await ensure_topics(kafka_broker.bootstrap, topics)
    kinds = ("requests", "stacks")
    places = [Place(topics.name(kind), number) for kind in kinds for number in range(4)]

    def owned(ends: dict[Place, int]) -> dict[str, set[int]]:
        return {kind: {place.partition for place in ends if place.topic == topics.name(kind)} for kind in kinds}

    async with listening(kafka_broker, topics) as first:
        for place in places:
            await append(kafka_broker, place, *numbers(0, 3))
        await until(lambda: len(first.records) == 24, WAIT_S, "all records at the only worker")
        assert await first.app.commit(dict.fromkeys(places, 2))
        async with listening(kafka_broker, topics) as second:
            await until(lambda: bool(first.revoked) and first.app.assigned.is_set(), WAIT_S, "a rebalance")
            assert set(places) <= first.revoked[-1], "everything is taken away before it is given out again"
            mine, yours = owned(await first.app.ends()), owned(await second.app.ends())
            assert mine["requests"] == mine["stacks"]
            assert yours["requests"] == yours["stacks"]
            assert len(mine["requests"]) == len(yours["requests"]) == 2
            assert mine["requests"] | yours["requests"] == set(range(4))
            # Both begin at what was committed.
            await until(lambda: len(first.records) - 24 + len(second.records) == 8, WAIT_S, "the uncommitted records")
            again = [*first.records[24:], *second.records]
            assert sorted((record.place, record.offset) for record in again) == sorted((place, 2) for place in places)
