"""What a command needs that does all on this machine: broker, topics, processes of their own, a drained worker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path

from aiokafka.errors import KafkaError

from loadflame.broker import LocalBroker
from loadflame.children import Child, ChildError
from loadflame.kafka_access import security_of
from loadflame.settings import Settings
from loadflame.topics import ensure_topics
from processors.verify import Check, Topic, verify_run
from producers.publisher import PublisherError
from producers.publisher.leftovers import bring_home
from schemas.kafka_security import KafkaSecurity
from sinks.clickhouse import open_store

START_S, DRAIN_S = 30.0, 60.0
YIELDING = 10
"""Niceness of the stream processor, which can wait for its turn."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one run. `logs` is where its processes write theirs; all of them end with the context."""

    broker: str
    security: KafkaSecurity
    settings: Settings
    logs: Path
    _stack: AsyncExitStack
    _watch_ports: Iterator[int | None]

    async def child(self, role: str, *arguments: str, niceness: int = 0) -> Child:
        """Start a role of the command line in a process of its own. Raises ChildError when it cannot start."""
        mine = {"broker": self.broker, "watch_port": next(self._watch_ports)}
        environment = self.settings.model_copy(update=mine).environment()
        started = await Child.start(role, arguments, environment, self.logs / f"{role}.log", niceness=niceness)
        self._stack.push_async_callback(started.kill)
        return started

    def on_end(self, callback: Callable[[], object]) -> None:
        """Call this before the processes are ended."""
        self._stack.callback(callback)

    async def worker(self, run_id: str) -> Child:
        """Start the stream processor, which ends by itself once that run is over and stored."""
        lone = () if self.settings.broker else ("--lone",)  # nobody else knows an embedded broker
        return await self.child("process", "--drain", run_id, *lone, niceness=YIELDING)

    async def drained(self, worker: Child, run_id: str, timeout_s: float | None = DRAIN_S) -> list[Check]:
        """Wait until everything is stored, then check the run. Raises ChildError, also when that takes too long.

        What processes that have ended by now left on disk is sent first: Kafka may have been away as they ended.
        """
        try:
            async with asyncio.timeout(timeout_s):
                with contextlib.suppress(PublisherError, KafkaError, OSError):  # then it is missing, which is told
                    await bring_home(self.broker, self.settings.spool_folder, security=self.security)
                await worker.wait()
        except TimeoutError:
            raise ChildError(
                f"not all of run {run_id} was stored within {timeout_s:.0f} s; see {worker.log}, and "
                f"`loadflame report {run_id}` for what was"
            ) from None
        settings = self.settings
        with contextlib.closing(open_store(settings.store_url)) as store:
            where = Topic(self.broker, settings.topics, settings.group, security=self.security)
            return await asyncio.to_thread(verify_run, store, run_id, where)


@contextlib.asynccontextmanager
async def parts_here(settings: Settings, logs: Path) -> AsyncIterator[Parts]:
    """The broker of the settings, or an embedded one, with its topics. Raises UserError when it cannot be had."""
    async with AsyncExitStack() as stack:
        security = security_of(settings)
        broker = settings.broker
        if broker is None:
            broker = (await stack.enter_async_context(LocalBroker())).bootstrap
            # It ends with the run, and keeps nothing: what is spooled for it concerns nobody else.
            settings = settings.model_copy(update={"spool_dir": logs / "spool"})
        await ensure_topics(broker, settings.topics, security=security)
        yield Parts(broker, security, settings, logs, stack, _watch_ports(settings.watch_port))


def _watch_ports(first: int | None) -> Iterator[int | None]:
    """One port after the other for the processes of a run, in the order in which they start."""
    return count(first) if first else repeat(first)
