"""What earlier processes left in the spool: looked at, delivered in order, deleted once acknowledged."""

import pytest
from aiokafka.errors import MessageSizeTooLargeError, TopicAuthorizationFailedError

from producers.publisher import PublisherError, leftovers
from producers.publisher.leftovers import (
    CHUNK_MESSAGES,
    at_once,
    bring_home,
    deliver_in_order,
    folders_in,
    look_at,
    send_left_behind,
)
from producers.publisher.spool import Spool, SpoolHeldError, SpoolPlace, Waiting
from tests.support.spools import AClient, batch, event

PLENTY = 1 << 30


def left_in(place, name, *messages, broker="kafka:9092"):
    """The spool of a process that is gone."""
    spool = Spool(SpoolPlace(place, PLENTY), name, broker=broker)
    for message in messages:
        spool.append(message)
    spool.close()
    return spool.folder


async def test_an_event_goes_only_when_all_before_it_are_acknowledged_and_nothing_overtakes_it():
    client = AClient()
    messages = [batch(1), batch(2), event("ended"), batch(3)]
    assert len(await deliver_in_order(client, messages)) == 4
    assert client.taken == messages


def test_a_look_tells_whose_it_is_and_how_much(tmp_path):
    folder = left_in(tmp_path, "p", batch(1, run="a"), batch(2, rows=7, run="b"), event("ended", run="a"))
    found = look_at(folder)
    assert (found.broker, found.runs, found.waiting) == ("kafka:9092", ("a", "b"), Waiting(3, 2, 17))
    assert found.bytes == sum(path.stat().st_size for path in folder.glob("*.spool"))
    assert not found.held


def test_a_look_tells_that_somebody_has_it(tmp_path):
    spool = Spool(SpoolPlace(tmp_path, PLENTY), "p", broker="kafka:9092")
    spool.append(batch(1))
    assert look_at(spool.folder).held
    spool.close()
    assert not look_at(spool.folder).held


def test_a_place_that_is_not_there_holds_nothing(tmp_path):
    assert folders_in(tmp_path / "none") == []


async def test_all_is_delivered_in_order_and_then_deleted(tmp_path):
    messages = [batch(number) for number in range(3 * CHUNK_MESSAGES)]
    client = AClient()
    done = await send_left_behind(client, left_in(tmp_path, "p", *messages), at_once)
    assert client.taken == messages
    assert (done.sent.messages, done.refused.messages) == (len(messages), 0)
    assert folders_in(tmp_path) == []
    assert client.most_under_way <= CHUNK_MESSAGES


async def test_one_that_somebody_has_is_left_to_them(tmp_path):
    spool = Spool(SpoolPlace(tmp_path, PLENTY), "p", broker="kafka:9092")
    spool.append(batch(1))
    with pytest.raises(SpoolHeldError):
        await send_left_behind(AClient(), spool.folder, at_once)
    spool.close()


async def test_what_is_refused_for_good_is_counted_and_the_rest_goes(tmp_path):
    client = AClient()
    client.errors = [MessageSizeTooLargeError()]
    done = await send_left_behind(client, left_in(tmp_path, "p", batch(1), batch(2)), at_once)
    assert (done.sent, done.refused) == (Waiting(1, 1, 10), Waiting(1, 1, 10))


@pytest.mark.parametrize(
    ("messages", "errors", "sentence"),
    [
        pytest.param([batch(1, topic="old.requests")], [], r"no partition 1 of topic old\.requests", id="no topic"),
        pytest.param([batch(3)], [], r"no partition 3 of topic t\.requests", id="fewer partitions"),
        pytest.param([batch(1)], [TopicAuthorizationFailedError()], "does not let this user write", id="no permission"),
    ],
)
async def test_what_kafka_cannot_take_now_stays(tmp_path, messages, errors, sentence):
    client = AClient()
    client.topics, client.errors = {"t.requests": {0, 1, 2}}, errors
    folder = left_in(tmp_path, "p", *messages)
    with pytest.raises(PublisherError, match=sentence):
        await send_left_behind(client, folder, at_once)
    assert look_at(folder).waiting.messages == len(messages)
    assert not look_at(folder).held


async def test_what_processes_that_died_had_spooled_is_brought_home_and_nothing_else(tmp_path, monkeypatch):
    client = AClient()
    monkeypatch.setattr(leftovers, "Client", lambda *_: client)
    left_in(tmp_path, "dead", batch(1))
    left_in(tmp_path, "other", batch(2))
    await bring_home("kafka:9092", tmp_path, {"dead", "without a spool"})
    assert client.taken == [batch(1)]
    assert [folder.name for folder in folders_in(tmp_path)] == ["other"]


async def test_or_all_that_was_meant_for_this_kafka(tmp_path, monkeypatch):
    client = AClient()
    monkeypatch.setattr(leftovers, "Client", lambda *_: client)
    left_in(tmp_path, "mine", batch(1))
    left_in(tmp_path, "another's", batch(2), broker="elsewhere:9092")
    (left_in(tmp_path, "odd", batch(3)) / "about.json").write_text("{}")
    await bring_home("kafka:9092", tmp_path)
    assert client.taken == [batch(1)]
    assert [folder.name for folder in folders_in(tmp_path)] == ["another's", "odd"]
