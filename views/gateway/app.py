"""The gateway as an aiohttp application: ClickHouse's HTTP interface in front of whoever answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from multidict import CIMultiDictProxy

from sinks.sharing import YIELD_PATH
from views.figures import GatewayFigures
from views.gateway.access import check_access
from views.gateway.call import call_of
from views.gateway.compression import chosen_encoding
from views.gateway.hello import DISPLAY_NAME
from views.gateway.limits import Limits
from views.gateway.refusals import NETWORK_ERROR, Refusal, refusal
from views.gateway.sources import Reply, Source

_OK = "Ok.\n"
_BODY_S = 15.0


class Gateway:
    """What is behind the routes. `source` finds who answers; `give_up`, if it is there, lets go of the store.

    Whoever asks gives `token`, if there is one, or `secret`, which is for other processes of this user: only they may
    have the store given up. `figures` are kept of what is asked.
    """

    def __init__(
        self,
        source: Callable[[], Awaitable[Source]],
        *,
        limits: Limits,
        token: str | None = None,
        secret: str | None = None,
        give_up: Callable[[], Awaitable[None]] | None = None,
        figures: GatewayFigures | None = None,
    ) -> None:
        self._source = source
        self._secret = secret
        self._tokens = [one for one in (token, secret) if one is not None] if token is not None else []
        self._limits = limits
        self._give_up = give_up
        self._figures = figures or GatewayFigures()

    def application(self) -> web.Application:
        """To be run with `handler_cancellation=True`: the question of a client that goes away is ended."""
        app = web.Application(client_max_size=self._limits.question_bytes)
        app.add_routes(
            [
                web.get("/", self._asked),
                web.post("/", self._asked),
                web.get("/ping", _ping),
                web.get("/replicas_status", _ping),
                web.post(YIELD_PATH, self._yielded),
            ]
        )
        return app

    async def _asked(self, request: web.Request) -> web.StreamResponse:
        if request.method == hdrs.METH_GET and not request.query_string:
            return await _ping(request)
        figures, began_s = self._figures, time.perf_counter()
        try:
            if figures.open >= self._limits.clients:
                raise refusal(202, f"Too many clients: {self._limits.clients} at a time")
            with figures.question():
                sent = await self._sent(request, await self._replied(request))
        except Refusal as error:
            if error.code == NETWORK_ERROR:
                figures.fail(error.text)
            else:
                figures.refused += 1
            return _refused(error)
        figures.answered(began_s)
        return sent

    async def _replied(self, request: web.Request) -> Reply:
        fields = dict(request.query)
        check_access(self._tokens, request.headers, fields)
        try:
            async with asyncio.timeout(_BODY_S):
                body = await _read(request, fields)
        except TimeoutError:
            raise refusal(159, f"The question did not come within {_BODY_S:.0f} s") from None
        except web.HTTPRequestEntityTooLarge:
            raise refusal(62, f"The question has more than {self._limits.question_bytes} bytes") from None
        call = call_of(fields, request.headers, body)
        return await (await self._source()).reply(call, chosen_encoding(_header(request.headers, "Accept-Encoding")))

    async def _sent(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        """Hand the answer to its reader, who is left when it takes too long over it."""
        try:
            response = web.StreamResponse(headers=reply.headers)
            response.content_length = reply.body.size
            try:
                async with asyncio.timeout(self._limits.deliver_s):
                    await response.prepare(request)
                    for chunk in reply.body.chunks():
                        async with asyncio.timeout(self._limits.write_s):
                            await response.write(chunk)
                    await response.write_eof()
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()
            return response
        finally:
            reply.body.close()

    async def _yielded(self, request: web.Request) -> web.StreamResponse:
        """Another process of this user wants to write."""
        if self._give_up is None or self._secret is None:
            raise web.HTTPNotFound
        try:
            check_access([self._secret], request.headers, {})
        except Refusal as error:
            return _refused(error)
        await self._give_up()
        return web.Response(text=_OK)


async def _read(request: web.Request, fields: dict[str, str]) -> str:
    """The body as SQL; of a form its fields go to the others. Parameters that are long come so."""
    if request.content_type == "multipart/form-data":
        form = await request.post()
        if files := [name for name, value in form.items() if not isinstance(value, str)]:
            raise refusal(48, f"External tables are not served: {files[0][:100]} comes as a file")
        fields.update({name: value for name, value in form.items() if isinstance(value, str)})
        return ""
    try:
        return (await request.read()).decode()
    except UnicodeDecodeError:  # rows that are to be inserted, mostly, and compressed as often as not
        raise refusal(
            164, "Cannot execute query in readonly mode: data came with it, and the gateway only reads"
        ) from None


def _header(headers: CIMultiDictProxy[str], name: str) -> str:
    return ",".join(headers.getall(name, []))


async def _ping(_: web.Request) -> web.Response:
    return web.Response(text=_OK, headers={"X-ClickHouse-Server-Display-Name": DISPLAY_NAME})


def _refused(error: Refusal) -> web.Response:
    headers = {"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Server-Display-Name": DISPLAY_NAME}
    if error.code == 516:
        headers["WWW-Authenticate"] = 'Basic realm="loadflame"'
    return web.Response(text=f"{error.text}\n", status=error.status, headers=headers)
