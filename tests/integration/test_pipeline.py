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
from sinks.clickhouse import ClickHouseStore, open_store
from tests.support.brokers import Broker, new_topics
from tests.support.clickhouse_http import fake_clickhouse
from tests.support.traffic import Traffic
from tests.support.workers import WorkerProcess, WorkerSettings

pytestmark = [pytest.mark.broker, pytest.mark.slow]
RUN = "run-1"
WINDOW_US = 200_000


@dataclass(slots=True)
class Setting:
    """A broker, and so many workers that share one store."""

    workers: WorkerSettings
    count: int

    @property
    def traffic(self) -> Traffic:
        return Traffic(self.workers.broker, self.workers.topics, RUN, WINDOW_US)

    def worker(self) -> WorkerProcess:
        return WorkerProcess(self.workers)

    @contextlib.contextmanager
    def store(self) -> Iterator[ClickHouseStore]:
        """The store, once the workers of an embedded one have ended."""
        with contextlib.closing(open_store(self.workers.store)) as store:
            yield store

    def outcome(self) -> tuple[list[Check], list[JoinedWindow]]:
        """What `verify` says, and the joined windows."""
        where = Topic(self.workers.broker.bootstrap, self.workers.topics, self.workers.group)
        with self.store() as store:
            checks = verify_run(store, RUN, where)
            windows = [store.read_joined(RUN, window) for window in sorted(store.read_coverage(RUN))]
            return checks, [window for window in windows if window is not None]


@pytest.fixture(params=[("tansu", 1), ("kafka", 1), ("kafka", 2)], ids=["tansu", "kafka", "kafka, two workers"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setting]:
    kind, count = request.param
    broker: Broker = request.getfixturevalue(f"{kind}_broker")
    with ExitStack() as stack:
        # The embedded engine serves one process, so two workers meet in a server.
        store = f"chdb://{tmp_path}/store"
        if count > 1:
            store = stack.enter_context(fake_clickhouse(f"{tmp_path}/server")).url()
        yield Setting(WorkerSettings(broker, new_topics(broker), store, tmp_path, RUN, WINDOW_US), count)


def assert_exact(traffic: Traffic, checks: list[Check], windows: list[JoinedWindow]) -> None:
    """Everything that was sent is there once: as rows, as windows, and in the accounts."""
    assert all(check.ok for check in checks), checks
    counted = {window.window: (window.completed + window.failed, window.samples) for window in windows}
    assert {window: rows for window, (rows, _) in counted.items()} == {w: rows for w, (rows, _) in traffic.sent.items()}
    assert all(window.batches_covered == 2 for window in windows)


async def test_a_run_is_stored_once_joined_and_announced_and_its_workers_end_by_themselves(setting: Setting) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(setting.worker()) for _ in range(setting.count)]
        traffic = setting.traffic
        await traffic.begin()
        await traffic.send(*range(16), goodbye=True)
        await traffic.end()
        for worker in workers:
            await asyncio.to_thread(worker.end)
    checks, windows = await asyncio.to_thread(setting.outcome)
    assert_exact(traffic, checks, windows)
