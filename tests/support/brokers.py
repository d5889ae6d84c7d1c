"""Fixtures of the brokers: Tansu as the product embeds it, and a real Apache Kafka.

Both are started once a session, when the first test asks. Every test takes topics and a group of its own (`topics`),
so that tests neither meet each other's messages nor clean up.
"""

import asyncio
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest

from loadflame import broker as local_broker
from loadflame import topics as our_topics
from loadflame.broker import BrokerError, LocalBroker
from loadflame.topics import ensure_topics
from schemas.topics import Topics
from tests.support.kafka_server import KafkaMissingError, KafkaServer

SOON_S = 60.0
"""A busy machine takes longer than whoever starts a run would wait."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that runs: `bootstrap` is host:port."""

    kind: Literal["tansu", "kafka"]
    bootstrap: str
    pid: int


@pytest.fixture(scope="session")
def tansu_broker() -> Iterator[Broker]:
    """The embedded broker."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(local_broker, "START_S", SOON_S)
            with LocalBroker() as broker:
                yield Broker("tansu", broker.bootstrap, broker.pid)
    except BrokerError as error:
        _missing(str(error))


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Apache Kafka 4.1; without Java or Maven a reason to skip, except in CI."""
    try:
        with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
            yield Broker("kafka", server.bootstrap, server.pid)
    except KafkaMissingError as error:
        _missing(str(error))


def _missing(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.broker) for kind in ("tansu", "kafka")])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker in turn."""
    found: Broker = request.getfixturevalue(f"{request.param}_broker")
    return found


@pytest.fixture
def topics(broker: Broker) -> Topics:
    """Topics of the test's own on `broker`, already created."""
    return new_topics(broker)


def new_topics(broker: Broker, partitions: int = 4) -> Topics:
    """Create topics under a new prefix. Not to be called in a running event loop."""
    made = Topics(f"t{secrets.token_hex(4)}", partitions)
    with pytest.MonkeyPatch.context() as patch:
        for bound in ("CONNECT_S", "ANSWER_S"):
            patch.setattr(our_topics, bound, SOON_S)
        asyncio.run(ensure_topics(broker.bootstrap, made))
    return made
