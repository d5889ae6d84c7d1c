"""The page as a command serves it: where it listens, and from where it reads."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

from loadflame.gateways import ServeError, listening, token_of
from loadflame.settings import Settings
from sinks.connect import embedded_database, open_client
from views.web.app import web_app


def through(gateway_url: str, settings: Settings) -> str:
    """The URL by which the page reads the embedded store: a gateway's, so that the store can be given to a writer."""
    where = urlsplit(gateway_url)
    token = quote(token_of(settings) or "", safe="")
    return f"http://page:{token}@{where.netloc}/{quote(embedded_database(settings.store_url), safe='')}"


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
