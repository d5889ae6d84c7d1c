"""What the publisher does while Kafka is away: everything is kept on disk, sent in order later, and counted once."""

import asyncio
import errno
import tempfile
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from producers.publisher import backlog, kafka, say_last_words
from producers.publisher.kafka import KafkaPublisher
from producers.publisher.leftovers import CHUNK_MESSAGES, folders_in, look_at
from producers.publisher.spool import Spool, SpoolPlace, Waiting
from schemas.batches import BatchHeader
from schemas.events import ProducerEnded, RunEnded, from_message
from schemas.rows import RequestFacts
from schemas.topics import Topics
from tests.support.batches import WINDOW, many_requests
from tests.support.polling import until
from tests.support.spools import AClient

ROWS = 10
PLENTY = 1 << 30
SOON_S = 60.0


def client_of_all(monkeypatch):
    """The one client of all publishers; Kafka is taken to be away as soon as one message waits."""
    client = AClient()
    client.topics = {topic.name: set(range(topic.partitions)) for topic in Topics().all()}
    monkeypatch.setattr(kafka, "Client", lambda *_: client)
    monkeypatch.setattr(kafka, "AWAY_S", 0.0)
    # A busy machine takes longer than a run at its end would wait for a disk, or for a Kafka that was away.
    for module, name in ((kafka, "AGAIN_S"), (kafka, "_KEEP_S"), (kafka, "_STOP_S"), (backlog, "_CLOSE_S")):
        monkeypatch.setattr(module, name, SOON_S)
    monkeypatch.setattr(backlog, "SHARE_LIVE", 1e9)
    monkeypatch.setattr(backlog, "SHARE_LEFT", 1e9)
    return client


@pytest.fixture
def client(monkeypatch):
    return client_of_all(monkeypatch)


def disk_of_all(monkeypatch):
    """Full while it is set."""
    full, append = threading.Event(), Spool.append

    def refuse(spool, message):
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        append(spool, message)

    monkeypatch.setattr(Spool, "append", refuse)
    return full


@asynccontextmanager
async def publisher_with(folder, *, limit_bytes=PLENTY, run="run"):
    publisher = KafkaPublisher("kafka:9092", Topics(), run, source="test", spool=SpoolPlace(folder, limit_bytes))
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close(0)


def publish(publisher, *windows):
    for window in windows:
        publisher.publish("requests", WINDOW + window, many_requests(ROWS), RequestFacts(), final=True)


def windows_of(messages):
    """The windows of batches, counted from the first, in the order of arrival."""
    return [
        BatchHeader.from_kafka("requests", message.headers).key.window - WINDOW
        for message in messages
        if message.is_batch
    ]


def waiting_in(folder):
    return [look_at(one).waiting for one in folders_in(folder)]


async def test_while_kafka_is_there_nothing_touches_the_disk(client, tmp_path):
    async with publisher_with(tmp_path / "spool") as publisher:
        for window in range(5):
            publish(publisher, window)
            published = await publisher.flush(SOON_S)
    assert (published.batches_acknowledged, published.batches_spooled) == (5, 0)
    assert not (tmp_path / "spool").exists()


async def test_while_kafka_is_away_batches_go_to_disk_and_are_sent_in_order_when_it_is_back(client, tmp_path):
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, *range(20))
        await until(lambda: sum(one.batches for one in waiting_in(tmp_path)) == 19, SOON_S, "19 on disk")
        assert client.taken == []
        assert publisher.figures().spooled_bytes > 19 * 100
        await until(lambda: publisher.figures().waiting_messages == 1, SOON_S, "no other in memory")
        client.come()
        publish(publisher, 20)
        published = await publisher.flush(SOON_S)
    assert windows_of(client.taken) == list(range(21))
    assert publisher.figures().spooled_bytes == 0
    assert (published.batches_acknowledged, published.rows_acknowledged) == (21, 21 * ROWS)
    assert (published.batches_lost, published.batches_spooled) == (0, 0)
    assert list(tmp_path.iterdir()) == []


async def test_no_more_is_under_way_than_memory_may_hold(client, tmp_path, monkeypatch):
    monkeypatch.setattr(kafka, "AWAY_S", 3600.0)
    monkeypatch.setattr(kafka, "MEMORY_BYTES", 20_000)
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, *range(50))
        await until(lambda: waiting_in(tmp_path) != [], SOON_S, "something on disk")
        client.come()
        published = await publisher.flush(SOON_S)
    assert published.batches_acknowledged == 50
    assert client.most_under_way < 30


async def test_beside_a_load_the_disk_is_drained_at_a_pace_and_at_its_end_at_once(client, tmp_path, monkeypatch):
    monkeypatch.setattr(backlog, "SHARE_LIVE", 1e-9)
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, *range(2 * CHUNK_MESSAGES))
        most = 2 * CHUNK_MESSAGES - 1  # one is in memory
        await until(lambda: sum(one.batches for one in waiting_in(tmp_path)) == most, SOON_S, "the others on disk")
        await until(lambda: client.under_way > 1, SOON_S, "some from the disk")
        client.come()
        await until(lambda: client.under_way == 0, SOON_S, "those delivered")
        assert len(client.taken) <= CHUNK_MESSAGES + 1
        published = await publisher.flush(SOON_S)
    assert published.batches_acknowledged == 2 * CHUNK_MESSAGES


async def test_what_is_left_at_the_end_stays_on_disk_and_is_told(client, tmp_path):
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, 0, 1, 2)
        with capture_logs() as logs:
            published = await publisher.close(0)
    assert (published.batches_acknowledged, published.batches_lost) == (0, 0)
    assert (published.batches_spooled, published.rows_spooled) == (3, 3 * ROWS)
    assert waiting_in(tmp_path) == [Waiting(3, 3, 3 * ROWS)]
    (told,) = logs
    assert told["log_level"] == "warning"
    assert told["event"].startswith("3 batches (30 rows) were not acknowledged by Kafka and wait on disk")
    assert "loadflame spool send --broker kafka:9092" in told["event"]


async def test_the_next_producer_with_this_folder_delivers_it_beside_its_own(client, tmp_path):
    client.go()
    async with publisher_with(tmp_path, run="before") as publisher:
        publish(publisher, 0, 1, 2)
    client.come()
    with capture_logs() as logs:
        async with publisher_with(tmp_path, run="after") as publisher:
            publish(publisher, 7)
            await until(lambda: len(client.taken) == 4, SOON_S, "all four")
            await until(lambda: list(tmp_path.iterdir()) == [], SOON_S, "an empty place")
            published = await publisher.flush(SOON_S)
    assert published.batches_acknowledged == 1, "what others left is not its own"
    runs = {BatchHeader.from_kafka("requests", message.headers).key.run_id for message in client.taken}
    assert runs == {"before", "after"}
    assert [(log["event"], log["batches"]) for log in logs] == [("sent what an earlier process had spooled", 3)]


async def test_what_was_meant_for_another_kafka_is_left_alone(client, tmp_path):
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, 0)
    client.come()
    client.bootstrap = "elsewhere:9092"
    async with publisher_with(tmp_path) as publisher:
        await until(lambda: all(task.done() for task in publisher._tasks[2:]), SOON_S, "a look at what is left")
    assert client.taken == []
    assert waiting_in(tmp_path) == [Waiting(1, 1, ROWS)]


async def test_what_this_kafka_has_no_place_for_is_kept_and_said(client, tmp_path):
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, 0)
    client.come()
    client.topics = {"loadflame.requests": set()}
    with capture_logs() as logs:
        async with publisher_with(tmp_path) as publisher:
            await until(lambda: logs != [], SOON_S, "a word")
    assert "has no partition" in logs[0]["why"]
    assert waiting_in(tmp_path) == [Waiting(1, 1, ROWS)]


async def test_the_last_words_wait_behind_what_they_count(client, tmp_path):
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, 0, 1, 2)
        published = await say_last_words(publisher, "run", "load", timeout_s=0)
        publisher.announce(RunEnded(run_id="run", ended_at_us=1, reason="finished", producers=1))
    assert published.batches_spooled == 3
    client.come()
    async with publisher_with(tmp_path):
        await until(lambda: len(client.taken) == 5, SOON_S, "all five")
    assert [message.is_batch for message in client.taken] == [True, True, True, False, False]
    ended = from_message(client.taken[3].headers, client.taken[3].value)
    assert isinstance(ended, ProducerEnded)
    assert (ended.batches_acknowledged, ended.rows_acknowledged, ended.batches_lost) == (3, 3 * ROWS, 0)
    assert (ended.batches_spooled, ended.rows_spooled) == (3, 3 * ROWS)


async def test_the_last_words_are_said_only_when_all_before_them_is_acknowledged(client, tmp_path):
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, 0, 1, 2)
        await say_last_words(publisher, "run", "load", timeout_s=0)
        await until(lambda: client.under_way > 0, SOON_S, "batches under way")
        assert all(message.is_batch for message in client.asked)
        client.come()
        await publisher.flush(SOON_S)
    assert [message.is_batch for message in client.taken] == [True, True, True, False]


async def test_kafka_may_come_back_after_the_last_words(client, tmp_path):
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, 0, 1)
        await say_last_words(publisher, "run", "load", timeout_s=0)
        client.come()
        published = await publisher.close(SOON_S)
    assert (published.batches_acknowledged, published.batches_spooled) == (2, 0)
    assert len(client.taken) == 3
    assert list(tmp_path.iterdir()) == []


async def test_what_kafka_refuses_for_good_on_its_way_from_the_disk_is_lost_and_counted(client, tmp_path):
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, 0, 1, 2)
        await publisher.flush(0)
        client.errors = [MessageSizeTooLargeError()]
        client.come()
        published = await publisher.flush(SOON_S)
    assert (published.batches_acknowledged, published.batches_lost, published.rows_lost) == (2, 1, ROWS)
    assert published.note == "refused by Kafka: MessageSizeTooLargeError"


class TestDiskFull:
    @pytest.fixture
    def disk(self, monkeypatch):
        return disk_of_all(monkeypatch)

    async def test_it_is_said_once_with_the_remedy_and_memory_is_used(self, client, tmp_path, disk):
        client.go()
        disk.set()
        with capture_logs() as logs:
            async with publisher_with(tmp_path) as publisher:
                publish(publisher, *range(5))
                await until(lambda: client.under_way == 5, SOON_S, "all five in memory")
                client.come()
                published = await publisher.flush(SOON_S)
        assert published.batches_acknowledged == 5
        (alarm,) = logs
        assert alarm["log_level"] == "error"
        assert alarm["why"] == "No space left on device"
        assert "LOADFLAME_SPOOL_BYTES" in alarm["event"]

    async def test_when_memory_is_full_too_rows_are_dropped_and_counted(self, client, tmp_path, disk):
        client.go()
        disk.set()
        with capture_logs() as logs:
            async with publisher_with(tmp_path) as publisher:
                publisher._budget_bytes = 20_000
                for window in range(10):
                    publisher.publish("requests", WINDOW + window, many_requests(300), RequestFacts(), final=True)
                client.come()
                published = await publisher.flush(SOON_S)
        assert published.rows_lost > 0
        assert published.rows_acknowledged + published.rows_lost == 3000
        assert sum("being lost" in log["event"] for log in logs) == 1

    async def test_when_there_is_room_again_the_disk_is_used_again(self, client, tmp_path, disk):
        client.go()
        disk.set()
        with capture_logs() as logs:
            async with publisher_with(tmp_path) as publisher:
                publish(publisher, 0, 1, 2)
                await until(lambda: client.under_way == 3, SOON_S, "three in memory")
                disk.clear()
                publish(publisher, 3)
                await until(lambda: waiting_in(tmp_path) != [], SOON_S, "one on disk")
                client.come()
                published = await publisher.flush(SOON_S)
        assert published.batches_acknowledged == 4
        assert [log["event"] for log in logs][1:] == ["the spool takes messages again"]

    async def test_at_the_end_what_neither_kafka_nor_the_disk_takes_is_lost_and_counted(self, client, tmp_path, disk):
        client.go()
        disk.set()
        async with publisher_with(tmp_path) as publisher:
            publish(publisher, 0, 1)
            published = await publisher.close(0)
        assert (published.batches_lost, published.rows_lost, published.batches_spooled) == (2, 2 * ROWS, 0)
        assert published.note == "not acknowledged within 0 s"


async def test_a_disk_that_hangs_holds_up_neither_who_publishes_nor_the_loop(client, tmp_path, monkeypatch):
    hangs, append = threading.Event(), Spool.append

    def wait(spool, message):
        assert hangs.wait(SOON_S), "it hangs for as long as anybody waits for it"
        append(spool, message)

    monkeypatch.setattr(Spool, "append", wait)
    monkeypatch.setattr(kafka, "_KEEP_S", 0.1)
    client.go()
    async with publisher_with(tmp_path) as publisher:
        publish(publisher, *range(20))
        published = await publisher.flush(0.1)  # who waited for the disk would find in vain that it goes on
        hangs.set()
    assert published.batches_lost == 20


STEPS = st.lists(
    st.sampled_from(["publish", "go", "come", "disk full", "disk free", "flush", "wait", "next process"]), max_size=25
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_whatever_happens_every_batch_arrives_or_is_counted_as_lost(steps):
    asyncio.run(play(steps))


async def play(steps):
    """Play them with a Kafka and a disk that come and go. What was acknowledged or spooled must arrive in the end."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        client, full = client_of_all(patch), disk_of_all(patch)
        place = Path(folder)
        sent, kept, lost = 0, 0, 0
        publisher = await begun(place)
        mine = 0

        async def end():
            nonlocal kept, lost, mine
            published = await publisher.close(0)
            assert published.batches_acknowledged + published.batches_spooled + published.batches_lost == mine
            kept += published.batches_acknowledged + published.batches_spooled
            lost += published.batches_lost
            mine = 0

        try:
            for step in [*steps, "disk free", "next process"]:
                if step == "publish":
                    publish(publisher, sent)
                    sent, mine = sent + 1, mine + 1
                elif step == "go":
                    client.go()
                elif step == "come":
                    client.come()
                elif step == "disk full":
                    full.set()
                elif step == "disk free":
                    full.clear()
                elif step == "flush":
                    await publisher.flush(0)
                elif step == "wait":
                    await asyncio.sleep(0.001)
                else:
                    await end()
                    publisher = await begun(place)
            client.come()
            await until(lambda: folders_in(place) == [], SOON_S, "all that was left is sent")
            await publisher.close(SOON_S)
            arrived = set(windows_of(client.taken))
            assert kept + lost == sent
            assert len(arrived) >= kept
            assert arrived <= set(range(sent))
        finally:
            await publisher.close(0)


async def begun(place):
    publisher = KafkaPublisher("kafka:9092", Topics(), "run", source="test", spool=SpoolPlace(place, PLENTY))
    await publisher.start()
    return publisher
