"""The gateways of this machine: a worker's, beside its work, and that of `loadflame serve`, for everybody.

The embedded store has one process at a time. While a worker has it, others read through the worker, `serve` among them;
otherwise `serve` has it, once somebody asks, and gives it to whoever wants to write.
"""

import asyncio
import contextlib
import errno
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import structlog
from aiohttp import web

from loadflame.settings import Settings
from schemas.errors import UserError
from schemas.hosts import is_loopback
from sinks.clickhouse import open_store
from sinks.connect import check_embedded, embedded_database, embedded_folder
from sinks.embedded import EmbeddedReader
from sinks.errors import StoreBusyError, StoreError
from sinks.secrets import read_secret
from sinks.sharing import Share, awaited_share, share_of, shared
from views.figures import GatewayFigures
from views.gateway.app import Gateway
from views.gateway.body import Spool
from views.gateway.limits import Limits
from views.gateway.refusals import NETWORK_ERROR, refusal
from views.gateway.sources import EngineSource, RemoteSource, Source

_log = structlog.get_logger()
_CLOSE_S = 1.0
_CHANGE_S, _POLL_S = 5.0, 0.05
_LOOPBACK = "127.0.0.1"


_CAP_SYS_NICE = 1 << 23
"""Source: linux/capability.h."""


class ServeError(UserError):
    """Nobody can listen where the command says, or may not."""


@contextlib.asynccontextmanager
async def read_beside(store_url: str, limits: Limits | None = None) -> AsyncIterator[Share]:
    """Let other processes of this user read the embedded store that this process has open, for as long as inside."""
    limits = limits or Limits(running=2 if may_lower_priority() else 1)
    token = secrets.token_urlsafe(32)
    folder = embedded_folder(store_url)
    spool = Spool(folder.parent, limits.held_bytes, limits.spool_bytes)
    reader = await asyncio.to_thread(EmbeddedReader, folder, embedded_database(store_url))
    source = EngineSource(reader, limits, spool)

    async def found() -> Source:
        return source

    gateway = Gateway(found, limits=limits, token=token)
    try:
        async with listening(gateway.application(), _LOOPBACK, 0, "") as url:
            share = Share(url, token, os.getpid())
            with shared(store_url, share):
                yield share
    finally:
        await source.close()


def may_lower_priority(status: Path = Path("/proc/self/status")) -> bool:
    """Whether the engine gives a question's threads a priority of their own: where it may not raise it again, it does
    not lower it. Source: `ThreadStatus` of ClickHouse, proc(5).
    """
    with contextlib.suppress(OSError):
        for line in status.read_text().splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) & _CAP_SYS_NICE)
    return False


class Keeper:
    """Whoever can answer from the embedded store just now: this process, which takes it when nobody has it, or another.

    `give_up` lets go of it, and whoever asked for that has it before it is taken again.
    """

    def __init__(self, store_url: str, session: aiohttp.ClientSession, limits: Limits) -> None:
        self.secret = secrets.token_urlsafe(32)
        self._store_url = store_url
        self._session = session
        self._limits = limits
        self._spool = Spool(embedded_folder(store_url).parent, limits.held_bytes, limits.spool_bytes)
        self._lock = asyncio.Lock()
        self._open = contextlib.AsyncExitStack()
        self._source: EngineSource | None = None
        self._given_until_s = 0.0
        self._url = ""

    def listens_at(self, url: str) -> None:
        """Where others can read through this process, once it has the store."""
        self._url = url

    async def source(self) -> Source:
        """Who answers. Raises Refusal when the store cannot be had."""
        if self._source is None:
            async with self._lock:
                return await self._found()
        return self._source

    async def _found(self) -> Source:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _CHANGE_S + 1.0
        while self._source is None:
            share = share_of(self._store_url, None)
            if share is not None and share.pid != os.getpid():
                return RemoteSource(self._session, share.url, share.token, self._limits, self._spool)
            try:
                if loop.time() >= self._given_until_s:
                    return await self._take()
                trouble = "another process is about to write to it"
            except StoreBusyError as error:
                trouble = str(error)
            except StoreError as error:
                raise refusal(NETWORK_ERROR, str(error)) from error
            if loop.time() > until_s:
                raise refusal(NETWORK_ERROR, trouble)
            await asyncio.sleep(_POLL_S)
        return self._source  # somebody else asked first

    async def _take(self) -> Source:
        """Open the store, bring it up to date, and let others read through this process."""
        store = await asyncio.to_thread(open_store, self._store_url)
        try:
            database = embedded_database(self._store_url)
            reader = await asyncio.to_thread(EmbeddedReader, embedded_folder(self._store_url), database)
        finally:
            await asyncio.to_thread(store.close)
        source = EngineSource(reader, self._limits, self._spool)
        self._open.push_async_callback(source.close)
        self._open.enter_context(shared(self._store_url, Share(self._url, self.secret, os.getpid(), yields=True)))
        self._source = source
        _log.info("the store is open", store=self._store_url)
        return source

    async def give_up(self) -> None:
        """Let go of the store, for somebody who wants to write."""
        async with self._lock:
            self._given_until_s = asyncio.get_running_loop().time() + _CHANGE_S
            if self._source is not None:
                _log.info("the store is given to a process that writes", store=self._store_url)
            await self._let_go()

    async def _let_go(self) -> None:
        self._source = None
        await self._open.aclose()

    async def close(self) -> None:
        """Let go of the store for good."""
        async with self._lock:
            self._given_until_s = float("inf")
            await self._let_go()


@contextlib.asynccontextmanager
async def gateway_of(settings: Settings, port: int, figures: GatewayFigures | None = None) -> AsyncIterator[Share]:
    """Serve the embedded store of the settings to ClickHouse's clients; gives the way in. Raises ServeError.

    This process reads that way as well: a client of its own engine would keep the store from whoever wants to write.
    """
    token = token_of(settings)
    limits = Limits(running=max(2, os.cpu_count() or 2))
    async with aiohttp.ClientSession() as session:
        keeper = Keeper(settings.store_url, session, limits)
        gateway = Gateway(
            keeper.source,
            limits=limits,
            token=token,
            secret=keeper.secret,
            give_up=keeper.give_up,
            figures=figures,
        )
        try:
            async with listening(gateway.application(), settings.serve_host, port, "--clickhouse-port") as url:
                keeper.listens_at(url)
                yield Share(url, keeper.secret, os.getpid(), yields=True)
        finally:
            await keeper.close()


def token_of(settings: Settings) -> str | None:
    """What whoever asks has to give. Raises ServeError when there is none, and others than this machine may ask."""
    token = settings.serve_token.get_secret_value() if settings.serve_token else None
    if settings.serve_token_file is not None:
        token = read_secret(settings.serve_token_file, "LOADFLAME_SERVE_TOKEN_FILE")
    if token is None and not is_loopback(settings.serve_host):
        raise ServeError(
            f"{settings.serve_host} is reached from other machines, and there is no token; set LOADFLAME_SERVE_TOKEN "
            "or name a file of it by --token-file, or listen on 127.0.0.1"
        )
    return token


def check_readable(store_url: str) -> None:
    """Raise StoreError unless there is an embedded store at the URL, and it can be had or read through who has it.

    Blocks.
    """
    if not embedded_folder(store_url).is_dir():
        raise StoreError(
            f"there is no store in {embedded_folder(store_url)}; `loadflame demo` and `loadflame run` make one, or "
            "name another folder with --data-dir"
        )
    try:
        check_embedded(store_url)
    except StoreBusyError as busy:
        awaited_share(busy, store_url)


@contextlib.asynccontextmanager
async def listening(app: web.Application, host: str, port: int, option: str) -> AsyncIterator[str]:
    """Serve an application; gives its address. `option` names the port on the command line. Raises ServeError."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S, handler_cancellation=True)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ServeError(f"{host}:{port} is taken; name another port with {option}") from error
            why = (error.strerror or str(error)).rstrip(".")
            raise ServeError(f"nobody can listen on {host}:{port} ({why}); name another port with {option}") from error
        bound, taken, *_ = runner.addresses[0]
        yield f"http://[{bound}]:{taken}" if ":" in bound else f"http://{bound}:{taken}"
    finally:
        await runner.cleanup()
