"""What the Kafka publisher does when the client below it fails: replace it, send again, or count as lost."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
)

from producers.publisher import client
from producers.publisher.client import ATTEMPTS
from producers.publisher.kafka import KafkaPublisher
from producers.publisher.kafka_clock import KafkaClock
from schemas.kafka_security import PLAINTEXT
from schemas.rows import RequestFacts
from schemas.topics import Topics
from tests.support.batches import WINDOW, many_requests


class Cluster:
    """Stands in for aiokafka: `errors` are raised by the next sends, one each, at once or at the acknowledgement."""

    def __init__(self):
        self.errors = []
        self.later = False
        self.clients = []
        self.stopped = []
        self.arrived = []
        self.away = 0

    async def connect(self, bootstrap, client_id, *, security):
        assert security is PLAINTEXT
        if self.away:
            self.away -= 1
            raise KafkaConnectionError("away")
        client = Client(self)
        self.clients.append(client)
        return client

    async def stop(self, client):
        self.stopped.append(client)

    async def check_topics(self, producer, topics, bootstrap):
        pass


class Client:
    def __init__(self, cluster):
        self.cluster = cluster
        self.broken = None

    async def send(self, topic, value, *, key, partition, headers):
        error = self.broken or (self.cluster.errors.pop(0) if self.cluster.errors else None)
        acknowledgement = asyncio.get_running_loop().create_future()
        if error is None:
            self.cluster.arrived.append(value)
            acknowledgement.set_result(SimpleNamespace(timestamp=-1, timestamp_type=0))
        elif self.cluster.later:
            acknowledgement.set_exception(error)
        else:
            raise error
        return acknowledgement


@pytest.fixture
def cluster(monkeypatch):
    cluster = Cluster()
    monkeypatch.setattr(client, "connect", cluster.connect)
    monkeypatch.setattr(client, "stop", cluster.stop)
    monkeypatch.setattr(client, "check_topics", cluster.check_topics)
    monkeypatch.setattr(client, "_RETRY_S", 0.0)

    async def no_probe(*_):
        pass

    monkeypatch.setattr(KafkaClock, "learn", no_probe)
    return cluster


async def published_to(cluster, windows=1):
    publisher = KafkaPublisher("nowhere", Topics(), "run", source="test")
    await publisher.start()
    for window in range(WINDOW, WINDOW + windows):
        publisher.publish("requests", window, many_requests(10), RequestFacts(), final=True)
    return await publisher.close(60)


@pytest.mark.parametrize("later", [False, True], ids=["as it is sent", "at the acknowledgement"])
@pytest.mark.parametrize(
    "error", [OutOfOrderSequenceNumber(), ProducerFenced()], ids=lambda error: type(error).__name__
)
async def test_a_client_that_broke_is_replaced_and_the_batch_sent_again(cluster, error, later):
    cluster.errors, cluster.later = [error], later
    published = await published_to(cluster)
    assert (published.batches_acknowledged, published.batches_lost, len(cluster.arrived)) == (1, 0, 1)
    assert (len(cluster.clients), len(cluster.stopped)) == (2, 2), "the broken one, and the new one at the close"


async def test_a_client_is_replaced_once_for_all_batches_that_found_it_broken(cluster):
    publisher = KafkaPublisher("nowhere", Topics(), "run", source="test")
    await publisher.start()
    cluster.clients[0].broken = OutOfOrderSequenceNumber()
    for window in range(WINDOW, WINDOW + 5):
        publisher.publish("requests", window, many_requests(10), RequestFacts(), final=True)
    published = await publisher.close(60)
    assert (published.batches_acknowledged, len(cluster.arrived), len(cluster.clients)) == (5, 5, 2)


async def test_a_new_client_is_tried_until_kafka_is_back(cluster):
    publisher = KafkaPublisher("nowhere", Topics(), "run", source="test")
    await publisher.start()
    cluster.errors, cluster.away = [ProducerFenced()], 3
    publisher.publish("requests", WINDOW, many_requests(10), RequestFacts(), final=True)
    published = await publisher.close(60)
    assert (published.batches_acknowledged, cluster.away) == (1, 0)


@pytest.mark.parametrize("error", [KafkaTimeoutError(), KafkaConnectionError()], ids=lambda error: type(error).__name__)
async def test_waiting_is_no_failure_however_often(cluster, error):
    cluster.errors = [error] * (ATTEMPTS * 3)
    published = await published_to(cluster)
    assert (published.batches_acknowledged, published.batches_lost, len(cluster.clients)) == (1, 0, 1)


async def test_what_kafka_refuses_for_good_is_lost_and_counted_with_the_reason(cluster):
    cluster.errors = [MessageSizeTooLargeError()]
    published = await published_to(cluster, windows=2)
    assert (published.batches_acknowledged, published.rows_acknowledged) == (1, 10)
    assert (published.batches_lost, published.rows_lost) == (1, 10)
    assert published.note == "refused by Kafka: MessageSizeTooLargeError"


async def test_what_fails_again_and_again_is_given_up(cluster):
    cluster.errors = [ProducerFenced()] * ATTEMPTS
    published = await published_to(cluster)
    assert (published.batches_acknowledged, published.batches_lost) == (0, 1)
    assert published.note == "refused by Kafka: ProducerFenced"
