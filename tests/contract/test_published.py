"""What producers that died had published, read back from each broker."""

import asyncio

from processors.published import Published, published_by
from producers.publisher import KafkaPublisher
from schemas.rows import RequestFacts
from schemas.topics import Topics
from tests.support.batches import WINDOW, Request, request_rows
from tests.support.brokers import Broker

RUN = "r"
ROWS = request_rows([Request(), Request(status=500, error="http 500"), Request(status=0, error="timeout")])
FACTS = RequestFacts(engine="wire", scheduled=5, sent=4, dropped=1, in_flight=1, generator_cpu_us=9)


async def publish(broker: Broker, topics: Topics, producer_id: str, *, run_id: str = RUN, windows: int = 3) -> None:
    publisher = KafkaPublisher(broker.bootstrap, topics, run_id, source="tests", producer_id=producer_id)
    await publisher.start()
    assert publisher.producer_id == producer_id
    for window in range(windows):
        publisher.publish("requests", WINDOW + window, ROWS, FACTS, final=True)
    published = await publisher.close(60)
    assert published.batches_acknowledged == windows


def test_what_each_of_them_published_is_summed_up_and_nobody_elses(broker: Broker, topics: Topics) -> None:
    async def told() -> dict[str, Published]:
        await publish(broker, topics, "first")
        await publish(broker, topics, "second", windows=1)
        await publish(broker, topics, "alive")
        await publish(broker, topics, "first", run_id="another")
        return await published_by(broker.bootstrap, topics, RUN, ["first", "second", "silent"], since_us=0)

    found = asyncio.run(told())
    one = Published(1, 3, 2, RequestFacts(scheduled=5, sent=4, dropped=1))
    assert found["first"] == Published(3, 9, 6, RequestFacts(scheduled=15, sent=12, dropped=3))
    assert found["second"] == one
    assert found["silent"] == Published()
    assert set(found) == {"first", "second", "silent"}


def test_a_batch_that_came_twice_counts_once(broker: Broker, topics: Topics) -> None:
    async def told() -> dict[str, Published]:
        await publish(broker, topics, "first", windows=1)
        await publish(broker, topics, "first", windows=1)
        return await published_by(broker.bootstrap, topics, RUN, ["first"], since_us=0)

    assert asyncio.run(told())["first"].batches == 1
