"""What is to be seen of a worker: what Kafka does not say is not made up, and nobody asks it twice at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import pytest

from processors import watched
from processors.figures import WorkerSummary
from processors.pipeline import Pipeline
from processors.records import Place
from processors.watchdog import Watchdog
from processors.watched import WatchedWorker
from tests.support.batches import WINDOW_US, Request, request_batch
from tests.support.records import TOPICS, Log

HERE = Place("t.requests", 1)
Lags = Callable[[], Awaitable[Mapping[Place, int]]]


def worker(lags: Lags, pipeline: Pipeline | None = None) -> WatchedWorker:
    """One of which nothing was heard for an hour, at a broker that answers."""
    watchdog = Watchdog("nobody:1", 60.0, time.monotonic() - 3600)
    watchdog._answers = lambda: asyncio.sleep(0, result=True)
    return WatchedWorker(WorkerSummary(records=7), pipeline or Pipeline(TOPICS, WINDOW_US), watchdog, lags)


async def waiting(count: int) -> Mapping[Place, int]:
    await asyncio.sleep(0)
    return {HERE: count}


async def refused() -> Mapping[Place, int]:
    raise ConnectionError("away")


async def silent() -> Mapping[Place, int]:
    await asyncio.Event().wait()
    return {}


LAGS: dict[str, tuple[Lags, Mapping[Place, int], str]] = {
    "nothing waits": (lambda: waiting(0), {HERE: 0}, "idle"),
    "something waits": (lambda: waiting(3), {HERE: 3}, "working"),
    "the client refuses to say": (refused, {}, "working"),
    "the client does not answer": (silent, {}, "working"),
}


@pytest.mark.parametrize(("lags", "told", "state"), LAGS.values(), ids=LAGS)
async def test_lag_is_what_kafka_says_and_else_unknown(
    monkeypatch: pytest.MonkeyPatch, lags: Lags, told: Mapping[Place, int], state: str
) -> None:
    monkeypatch.setattr(watched, "_ASK_S", 0.05 if lags is silent else 60.0)
    looked_at = worker(lags)
    figures = await looked_at.figures()
    assert (figures.lag_records, figures.done.records) == (told, 7)
    assert (await looked_at.health()).state == state
    looked_at.close()


async def test_while_the_client_owes_an_answer_it_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "_ASK_S", 0.02)
    asked = []
    answer: asyncio.Future[Mapping[Place, int]] = asyncio.get_running_loop().create_future()

    def lags() -> Awaitable[Mapping[Place, int]]:
        asked.append(1)
        return asyncio.shield(answer)

    looked_at = worker(lags)
    for _ in range(3):
        assert (await looked_at.figures()).lag_records == {}
    assert asked == [1]
    answer.set_result({HERE: 5})
    monkeypatch.setattr(watched, "_ASK_S", 60.0)
    assert (await looked_at.figures()).lag_records == {HERE: 5}
    assert len(asked) == 1
    assert (await looked_at.figures()).lag_records == {HERE: 5}
    assert len(asked) == 2
    looked_at.close()


async def test_a_store_that_is_away_is_named_before_all_else() -> None:
    looked_at = worker(refused)
    looked_at.store_trouble = "the store could not store batches: it does not answer"
    health = await looked_at.health()
    assert (health.state, health.sentence) == ("degraded", looked_at.store_trouble)


async def test_open_windows_are_seen_with_their_bytes_and_how_far_behind_their_clock_is() -> None:
    log, pipeline = Log(), Pipeline(TOPICS, WINDOW_US)
    looked_at = worker(lambda: waiting(0), pipeline)
    batch = request_batch([Request()] * 9)
    record = log.batch(batch)
    pipeline.on_record(record, 0.0)
    figures = await looked_at.figures()
    assert (figures.open_windows, figures.open_bytes) == (1, batch.rows.nbytes)
    assert figures.unflushed_bytes > figures.open_bytes
    assert figures.watermark_delay_s == {}, "of the other topic nothing was heard, so there is no watermark"
    pipeline.on_record(log.tick(log.place("stacks", record.place.partition)), 0.0)
    earliest_s = time.time() - log.now_us / 1e6
    figures = await looked_at.figures()
    latest_s = time.time() - log.now_us / 1e6
    assert list(figures.watermark_delay_s) == [record.place.partition]
    assert earliest_s - 0.01 <= figures.watermark_delay_s[record.place.partition] <= latest_s + 0.01
    assert (await looked_at.health()).state == "working"
    log.now_us += 10 * WINDOW_US
    for place in log.pair(record.place.partition):
        pipeline.on_record(log.tick(place), 0.0)
    figures = await looked_at.figures()
    assert (figures.open_windows, figures.open_bytes, figures.watermark_delay_s) == (0, 0, {})
    looked_at.close()
