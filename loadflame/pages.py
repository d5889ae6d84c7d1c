"""The page as a command serves it: where it listens, and from where it reads."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from loadflame.gateways import ServeError, listening, token_of
from loadflame.settings import PAGE_PORT, Settings
from sinks.connect import embedded_database, is_embedded, open_client
from sinks.sharing import share_of
from views.figures import PageFigures
from views.web.app import web_app


@contextlib.asynccontextmanager
async def page_of(
    settings: Settings, read_from: str, port: int, *, may_move: bool, figures: PageFigures | None = None
) -> AsyncIterator[str]:
    """Serve the page of the store at `read_from`, as long as inside; gives its address. `figures` are kept of it.

    `may_move`: where the port is taken, a free one will do. Raises ServeError when nobody can listen there, or the
    address is reached from other machines and there is no token.
    """
    token = token_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        for one in (port, 0) if may_move else (port,):
            app = web_app(lambda: open_client(read_from), token=token, figures=figures)
            try:
                url = await stack.enter_async_context(listening(app, settings.serve_host, one, "--port"))
                break
            except ServeError:
                if one == 0 or not may_move:
                    raise
        yield url


@contextlib.asynccontextmanager
async def page_of_run(settings: Settings, run_id: str, *, on_url: Callable[[str], None]) -> AsyncIterator[None]:
    """Serve the page of a run that is on, as long as inside, and tell its address; without it where it cannot be had.

    An embedded store is read through the run's stream processor, which must be ready.
    """
    read_from: str | None = settings.store_url
    if is_embedded(settings.store_url):
        share = await asyncio.to_thread(share_of, settings.store_url, None)
        read_from = share.store_url(embedded_database(settings.store_url)) if share else None
    async with contextlib.AsyncExitStack() as stack:
        if read_from is not None:
            with contextlib.suppress(ServeError):  # the run is more than its page
                url = await stack.enter_async_context(page_of(settings, read_from, PAGE_PORT, may_move=True))
                on_url(f"{url}/#/runs/{run_id}/time")
        yield
