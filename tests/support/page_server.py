"""The page, served in a thread of the test's own process, so that the test can ask the same embedded store."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web
from clickhouse_connect.driver.client import Client

from views.web.app import web_app

_START_S = 60.0


@contextmanager
def page_served(connect: Callable[[], Client]) -> Iterator[str]:
    """Serve the page on a free port of loopback; gives its address."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    runner = web.AppRunner(web_app(connect), access_log=None, shutdown_timeout=0.2)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        ready.set()
        loop.run_forever()

    thread = threading.Thread(target=serve, name="page server")
    thread.start()
    try:
        assert ready.wait(_START_S)
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(_START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
