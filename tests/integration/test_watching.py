"""Each role shows how it fares while it works: figures that agree with what it did, and health that can be acted on."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadflame.broker import LocalBroker
from processors.records import Place
from processors.watched import WatchedWorker
from processors.worker import WorkerConfig, run_worker
from schemas.topics import BULK
from sinks.errors import StoreError
from sinks.memory import MemoryStore
from sinks.store import StoredBatch, nothing
from tests.support.brokers import Broker, new_topics
from tests.support.commands import environment_of
from tests.support.polling import until, wait_until
from tests.support.roles import RoleProcess
from tests.support.target import running_target
from tests.support.targets import BURN
from tests.support.targets import target as python_process
from tests.support.traffic import Traffic
from tests.support.watching import address_in, health_at, metrics_at

pytestmark = pytest.mark.broker
RUN = "run-1"
WINDOW_US = 200_000
WAIT_S = 60.0
PLAN = """
target: {url}
stages: [{{name: hold, hold: 50, for: 60s}}]
requests: [{{name: only, path: /ok}}]
"""


@contextmanager
def role(folder: Path, broker: str, *words: str, **settings: str) -> Iterator[tuple[RoleProcess, str]]:
    """A role that is watched, and where."""
    log = folder / f"{words[0]}.log"
    settings = {f"LOADFLAME_{name}": value for name, value in settings.items()}
    environment = environment_of(folder, LOADFLAME_BROKER=broker, LOADFLAME_WATCH_PORT="0", **settings)
    with RoleProcess(words, environment, log) as process:
        yield process, address_in(log)


def test_a_worker_shows_what_it_did_that_it_is_idle_then_and_whose_broker_is_gone(tmp_path: Path) -> None:
    asked = 2  # each producer asks for the broker's time, by a tick of its own; Tansu does not tell it, so once
    with LocalBroker() as local:
        broker = Broker("tansu", local.bootstrap, local.pid)
        topics = new_topics(broker)
        settings = {"TOPIC_PREFIX": topics.prefix, "GROUP": topics.prefix, "WINDOW_MS": str(WINDOW_US // 1000)}
        traffic = Traffic(broker, topics, RUN, WINDOW_US)

        async def run() -> None:
            await traffic.begin()
            await traffic.send(*range(4), goodbye=True)
            await traffic.end()

        with role(tmp_path, local.bootstrap, "process", "--lone", **settings) as (process, address):
            assert health_at(address)[0] == 200
            asyncio.run(run())
            wait_until(lambda: metrics_at(address).get("worker_windows_total", 0) >= 4, WAIT_S, "four joined windows")
            wait_until(lambda: metrics_at(address).get("worker_lag_records") == 0, WAIT_S, "no lag")
            wait_until(lambda: health_at(address)[:2] == (200, "idle"), WAIT_S, "that it is idle")
            found: dict[str, float] = {}

            def is_told() -> bool:
                """A tick counts once it is acknowledged, a commit when all else is done: later than one may look."""
                found.update(metrics_at(address))
                told = found["worker_commits_total"] > 0
                return told and found["worker_records_total"] == 8 + found["worker_ticks_total"] + asked + 4

            wait_until(is_told, WAIT_S, "every record, and a commit")
            local.__exit__(None, None, None)
            gone = (200, "degraded", f"nobody answers at the broker {local.bootstrap}")
            wait_until(lambda: health_at(address) == gone, WAIT_S, "that the broker is gone, and no reason to restart")
            assert "worker_lag_records" not in metrics_at(address), "a lag that is not known is not 0"
            process.kill()
    assert found["worker_batches_total"] == 8
    assert found["worker_rows_total"] == traffic.requests + traffic.samples
    assert found["worker_dead_letters_total"] == found["worker_store_retries_total"] == 0
    assert found["worker_open_windows"] == found["worker_unflushed_bytes"] == 0
    assert found["worker_flush_seconds_count"] > 0
    assert found["worker_rebalances_total"] == 0
    assert "worker_watermark_delay_seconds" not in found, "nothing is open, so nothing waits for it"


class HeldStore(MemoryStore):
    """A store that is away for as long as it is told so, and that, once `held`, answers only when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.away: StoreError | None = None
        self.refused = 0
        self.free = threading.Event()
        self.free.set()

    def write_batches(self, batches: Sequence[StoredBatch], meanwhile: Callable[[], None] = nothing) -> None:
        self.free.wait()
        if self.away is not None:
            self.refused += 1
            raise self.away
        super().write_batches(batches, meanwhile)


async def is_well(worker: WatchedWorker) -> bool:
    return (await worker.health()).state in ("working", "idle")


async def soon(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """As `until`, of what takes asking."""
    async with asyncio.timeout(WAIT_S):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_health_tells_a_store_that_is_away_from_a_worker_that_is_stuck(kafka_broker: Broker) -> None:
    topics = await asyncio.to_thread(new_topics, kafka_broker)
    store, stop, ready = HeldStore(), asyncio.Event(), asyncio.Event()
    seen: list[WatchedWorker] = []
    config = WorkerConfig(kafka_broker.bootstrap, topics, topics.prefix, WINDOW_US, stuck_after_s=12.0)
    task = asyncio.create_task(run_worker(config, store, stop=stop, on_ready=ready.set, on_start=seen.append))
    traffic = Traffic(kafka_broker, topics, RUN, WINDOW_US)
    try:
        await asyncio.wait_for(ready.wait(), WAIT_S)
        (worker,) = seen
        await traffic.begin()
        store.away = StoreError("the store could not store batches: it does not answer", retriable=True)
        await traffic.send(0)
        await until(lambda: bool(worker.store_trouble), WAIT_S, "a write that fails")
        health = await worker.health()
        assert (health.state, health.sentence) == ("degraded", "the store could not store batches: it does not answer")
        store.away = None
        await until(lambda: not worker.store_trouble and bool(store.windows), WAIT_S, "the store again")
        assert await is_well(worker), "as soon as one asks"
        figures = await worker.figures()
        async with asyncio.timeout(WAIT_S):
            while not figures.lag_records:  # not known while the client is busy
                await asyncio.sleep(0.05)
                figures = await worker.figures()
        assert figures.done.store_retries == store.refused > 0
        bulk = [Place(topics.name(kind), number) for kind in BULK for number in range(topics.partitions)]
        assert set(figures.lag_records) == {*bulk, Place(topics.name("runs"), 0)}

        store.free.clear()
        await traffic.send(1)
        states = []
        async with asyncio.timeout(WAIT_S):
            while "stuck" not in states:
                states.append((await worker.health()).state)
                await asyncio.sleep(0.1)
        assert set(states) == {"working", "stuck"}
        store.free.set()
        await until(lambda: len(store.windows) == 2, WAIT_S, "the second window")
        await soon(lambda: is_well(worker), "that it is well again")
        await traffic.end()
    finally:
        store.free.set()
        store.away = None
        await traffic.close()
        stop.set()
        await asyncio.wait({task}, timeout=WAIT_S)
    task.result()


def test_a_load_shows_its_course_and_what_waits_for_kafka(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    with LocalBroker() as local, running_target() as target:
        plan.write_text(PLAN.format(url=target.url))
        with role(tmp_path, local.bootstrap, "load", str(plan), WINDOW_MS="200") as (process, address):
            wait_until(
                lambda: metrics_at(address).get("publisher_acknowledged_rows_total", 0) > 20,
                WAIT_S,
                "a window in Kafka",
            )
            found = metrics_at(address)
            assert found["load_dispatch_lag_seconds_count"] > 20
            assert found["load_scheduled_requests_total"] == sum(
                found[f"load_{name}"]
                for name in (
                    "completed_requests_total",
                    "failed_requests_total",
                    "dropped_requests_total",
                    "in_flight_requests",
                )
            )
            assert found["load_sent_requests_total"] > 20
            assert found["publisher_lost_rows_total"] == 0
            # Kafka that takes its time is away.
            wait_until(lambda: metrics_at(address)["publisher_spooled_bytes"] == 0, WAIT_S, "nothing on disk")
            assert health_at(address)[:2] == (200, "working")
            process.kill()
    lines = [json.loads(line) for line in (tmp_path / "load.log").read_text().splitlines() if line.startswith("{")]
    assert lines
    assert all(line["run"] for line in lines), "each line says of which run it is"


def test_an_agent_shows_what_it_watches_and_what_that_costs(tmp_path: Path) -> None:
    with LocalBroker() as local, python_process(BURN) as watched:
        words = ("profile", "--run", RUN, "--pid", str(watched.pid))
        with role(tmp_path, local.bootstrap, *words, WINDOW_MS="500") as (process, address):
            found: dict[str, float] = {}

            def is_told() -> bool:
                """Of two windows, which Kafka acknowledges later than they are over."""
                found.update(metrics_at(address))
                return found["agent_windows_total"] >= 2 and found["publisher_acknowledged_batches_total"] >= 2

            wait_until(is_told, WAIT_S, "two windows in Kafka")
            process.interrupt()
    assert found["agent_instances"] == 1
    assert found["agent_samples_total"] > 0
    assert 0.5 < found["agent_coverage_ratio"] <= 1.01
    assert 0 < found["agent_cpu_seconds_total"] < 5
    assert found["agent_sampling_rate_hertz"] > 0
