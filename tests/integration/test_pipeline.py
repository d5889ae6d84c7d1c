"""From Kafka to the store with real worker processes: the same on the embedded broker and on Apache Kafka.

Windows are 200 ms long, so that a run of many windows takes few seconds.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from processors.verify import Check, Topic, verify_run
from schemas.joined import JoinedWindow
from sinks.clickhouse import open_store
from tests.support.brokers import Broker, new_topics
from tests.support.clickhouse_http import fake_clickhouse
from tests.support.traffic import Traffic, joined_events
from tests.support.workers import WorkerProcess, WorkerSettings

pytestmark = [pytest.mark.broker, pytest.mark.slow]
RUN = "run-1"
WINDOW_US = 200_000
WAIT_S = 60.0


@dataclass(slots=True)
class Setting:
    """A broker, and so many workers that share one store."""

    workers: WorkerSettings
    count: int

    def traffic(self) -> Traffic:
        return Traffic(self.workers.broker, self.workers.topics, RUN, WINDOW_US)

    def worker(self) -> WorkerProcess:
        return WorkerProcess(self.workers)

    def outcome(self) -> tuple[list[Check], list[JoinedWindow]]:
        """What `verify` says, and the joined windows: when the workers have ended, for they have the store."""
        where = Topic(self.workers.broker.bootstrap, self.workers.topics, self.workers.group)
        with contextlib.closing(open_store(self.workers.store)) as store:
            windows = [store.read_joined(RUN, window) for window in sorted(store.read_coverage(RUN))]
            return verify_run(store, RUN, where), [window for window in windows if window is not None]


TANSU = pytest.param(("tansu", 1), id="tansu")
KAFKA = pytest.param(("kafka", 1), id="kafka")
TWO_WORKERS = pytest.param(("kafka", 2), id="kafka with two workers")


@pytest.fixture(params=[TANSU, KAFKA, TWO_WORKERS])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setting]:
    kind, count = request.param
    broker: Broker = request.getfixturevalue(f"{kind}_broker")
    with ExitStack() as stack:
        # The embedded engine serves one process, so two workers meet in a server.
        store = f"chdb://{tmp_path}/store"
        if count > 1:
            store = stack.enter_context(fake_clickhouse(f"{tmp_path}/server")).url()
        yield Setting(WorkerSettings(broker, new_topics(broker), store, tmp_path, RUN, WINDOW_US), count)


async def assert_exact(setting: Setting, traffic: Traffic) -> list[JoinedWindow]:
    """Everything that was sent is there once: as rows, as windows, as events, and in the accounts."""
    checks, windows = await asyncio.to_thread(setting.outcome)
    assert [check for check in checks if not check.ok] == []
    announced = await joined_events(setting.workers.broker, setting.workers.topics, RUN)
    requests = {window: rows for window, (rows, _) in traffic.sent.items()}
    assert {one.window: one.completed + one.failed for one in windows} == requests
    assert {window: event.completed + event.failed for window, event in announced.items()} == requests
    assert {one.window: one.batches_covered for one in windows} == dict.fromkeys(traffic.sent, 2)
    assert {window: event.batches_covered for window, event in announced.items()} == dict.fromkeys(traffic.sent, 2)
    return windows


async def test_a_run_is_stored_once_joined_and_announced_and_its_workers_end_by_themselves(setting: Setting) -> None:
    traffic = setting.traffic()
    with ExitStack() as stack:
        workers = [stack.enter_context(setting.worker()) for _ in range(setting.count)]
        await traffic.begin()
        await traffic.send(*range(12), goodbye=True)
        await traffic.end()
        for worker in workers:
            await asyncio.to_thread(worker.end)
    windows = await assert_exact(setting, traffic)
    assert any(one.closed_by == "producers" for one in windows), "grace is for the first window of each partition"


@pytest.mark.parametrize("setting", [TANSU], indirect=True)  # on Kafka the fault campaign kills hundreds
async def test_a_worker_killed_twice_in_mid_run_loses_and_repeats_nothing(setting: Setting) -> None:
    traffic = setting.traffic()
    with ExitStack() as stack:
        workers = [stack.enter_context(setting.worker()) for _ in range(setting.count)]
        await traffic.begin()
        await traffic.send(*range(6))
        while not await joined_events(setting.workers.broker, setting.workers.topics, RUN):
            assert workers[0].running, workers[0].log()
        workers.pop(0).kill()  # in the middle of its work
        await traffic.send(*range(6, 10))
        second = stack.enter_context(setting.worker())
        await traffic.send(*range(10, 12))
        second.kill()  # it has hardly begun to read again
        await traffic.send(*range(12, 16), goodbye=True)
        await traffic.end()
        workers.append(stack.enter_context(setting.worker()))
        for worker in workers:
            await asyncio.to_thread(worker.end)
    await assert_exact(setting, traffic)
