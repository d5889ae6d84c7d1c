"""A service to be loaded: a real aiohttp server in a thread of its own that counts and can misbehave."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

from aiohttp import web

BIG = b"x" * 300_000


class Target:
    """Counts the requests it got, but for those to /counts, and keeps their `headers` and when they came; `url` is
    its base URL.

    /ok /post /big  answer            /never  does not           /reset  breaks the connection off
    /freeze         blocks the whole server for 0.5 s once       /closed closes it in mid-answer
    /error /missing 500 and 404       /hop    redirects to /ok   /round  to itself   /away  to a foreign host
    /login          gives a cookie    /mine   wants it, answers compressed JSON of whose it is
    """

    def __init__(self) -> None:
        self.requests = 0
        self.bodies: list[tuple[str, bytes]] = []
        self.headers: list[list[tuple[str, str]]] = []
        self.came_s: list[float] = []
        """Unix seconds by this host's clock."""
        self.url = ""
        self._frozen = False

    def begin_anew(self) -> None:
        """As if nobody had asked anything."""
        self.requests = 0
        self.headers.clear()
        self.came_s.clear()
        self._frozen = False

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._count])
        app.router.add_get("/ok", self._ok)
        app.router.add_post("/post", self._post)
        app.router.add_get("/big", self._big)
        app.router.add_get("/never", self._never)
        app.router.add_get("/reset", self._reset)
        app.router.add_get("/closed", self._closed)
        app.router.add_get("/freeze", self._freeze)
        app.router.add_get("/error", self._error)
        app.router.add_get("/hop", self._hop)
        app.router.add_get("/round", self._round)
        app.router.add_get("/away", self._away)
        app.router.add_post("/login", self._login)
        app.router.add_get("/mine", self._mine)
        app.router.add_get("/counts", self._counts)
        return app

    @web.middleware
    async def _count(self, request, handler):
        if request.path != "/counts":
            self.requests += 1
            self.came_s.append(time.time())
            self.headers.append([(name.lower(), value) for name, value in request.headers.items()])
        return await handler(request)

    async def _counts(self, _):
        return web.json_response({"requests": self.requests})

    async def _ok(self, _):
        return web.Response(text="ok")

    async def _post(self, request):
        self.bodies.append((request.content_type, await request.read()))
        return web.Response(status=201, text="made")

    async def _big(self, _):
        return web.Response(body=BIG)

    async def _never(self, _):
        await asyncio.Event().wait()

    async def _reset(self, request):
        request.transport.abort()
        return web.Response()

    async def _closed(self, request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        request.transport.close()
        return response

    async def _freeze(self, _):
        if not self._frozen:
            self._frozen = True
            time.sleep(0.5)  # noqa: ASYNC251  a service that blocks its loop is what is tested
        return web.Response(text="ok")

    async def _error(self, _):
        return web.Response(status=500)

    async def _login(self, request):
        response = web.json_response({"token": "t"})
        response.set_cookie("who", (await request.json())["name"])
        return response

    async def _mine(self, request):
        if "who" not in request.cookies:
            return web.Response(status=401)
        response = web.json_response({"who": request.cookies["who"], "items": [{"price": 7}]})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async def _hop(self, _):
        raise web.HTTPFound("/ok")

    async def _round(self, _):
        raise web.HTTPFound("/round")

    async def _away(self, _):
        raise web.HTTPFound("http://192.0.2.1/ok")  # TEST-NET-1, RFC 5737


@contextlib.contextmanager
def running_target() -> Iterator[Target]:
    """Run a target on a free loopback port."""
    target, up, loop = Target(), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(target.application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = site._server.sockets[0].getsockname()
        target.url = f"http://{host}:{port}"
        up.set()
        await stop.wait()
        await runner.cleanup()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        thread = threading.Thread(target=runner.run, args=(serve(),))
        thread.start()
        try:
            assert up.wait(60)
            yield target
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(60)
