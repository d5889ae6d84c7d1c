"""How fresh is the store at a steady rate? From a request's completion to its row, and to its joined window, by SQL.

    python -m benchmarks.freshness [--tps 500] [--seconds 30] [--broker HOST:PORT] [--readers 4]

Everything is real: the sample shop, the load and the agent as processes of their own, the broker, and a worker in
this process, so that the embedded store (which one process may open) can be asked from a thread of its own meanwhile.
A row's time counts until the first poll that sees its window, so the figures are upper bounds by one poll.

With --readers so many clients ask the worker's gateway meanwhile, all the time, what it cannot answer within 5 s.
"""

import argparse
import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import numpy as np
import uvloop
from aiohttp import ClientSession
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.freshness_figures import waited_s
from loadflame.broker import LocalBroker
from loadflame.children import Child
from loadflame.demo import sample_shop
from loadflame.gateways import read_beside
from loadflame.settings import Settings, read_settings
from loadflame.starting import LEAD_US, aligned, new_run_id, run_started
from loadflame.topics import ensure_topics
from processors.worker import WorkerConfig, run_worker
from producers.load.plan import Plan
from producers.publisher import KafkaPublisher
from schemas.events import RunEnded
from sinks.clickhouse import ClickHouseStore, open_store
from sinks.sharing import Share

POLL_S = 0.05
ROWS = "SELECT window, count() FROM requests WHERE run = {run:String} GROUP BY window"
JOINED = "SELECT window FROM windows WHERE run = {run:String}"
HEAVY = "SELECT max(sipHash128(number, toString(number))) FROM numbers(1900000000)"
COMPLETED = "SELECT window, toUnixTimestamp64Micro(completed_at) FROM requests WHERE run = {run:String}"


class Watcher(threading.Thread):
    """Polls the store and notes when each window's rows, and its joined record, were first seen."""

    def __init__(self, store: ClickHouseStore, run_id: str) -> None:
        super().__init__(daemon=True)
        self.rows_seen_us: dict[int, int] = {}
        self.joined_seen_us: dict[int, int] = {}
        self.over = threading.Event()
        self._client = store.client
        self._parameters = {"run": run_id}

    def run(self) -> None:
        """Poll until it is over."""
        while not self.over.wait(POLL_S):
            for sql, seen in ((ROWS, self.rows_seen_us), (JOINED, self.joined_seen_us)):
                found = [int(row[0]) for row in self._client.query(sql, parameters=self._parameters).result_rows]
                now_us = int(time.time() * 1e6)
                for window in found:
                    seen.setdefault(window, now_us)


async def ask(share: Share) -> None:
    """Ask what takes longer than it may, again and again, as a dashboard of a bad query does."""
    headers = {"X-ClickHouse-Key": share.token}
    async with ClientSession() as session:
        while True:
            async with session.post(
                share.url, params={"max_execution_time": "5"}, data=HEAVY, headers=headers
            ) as answer:
                text = await answer.text()
                assert answer.status in (408, 503), text


@contextlib.asynccontextmanager
async def asked_meanwhile(settings: Settings, readers: int) -> AsyncIterator[None]:
    """So many clients of a gateway beside the worker; no gateway without."""
    if not readers:
        yield
        return
    async with read_beside(settings.store_url) as share:
        asking = [asyncio.create_task(ask(share)) for _ in range(readers)]
        try:
            yield
            for task in asking:
                assert not task.done(), task.exception()
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)


async def measure(settings: Settings, tps: float, seconds: int, readers: int = 0) -> dict[str, NDArray[np.float64]]:
    """Seconds from completion to row and to joined window, one value a request."""
    run_id = new_run_id()
    broker = settings.broker
    assert broker is not None
    logs = settings.data_dir / "runs" / run_id
    logs.mkdir(parents=True)
    await ensure_topics(broker, settings.topics)
    store = open_store(settings.store_url)
    config = WorkerConfig(
        bootstrap=broker, topics=settings.topics, group=run_id, window_us=settings.window_us, drain_run=run_id
    )
    ready, stop = asyncio.Event(), asyncio.Event()
    worker = asyncio.create_task(run_worker(config, store, stop=stop, on_ready=ready.set))
    await ready.wait()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asked_meanwhile(settings, readers))
        url, pid = stack.enter_context(sample_shop())
        plan = Plan.model_validate(
            {
                "target": url,
                "service": "shop",
                "stages": [{"name": "steady", "hold": tps, "for": f"{seconds}s"}],
                "requests": [{"name": "health", "path": "/health"}],
            }
        )
        (logs / "plan.yaml").write_text(plan.to_yaml())
        environment = settings.environment()
        agent = await Child.start("profile", ["--run", run_id, "--pid", str(pid)], environment, logs / "profile.log")
        await agent.ready(30)
        start_us = aligned(int(time.time() * 1e6) + LEAD_US, settings.window_us)
        announcer = KafkaPublisher(broker, settings.topics, run_id, source="benchmarks/freshness")
        await announcer.start()
        announcer.announce(run_started(plan, settings, run_id, start_us))
        watcher = Watcher(store, run_id)
        watcher.start()
        arguments = [str(logs / "plan.yaml"), "--run", run_id, "--start-at", str(start_us)]
        load = await Child.start("load", arguments, environment, logs / "load.log")
        await load.wait()
        await agent.finish(20)
        ended_us = int(time.time() * 1e6)
        announcer.announce(RunEnded(run_id=run_id, ended_at_us=ended_us, reason="finished", producers=2))
        await announcer.close(20)
        await worker
        time.sleep(4 * POLL_S)  # noqa: ASYNC251  nothing else is to run; one more poll sees the last windows
        watcher.over.set()
        watcher.join()
    rows = np.array(store.client.query(COMPLETED, parameters={"run": run_id}).result_rows, dtype=np.int64)
    store.close()
    seen = {"row readable": watcher.rows_seen_us, "joined window readable": watcher.joined_seen_us}
    return {name: waited_s(rows[:, 0], rows[:, 1], seen_us) for name, seen_us in seen.items()}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tps", type=float, default=500)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--broker", help="Kafka as host:port; the embedded broker if not given")
    parser.add_argument("--readers", type=int, default=0, help="clients that ask the gateway of the worker meanwhile")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = options.broker or stack.enter_context(LocalBroker()).bootstrap
        settings = read_settings(broker=broker, data_dir=folder)
        found = uvloop.run(measure(settings, options.tps, options.seconds, options.readers))
    title = f"Freshness at {options.tps:g} TPS, {options.readers} readers"
    table = Table("from completion to", "requests", "p50", "p99", "max", title=title)
    for name, waited in found.items():
        p50, p99 = np.percentile(waited, [50, 99])
        table.add_row(name, f"{len(waited)}", f"{p50:.2f} s", f"{p99:.2f} s", f"{waited.max():.2f} s")
    Console().print(table)


if __name__ == "__main__":
    main()
