"""How a role shows how it fares: `/metrics` for Prometheus and `/healthz` for whoever may start it again.

Off unless a port is named, and on loopback only unless another address is: there is no password on it. It answers on
the role's own loop, so one that does not answer is stuck. Needs the extra `watch` once it is on, and not before.
"""

import contextlib
import errno
import inspect
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import structlog

from loadflame.settings import Settings
from schemas.errors import UserError
from schemas.watching import Health

if TYPE_CHECKING:
    from aiohttp import web

    from loadflame.metrics import Figures

T = TypeVar("T")
_log = structlog.get_logger()
_CLOSE_S = 1.0
_LAST_PORT = 65_535
_UNWELL = ("starting", "stuck")


class WatchError(UserError):
    """Nobody can listen where the settings say."""


class Watch:
    """What there is to be seen of a role: nothing but that it is starting, until somebody says what."""

    def __init__(self) -> None:
        self._health: Callable[[], Health | Awaitable[Health]] = lambda: Health("starting", "not at work yet")
        self._figures: tuple[Callable[[], Figures | Awaitable[Figures]], ...] = ()

    def show(
        self,
        health: Callable[[], Health | Awaitable[Health]],
        *figures: "Callable[[], Figures | Awaitable[Figures]]",
    ) -> None:
        """From now on show this. All are called on the loop that `watching` was entered on."""
        self._health, self._figures = health, figures

    async def healthz(self, _: "web.Request") -> "web.Response":
        """200 unless starting again may help (503): an outage of somebody else's is told, and no reason for it."""
        from aiohttp import web  # noqa: PLC0415  see the head of this file

        health = await _told(self._health())
        body = {"status": health.state, "sentence": health.sentence}
        return web.json_response(body, status=503 if health.state in _UNWELL else 200)

    async def metrics(self, _: "web.Request") -> "web.Response":
        """All figures, in Prometheus' text format."""
        from aiohttp import web  # noqa: PLC0415
        from prometheus_client import CONTENT_TYPE_LATEST  # noqa: PLC0415

        from loadflame.metrics import exposition  # noqa: PLC0415

        body = exposition([await _told(figures()) for figures in self._figures])
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


@contextlib.asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watch]:
    """Serve what is shown, as long as inside; nothing is served without a port. Raises WatchError."""
    watch = Watch()
    if settings.watch_port is None:
        yield watch
        return
    import prometheus_client  # noqa: F401, PLC0415  missed here already, not at the first question
    from aiohttp import web  # noqa: PLC0415

    app = web.Application()
    app.add_routes([web.get("/metrics", watch.metrics), web.get("/healthz", watch.healthz)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.watch_host, settings.watch_port).start()
        except OSError as error:
            raise _refusal(settings, settings.watch_port, error) from error
        host, port, *_ = runner.addresses[0]
        _log.info("metrics and health are served", url=f"http://{host}:{port}/metrics")
        yield watch
    finally:
        await runner.cleanup()


def check_ports(settings: Settings, processes: int) -> None:
    """Raise WatchError unless so many processes of a run can each take a port, one after the other."""
    first = settings.watch_port or 0
    if first + processes - 1 > _LAST_PORT:
        raise WatchError(f"there are not {processes} ports from {first} on; name a lower one with --watch-port")
    family = socket.AF_INET6 if ":" in settings.watch_host else socket.AF_INET
    for port in range(first, first + processes) if first else ():
        try:
            socket.create_server((settings.watch_host, port), family=family).close()
        except OSError as error:
            raise _refusal(settings, port, error) from error


def _refusal(settings: Settings, port: int, error: OSError) -> WatchError:
    where = f"{settings.watch_host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return WatchError(f"{where} is taken; name another port with --watch-port, or 0 for any that is free")
    why = (error.strerror or str(error)).rstrip(".")
    return WatchError(f"nobody can listen on {where} ({why}); see LOADFLAME_WATCH_HOST and --watch-port")


async def _told(answer: T | Awaitable[T]) -> T:
    """Some parts know at once, others have to ask."""
    return await answer if inspect.isawaitable(answer) else answer
