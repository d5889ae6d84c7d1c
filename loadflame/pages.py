"""The page as a command serves it: where it listens, and from where it reads."""

import contextlib
from collections.abc import AsyncIterator

from loadflame.gateways import ServeError, listening, token_of
from loadflame.settings import Settings
from sinks.connect import open_client
from views.web.app import web_app


@contextlib.asynccontextmanager
async def page_of(settings: Settings, read_from: str, port: int, may_move: bool) -> AsyncIterator[str]:
    """Serve the page of the store at `read_from`, as long as inside; gives its address.

    `may_move`: where the port is taken, a free one will do. Raises ServeError when nobody can listen there, or the
    address is reached from other machines and there is no token.
    """
    token = token_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        for one in (port, 0) if may_move else (port,):
            app = web_app(lambda: open_client(read_from), token=token)
            try:
                url = await stack.enter_async_context(listening(app, settings.serve_host, one, "--port"))
                break
            except ServeError:
                if one == 0 or not may_move:
                    raise
        yield url
