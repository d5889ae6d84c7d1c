"""Topics are made once, as the table says, and asserted; on the embedded broker and on a real Kafka."""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import collect_hosts
from aiokafka.errors import KafkaError, NodeNotReadyError, RequestTimedOutError

from loadflame import topics as our_topics
from loadflame.broker import BrokerError, LocalBroker
from loadflame.topics import check_broker, ensure_topics
from schemas.topics import Topics
from tests.support.brokers import Broker


async def partitions_of(broker: Broker, topics: Topics) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics([topic.name for topic in topics.all()])
        return {topic["topic"]: len(topic["partitions"]) for topic in described}
    finally:
        await admin.close()


async def test_every_topic_is_made_with_its_partition_count(broker: Broker) -> None:
    topics = Topics(f"t{secrets.token_hex(4)}", 3)
    await ensure_topics(broker.bootstrap, topics)
    assert await partitions_of(broker, topics) == {topic.name: topic.partitions for topic in topics.all()}


async def test_topics_that_are_there_are_left_as_they_are(broker: Broker, topics: Topics) -> None:
    await ensure_topics(broker.bootstrap, topics)


async def test_another_partition_count_is_refused_and_both_remedies_are_named(broker: Broker, topics: Topics) -> None:
    with pytest.raises(BrokerError, match=r"has 4 partitions, not 6; set LOADFLAME_PARTITIONS=4 or take another"):
        await ensure_topics(broker.bootstrap, Topics(topics.prefix, 6))


async def test_a_look_at_a_broker_makes_no_topic_and_sees_what_would_be_refused(broker: Broker, topics: Topics) -> None:
    unmade = Topics(f"t{secrets.token_hex(4)}", 3)
    await check_broker(broker.bootstrap, unmade)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        assert not {topic.name for topic in unmade.all()} & set(await admin.list_topics())
    finally:
        await admin.close()
    await check_broker(broker.bootstrap, topics)
    with pytest.raises(BrokerError, match="has 4 partitions, not 6"):
        await check_broker(broker.bootstrap, Topics(topics.prefix, 6))


async def test_kafka_is_told_not_to_compress_bulk_topics_and_to_stamp_by_its_own_clock(kafka_broker: Broker) -> None:
    topics = Topics(f"t{secrets.token_hex(4)}", 1)
    await ensure_topics(kafka_broker.bootstrap, topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
    await admin.start()
    try:
        asked = ConfigResource(ConfigResourceType.TOPIC, topics.name("requests"))
        (answer,) = await admin.describe_configs([asked])
    finally:
        await admin.close()
    ((_, _, _, _, entries),) = answer.resources
    said = {name: value for name, value, *_ in entries}
    assert said["compression.type"] == "uncompressed"
    assert said["message.timestamp.type"] == "LogAppendTime"


async def test_as_many_copies_are_asked_for_as_were_set(kafka_broker: Broker) -> None:
    topics = Topics(f"t{secrets.token_hex(4)}", 1, replication=2)
    with pytest.raises(BrokerError, match=r"would not create topic .*: InvalidReplicationFactor"):
        await ensure_topics(kafka_broker.bootstrap, topics)


async def test_a_broker_that_is_busy_is_asked_again(tansu_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(our_topics, "REQUEST_S", 2.0)
    create_topics = AIOKafkaAdminClient.create_topics
    asked = []

    async def while_it_is_busy(admin: AIOKafkaAdminClient, wanted: list[NewTopic]) -> object:
        asked.append(wanted)
        if len(asked) == 1:
            os.kill(tansu_broker.pid, signal.SIGSTOP)
            asyncio.get_running_loop().call_later(2.2, os.kill, tansu_broker.pid, signal.SIGCONT)
        return await create_topics(admin, wanted)

    monkeypatch.setattr(AIOKafkaAdminClient, "create_topics", while_it_is_busy)
    topics = Topics(f"t{secrets.token_hex(4)}", 3)
    try:
        await ensure_topics(tansu_broker.bootstrap, topics)
    finally:
        os.kill(tansu_broker.pid, signal.SIGCONT)
    assert await partitions_of(tansu_broker, topics) == {topic.name: topic.partitions for topic in topics.all()}


@pytest.mark.parametrize("error", [RequestTimedOutError, NodeNotReadyError])
async def test_a_broker_that_stays_busy_is_not_said_to_be_missing(
    error: type[KafkaError], tansu_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise error

    monkeypatch.setattr(AIOKafkaAdminClient, "list_topics", busy)
    monkeypatch.setattr(our_topics, "ANSWER_S", 0.2)
    with pytest.raises(BrokerError, match="let us in, but did not do what it was asked within"):
        await check_broker(tansu_broker.bootstrap, Topics())


async def test_an_address_that_never_answers_leaves_time_for_the_next(
    tansu_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(our_topics, "REQUEST_S", 0.5)
    monkeypatch.setattr("aiokafka.client.collect_hosts", partial(collect_hosts, randomize=False))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        mute = listening.getsockname()[1]
        await check_broker(f"127.0.0.1:{mute},{tansu_broker.bootstrap}", Topics(f"t{secrets.token_hex(4)}"))
        listening.settimeout(0)
        listening.accept()[0].close()  # it was asked first


@pytest.mark.parametrize("look", [ensure_topics, check_broker])
async def test_nobody_there_is_one_sentence_with_the_remedy(look: Callable[[str, Topics], Awaitable[None]]) -> None:
    with LocalBroker() as gone:
        bootstrap = gone.bootstrap
    with pytest.raises(BrokerError, match=rf"no Kafka at {bootstrap} \(.*\); start one there, or name another"):
        await look(bootstrap, Topics())
