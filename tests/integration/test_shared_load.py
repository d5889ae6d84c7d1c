"""Loads on several hosts that share one run: one of them opens it, and closes it when all have ended."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loadflame.starting import run_ended
from loadflame.subscription import loads_ended
from producers.load.plan import Plan
from producers.load.shards import Shard
from producers.publisher import KafkaPublisher
from schemas.batches import Headers
from schemas.events import EventData, ProducerEnded, RunEnded, RunStarted, StageEntered, from_message
from schemas.moments import parse_moment_us
from schemas.topics import Topics
from tests.support.brokers import Broker, new_topics
from tests.support.commands import environment_of
from tests.support.polling import until
from tests.support.target import Target, running_target
from tests.support.traffic import messages_of

pytestmark = pytest.mark.broker
RUN = "shared-1"


@asynccontextmanager
async def other_host(broker: Broker, topics: Topics) -> AsyncIterator[KafkaPublisher]:
    """What another host publishes with."""
    publisher = KafkaPublisher(broker.bootstrap, topics, RUN, source="tests/other")
    try:
        await publisher.start()
        yield publisher
    finally:
        await publisher.close(60)


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as target:
        yield target


def last_words(producer_id: str, role: str = "load") -> ProducerEnded:
    return ProducerEnded.model_validate(
        {"run_id": RUN, "producer_id": producer_id, "role": role, "batches_acknowledged": 0, "rows_acknowledged": 0}
    )


async def test_as_many_loads_are_heard_as_have_said_their_last_words(
    broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[EventData | None] = []

    def reading(headers: Headers, value: bytes) -> EventData | None:
        read.append(from_message(headers, value))
        return read[-1]

    monkeypatch.setattr("loadflame.subscription.from_message", reading)
    async with other_host(broker, topics) as other:
        waiting = asyncio.create_task(loads_ended(broker.bootstrap, topics, RUN, count=2, timeout_s=120))
        for event in (last_words("a"), last_words("a"), last_words("agent", "profiler")):
            other.announce(event)
        await until(lambda: len(read) == 3, 60, "all that was said")
        assert not waiting.done(), "one load has ended"
        other.announce(last_words("b"))
        assert await asyncio.wait_for(waiting, 60) == 2
        assert len(read) == 4, "none but the last words of the second load ended it"
        assert await loads_ended(broker.bootstrap, topics, "another", count=1, timeout_s=1) == 0


async def test_whoever_opened_the_run_closes_it_when_the_others_have_ended(
    kafka_broker: Broker, target: Target, tmp_path: Path
) -> None:
    broker, topics = kafka_broker, await asyncio.to_thread(new_topics, kafka_broker)
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
    end = start + timedelta(seconds=2)
    plan = Plan.model_validate(
        {
            "target": target.url,
            "stages": [{"name": "s", "hold": "10kB/s", "until": end.isoformat()}],
            "requests": [{"name": "post", "method": "POST", "path": "/post", "body": "x" * 500}],
        }
    )
    (tmp_path / "plan.yaml").write_text(plan.to_yaml())
    sharing = ("--shard", "1/2", "--open-run", RUN, "--start-at", start.isoformat())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadflame", "load", str(tmp_path / "plan.yaml"), *sharing),
        env=environment_of(
            tmp_path,
            LOADFLAME_BROKER=broker.bootstrap,
            LOADFLAME_TOPIC_PREFIX=topics.prefix,
            PYTHONPATH=str(Path()),
        ),
        stderr=asyncio.subprocess.PIPE,
    )

    async def said() -> list[EventData]:
        found = await messages_of(broker, topics.name("runs"), 1)
        return [event for event, *_ in found if event is not None]

    async def has_ended() -> bool:
        return any(isinstance(event, ProducerEnded) for event in await said())

    try:
        async with asyncio.timeout(120):
            while not await has_ended():
                assert process.returncode is None
                await asyncio.sleep(0.2)
        assert not any(isinstance(event, RunEnded) for event in await said()), "the other has not ended"
        async with other_host(broker, topics) as other:
            other.announce(last_words("other"))
        _, told = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, told
    events = await said()
    (started,) = (event for event in events if isinstance(event, RunStarted))
    assert started.started_at_us == parse_moment_us(start.isoformat())
    assert started.plan["stages"] == [{"name": "s", "role": "measure", "for": "2s", "until": None, "hold": 20}]
    (stage,) = (event for event in events if isinstance(event, StageEntered))
    assert (stage.starts_at_us, stage.ends_at_us) == (
        parse_moment_us(start.isoformat()),
        parse_moment_us(end.isoformat()),
    )
    (ours,) = (event for event in events if isinstance(event, ProducerEnded) and event.producer_id != "other")
    assert ours.totals is not None
    assert ours.totals.scheduled == target.requests == 20
    assert isinstance(events[-1], RunEnded)
    assert (events[-1].reason, events[-1].producers, events[-1].note) == ("finished", 2, "")


ENDS = [
    # (heard, of so many, aborted, the reason, the note)
    (1, 1, False, "finished", ""),
    (2, 2, True, "aborted", ""),
    (2, 3, False, "error", "1 of 3 loads have not said how they ended"),
    (0, 3, True, "aborted", "3 of 3 loads have not said how they ended"),
]


@pytest.mark.parametrize(("heard", "count", "aborted", "reason", "note"), ENDS)
def test_a_run_in_which_a_load_stayed_silent_is_closed_and_says_so(heard, count, aborted, reason, note) -> None:
    event = run_ended(RUN, 7, heard, Shard(0, count), aborted=aborted)
    assert (event.reason, event.producers, event.note, event.ended_at_us) == (reason, heard, note, 7)
