"""A place for one worker at a time, with a proxy of its own towards Kafka and towards the store."""

import asyncio
import re
import signal
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

import psutil

from schemas.topics import Topics
from tests.support.kafka_proxy import KafkaProxy
from tests.support.polling import until
from tests.support.store_proxy import StoreProxy
from tests.support.workers import WorkerProcess, WorkerSettings

WAIT_S = 60.0
WORKER_BYTES = 250 << 20
"""What a worker with a server for its store may take."""


class Seat:
    """A context manager; the worker that sits here is gone at its end."""

    def __init__(self, settings: WorkerSettings, kafka: KafkaProxy, store_url: str) -> None:
        self.kafka = kafka
        self.store = StoreProxy(store_url)
        self._settings = settings
        self._worker: WorkerProcess | None = None

    async def __aenter__(self) -> Self:
        await self.store.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self._worker.__exit__(None, None, None)
        await self.store.__aexit__(kind, error, tb)

    @property
    def worker(self) -> WorkerProcess:
        """Whoever sits here."""
        assert self._worker is not None, "nobody sits here"
        return self._worker

    @property
    def is_taken(self) -> bool:
        """Whether a worker sits here and has not ended."""
        return self._worker is not None and self._worker.running

    def use(self, topics: Topics) -> None:
        """The next worker is told of these topics."""
        self._settings = replace(self._settings, topics=topics)

    def launch(self) -> None:
        """Start a worker; `ready` waits for it."""
        broker = replace(self._settings.broker, bootstrap=self.kafka.bootstrap)
        if self._worker is not None:
            self._worker.__exit__(None, None, None)
        self._worker = WorkerProcess(replace(self._settings, broker=broker, store=self.store.url()))
        self._worker.start()

    async def ready(self) -> None:
        """Wait until it has its partitions."""
        await asyncio.to_thread(self.worker.wait_ready)

    async def start(self) -> None:
        """Start a worker and wait until it has its partitions."""
        self.launch()
        await self.ready()

    def kill(self) -> float:
        """End it at once; when that was (`time.monotonic`)."""
        self.worker.kill()
        return time.monotonic()

    def send(self, number: signal.Signals) -> None:
        """A signal, if it still runs."""
        self.worker.send(number)

    async def stored_since(self, moment_s: float, timeout_s: float = WAIT_S) -> float:
        """Wait until batches are stored from here after that moment; seconds since then."""
        await until(
            lambda: self.last_stored_s > moment_s,
            timeout_s,
            f"batches that are stored again; the worker said: {self.worker.log()}",
        )
        return self.last_stored_s - moment_s

    @property
    def last_stored_s(self) -> float:
        """When batches were last stored from here (`time.monotonic`); 0 before the first."""
        return self.store.answered_s.get("batches_stored", 0.0)

    def count_in_log(self, pattern: str) -> int:
        """How often the worker has said that."""
        return len(re.findall(pattern, self.worker.log(whole=True)))

    def rss_bytes(self) -> int:
        """Memory of the worker."""
        found: int = psutil.Process(self.worker.pid).memory_info().rss
        return found
