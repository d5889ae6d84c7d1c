"""`loadflame process`: the stream processor, a Faust worker."""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from loadflame.commands.common import Broker, DataDir, StoreUrl, WatchPort, broker_of, run_until_stopped, say_ready
from loadflame.kafka_access import security_of
from loadflame.logs import logs_about
from loadflame.settings import Settings, read_settings
from loadflame.watching import Watch, watching
from schemas.loading import load_arrow


def process(
    broker: Broker = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
    drain: Annotated[str | None, typer.Option(help="End when this run is over and all of it is stored.")] = None,
    lone: Annotated[
        bool, typer.Option(hidden=True, help="The broker is the embedded one, and no other worker reads from it.")
    ] = False,
    watch_port: WatchPort = None,
) -> None:
    """Join request outcomes with stack samples by time window and write them to the store.

    Start as many as you have partitions: they share the work. With the embedded store only one can run. One of them
    also tells what was found, while a run is on and when all of it is stored.
    """
    load_arrow()
    settings = read_settings(broker=broker, store=store, data_dir=data_dir, watch_port=watch_port)

    async def watched(stop: asyncio.Event) -> None:
        with logs_about(run=drain):
            async with watching(settings) as watch:
                await _process(settings, drain, stop, watch, is_lone=lone)

    run_until_stopped(watched)


async def _process(settings: Settings, drain: str | None, stop: asyncio.Event, watch: Watch, *, is_lone: bool) -> None:
    from loadflame.finder import Eyes, StoreFinder
    from loadflame.looks_apart import LooksApart
    from loadflame.topics import ensure_topics
    from processors.worker import WorkerConfig, run_worker
    from sinks.clickhouse import open_store
    from sinks.connect import is_embedded, open_client

    broker, security = broker_of(settings, "process"), security_of(settings)
    await ensure_topics(broker, settings.topics, security=security)
    store = open_store(settings.store_url)
    async with AsyncExitStack() as stack:
        stack.callback(store.close)
        if is_embedded(settings.store_url):
            from loadflame.gateways import read_beside

            await stack.enter_async_context(read_beside(settings.store_url))
        eyes = stack.enter_context(Eyes(lambda: open_client(settings.store_url)))
        looks = await stack.enter_async_context(LooksApart(settings.store_url))
        config = WorkerConfig(
            bootstrap=broker,
            topics=settings.topics,
            group=settings.group,
            window_us=settings.window_us,
            security=security,
            drain_run=drain,
            is_lone=is_lone,
        )
        await run_worker(
            config,
            store,
            stop=stop,
            on_ready=say_ready,
            on_start=lambda worker: watch.show(worker.health, worker.figures),
            finder=(lambda desk: StoreFinder(desk, eyes, looks)) if settings.findings else None,
        )
