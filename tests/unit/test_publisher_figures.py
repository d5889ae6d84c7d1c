"""What a publisher says of how Kafka fares."""

import asyncio
from types import SimpleNamespace

import pytest

from producers.publisher import KafkaPublisher, Published, PublisherFigures, client, health_of
from producers.publisher.kafka_clock import KafkaClock
from schemas.rows import RequestFacts
from schemas.topics import Topics
from tests.support.batches import many_requests
from tests.support.polling import until

CASES = {
    "nothing waits, for an hour": (0, 3600.0, "working", "0 messages wait for Kafka"),
    "something waits, and Kafka acknowledges": (9, 0.5, "working", "9 messages wait for Kafka"),
    "something waits for long": (
        9,
        11.0,
        "degraded",
        "9 messages wait for Kafka, which has acknowledged nothing for 11 s",
    ),
}


@pytest.mark.parametrize(("messages", "quiet_s", "state", "sentence"), CASES.values(), ids=CASES)
def test_only_what_waits_in_vain_is_trouble(messages: int, quiet_s: float, state: str, sentence: str) -> None:
    health = health_of(PublisherFigures(Published(), messages, 100, quiet_s))
    assert (health.state, health.sentence) == (state, sentence)


class SlowKafka:
    """Takes everything, and acknowledges it when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def send(self, topic: str, value: bytes, **_: object) -> asyncio.Future[SimpleNamespace]:
        return asyncio.ensure_future(self._acknowledged())

    async def _acknowledged(self) -> SimpleNamespace:
        await self.go.wait()
        return SimpleNamespace(timestamp=-1, timestamp_type=0)


async def test_what_waits_is_counted_until_it_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowKafka()
    monkeypatch.setattr(client, "connect", lambda *_, **__: asyncio.sleep(0, slow))
    monkeypatch.setattr(client, "check_topics", lambda *_: asyncio.sleep(0))
    monkeypatch.setattr(client, "stop", lambda _: asyncio.sleep(0))
    monkeypatch.setattr(KafkaClock, "learn", lambda *_: asyncio.sleep(0))
    publisher = KafkaPublisher("nowhere", Topics(), "run", source="test")
    await publisher.start()
    assert publisher.figures().waiting_messages == publisher.figures().waiting_bytes == 0
    for window in (1, 2):
        publisher.publish("requests", window, many_requests(10), RequestFacts(), final=True)
    figures = publisher.figures()
    assert (figures.waiting_messages, figures.published) == (2, Published())
    assert figures.waiting_bytes > 0
    before_s = figures.quiet_s
    await until(lambda: publisher.figures().quiet_s > before_s, 60, "time passing in vain")
    slow.go.set()
    await publisher.flush(60)
    figures = publisher.figures()
    assert (figures.waiting_messages, figures.waiting_bytes, figures.published.rows_acknowledged) == (0, 0, 20)
    assert figures.spooled_bytes is None
    await publisher.close(5)
