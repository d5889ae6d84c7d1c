"""From poison to a whole run: put aside, listed, looked into, sent again once it can be read, and accounted for."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from typer.testing import CliRunner

from loadflame.cli import app
from processors import admission
from processors.announcements import LETTER_BYTES
from processors.verify import Check, Topic, verify_run
from processors.worker import WorkerConfig, run_worker
from schemas.batches import Batch, BatchHeader, Headers
from schemas.errors import DecodeError
from schemas.topics import Topics
from sinks.clickhouse import open_store
from tests.support.brokers import Broker, new_topics
from tests.support.traffic import Traffic, messages_of

pytestmark = pytest.mark.broker
RUN = "run-1"
WINDOW_US = 200_000
WAIT_S = 60.0
GARBAGE = b"\x00\xff\x1b[2J not Arrow"


@dataclass(slots=True)
class Deployment:
    """A broker, topics and a store of the test's own, as the command line is told of them."""

    broker: Broker
    topics: Topics
    store: str

    def command(self, *words: str) -> tuple[int, Any]:
        """Exit code and what `loadflame dead-letters ... --json` says."""
        done = CliRunner().invoke(app, ["dead-letters", *words, "--broker", self.broker.bootstrap, "--json"])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout)

    def listed(self) -> dict[str, tuple[str, str]]:
        """State and whereabouts of each letter."""
        code, letters = self.command("list")
        assert code == 0
        return {letter["letter"]: (letter["state"], letter["in_kafka"]) for letter in letters}

    def work(self) -> None:
        """A worker until the run is stored."""

        async def run(store: Any) -> None:
            config = WorkerConfig(self.broker.bootstrap, self.topics, self.topics.prefix, WINDOW_US, drain_run=RUN)
            async with asyncio.timeout(WAIT_S):
                await run_worker(config, store, stop=asyncio.Event(), on_ready=lambda: None)

        with closing(open_store(self.store)) as store:
            asyncio.run(run(store))

    def checks(self) -> dict[str, Check]:
        """What `verify` says."""
        where = Topic(self.broker.bootstrap, self.topics, self.topics.prefix)
        with closing(open_store(self.store)) as store:
            return {check.name: check for check in verify_run(store, RUN, where)}

    def messages(self) -> list[tuple[dict[str, bytes], bytes]]:
        """Headers and values of all data in the topic of requests."""
        found = asyncio.run(messages_of(self.broker, self.topics.name("requests"), self.topics.partitions))
        return [(headers, value) for _, headers, value in found if headers.get("kind") != b"tick"]


@pytest.fixture
def deployment(kafka_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """With the settings in the environment."""
    made = Deployment(kafka_broker, new_topics(kafka_broker), f"chdb://{tmp_path}/store")
    monkeypatch.setenv("LOADFLAME_STORE", made.store)
    monkeypatch.setenv("LOADFLAME_TOPIC_PREFIX", made.topics.prefix)
    monkeypatch.setenv("LOADFLAME_WINDOW_MS", str(WINDOW_US // 1000))
    return made


async def send(broker: Broker, topic: str, partition: int, value: bytes, headers: Headers) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, max_request_size=2 << 20)
    await producer.start()
    try:
        sent = await producer.send_and_wait(topic, value, partition=partition, headers=headers)
    finally:
        await producer.stop()
    return int(sent.offset)


@contextmanager
def an_older_version(cannot_read: int) -> Iterator[None]:
    """Workers inside cannot read the requests of this window."""
    decode = admission.decode

    def older(header: BatchHeader, data: bytes) -> Batch:
        if (header.key.topic, header.key.window) == ("requests", cannot_read):
            raise DecodeError("its schema is not that of requests: of a newer version")
        return decode(header, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "decode", older)
        yield


def test_poison_is_listed_shown_and_replayed_once_it_can_be_read_and_then_the_run_is_whole(
    deployment: Deployment,
) -> None:
    broker, topics = deployment.broker, deployment.topics
    traffic = Traffic(broker, topics, RUN, WINDOW_US)

    async def run() -> None:
        await traffic.begin()
        await send(broker, topics.name("requests"), 1, GARBAGE, [("tracer", b"\x1b[31m")])
        await traffic.send(*range(4), goodbye=True)
        await traffic.end()

    asyncio.run(run())
    with an_older_version(cannot_read=traffic.first + 1):
        deployment.work()
    before = deployment.checks()
    assert [before[name].ok for name in ("I0", "I1", "I2", "I3", "I4")] == [True] * 5
    assert "1 dead letters" in before["I1"].sentence
    assert "41 are in dead letters" in before["I3"].sentence

    code, letters = deployment.command("list")
    (poison,) = [letter for letter in letters if letter["run"] == RUN]
    (garbage,) = [letter for letter in letters if letter["run"] is None]
    assert (code, len(letters)) == (0, 2)
    assert (poison["rows"], poison["state"], poison["in_kafka"]) == (41, "waits", "source")
    assert poison["error"] == "its schema is not that of requests: of a newer version"
    _, shown = deployment.command("show", poison["letter"])
    assert (shown["reads_now"], shown["reads_as"]["rows"], shown["reads_as"]["facts"]["scheduled"]) == (True, 41, 41)
    assert ["run", RUN] in shown["headers"]
    _, shown = deployment.command("show", garbage["letter"])
    assert (shown["reads_now"], bytes.fromhex(shown["first_bytes"])) == (False, GARBAGE)
    assert shown["headers"] == [["tracer", "\\x1b[31m"]]

    as_sent = deployment.messages()
    assert deployment.command("replay", "--run", RUN) == (
        0,
        [{"letter": poison["letter"], "sent_to_offset": None, "why_not": None}],
    )
    assert deployment.messages() == as_sent, "a dry run sends nothing"
    code, (outcome,) = deployment.command("replay", "--run", RUN, "--execute")
    assert (code, outcome["why_not"]) == (0, None)
    assert deployment.listed() == {poison["letter"]: ("replayed", "source"), garbage["letter"]: ("waits", "source")}
    code, outcomes = deployment.command("replay", "--all", "--execute")
    assert code == 1
    assert {one["letter"]: one["why_not"] for one in outcomes} == {
        poison["letter"]: "it was sent again before; --again does it once more",
        garbage["letter"]: "it still cannot be read: header kind is missing",
    }
    messages = deployment.messages()
    (again,) = [message for message in messages if message not in as_sent or messages.count(message) == 2][:1]
    assert messages.count(again) == 2, "as it was received, headers and value"
    assert len(messages) == len(as_sent) + 1

    deployment.work()
    after = deployment.checks()
    assert [after[name].ok for name in ("I0", "I1", "I2", "I3", "I4")] == [True] * 5
    assert "0 dead letters; 1 more were sent again and are visible" in after["I1"].sentence
    assert "dead letters" not in after["I3"].sentence
    assert deployment.listed()[poison["letter"]][0] == "visible"

    code, (outcome,) = deployment.command("replay", poison["letter"], "--execute")
    assert (code, outcome["why_not"]) == (1, "its batch is visible in the store already")
    assert deployment.command("replay", poison["letter"], "--again", "--execute")[0] == 0
    assert deployment.command("replay", garbage["letter"], "--anyway", "--execute")[0] == 0
    deployment.work()
    assert deployment.checks()["I1"].sentence == after["I1"].sentence, "sent once more, counted once"
    states = [state for state, _ in deployment.listed().values()]
    assert sorted(states) == ["replayed", "visible", "waits"], "what still could not be read is a letter again"


async def forget(broker: Broker, places: dict[TopicPartition, int]) -> None:
    """Have Kafka delete what lies below these offsets, as its retention does in time."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({place: RecordsToDelete(before_offset=end) for place, end in places.items()})
    finally:
        await admin.close()


def test_what_its_topic_has_no_more_is_replayed_from_the_letter_if_that_is_whole(
    deployment: Deployment,
) -> None:
    broker, topics = deployment.broker, deployment.topics
    traffic = Traffic(broker, topics, RUN, WINDOW_US)
    requests = topics.name("requests")

    async def run() -> dict[str, int]:
        await traffic.begin()
        long = await send(broker, requests, 0, b"\x00" * (LETTER_BYTES + 1), [("kind", b"long")])
        wide = await send(broker, requests, 0, b"x", [("kind", b"wide"), ("tracer", b"y" * 300)])
        await traffic.send(*range(4), goodbye=True)
        await traffic.end()
        return {"long": long, "wide": wide}

    cut = asyncio.run(run())
    with an_older_version(cannot_read=traffic.first + 1):
        deployment.work()
    assert {where for _, where in deployment.listed().values()} == {"source"}
    ends = {TopicPartition(requests, number): -1 for number in range(topics.partitions)}  # -1: all that is there
    asyncio.run(forget(broker, ends))
    code, letters = deployment.command("list")
    (poison,) = [letter["letter"] for letter in letters if letter["run"] == RUN]
    assert deployment.listed() == {
        poison: ("waits", "letter"),
        f"{requests}/0/{cut['long']}": ("waits", "cut"),
        f"{requests}/0/{cut['wide']}": ("waits", "cut"),
    }
    code, outcomes = deployment.command("replay", "--all", "--anyway", "--execute")
    assert code == 1
    assert [one["why_not"] for one in outcomes if one["letter"] != poison] == [
        "Kafka has only a part of it, and the topic it came from nothing"
    ] * 2
    deployment.work()
    checks = deployment.checks()
    assert [checks[name].ok for name in ("I0", "I1", "I2", "I3", "I4")] == [True] * 5
    assert "1 more were sent again and are visible" in checks["I1"].sentence

    letters_topic = topics.name("dead-letters")
    asyncio.run(forget(broker, {TopicPartition(letters_topic, 0): -1}))
    assert deployment.listed()[f"{requests}/0/{cut['long']}"] == ("waits", "gone")
    code, (outcome,) = deployment.command("replay", f"{requests}/0/{cut['long']}", "--anyway")
    assert (code, outcome["why_not"]) == (1, "Kafka does not have it any more")
