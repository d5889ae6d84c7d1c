"""Stands between a worker and its store, sees every statement, and may interfere: kill, lose, hold, refuse.

A statement is known by what it does: `requests_stored` for the insert into that table, "" for whatever inserts nothing.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self

import aiohttp
from aiohttp import web
from yarl import URL

_INSERT = re.compile(r"\s*INSERT\s+INTO\s+\S*?`?(\w+_stored)`?[\s(]", re.IGNORECASE)
_HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding", "host"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in the store's place, with one of ClickHouse's error codes."""

    code: int
    sentence: str


Decision = Literal["pass", "drop"] | Refusal


async def _pass(_: str) -> Decision:
    return "pass"


class StoreProxy:
    """A context manager; `url` is where the worker is to go.

    `on_statement` is awaited before a statement is passed on, `on_answer` before the store's answer is; both get the
    table that it inserts into, and may take their time. "drop" closes the connection without a word.
    """

    def __init__(self, store_url: str) -> None:
        self.store_url = store_url
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._port = 0
        self.on_statement: Callable[[str], Awaitable[Decision]] = _pass
        self.on_answer: Callable[[str], Awaitable[Decision]] = _pass
        self.answered_s: dict[str, float] = {}
        """When an insert into each table was last carried out and answered (`time.monotonic`)."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None), skip_auto_headers=("User-Agent",)
        )
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{any:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    def url(self) -> str:
        """The store's URL, by way of here."""
        return str(URL(self.store_url).with_port(self._port))

    def be_transparent(self) -> None:
        """Interfere no more."""
        self.on_statement = self.on_answer = _pass

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await request.read()
        except ConnectionResetError:
            return web.Response()  # who asked was killed, as workers are
        table = table_of(request.query.get("query") or body.decode(errors="replace"))
        decision = await self.on_statement(table)
        if decision == "pass":
            answer = await self._asked(request, body)
            decision = await self.on_answer(table)
            if decision == "pass":
                if answer.status == HTTPStatus.OK:
                    self.answered_s[table] = time.monotonic()
                return answer
        if isinstance(decision, Refusal):
            text = f"Code: {decision.code}. DB::Exception: {decision.sentence}"
            return web.Response(status=500, text=text, headers={"X-ClickHouse-Exception-Code": str(decision.code)})
        return _broken_off(request)

    async def _asked(self, request: web.Request, body: bytes) -> web.Response:
        assert self._session is not None
        url = URL(f"http://127.0.0.1:{URL(self.store_url).port}{request.raw_path}", encoded=True)
        try:
            async with self._session.request(
                request.method, url, data=body, headers=_end_to_end(request.headers)
            ) as answer:
                return web.Response(status=answer.status, body=await answer.read(), headers=_end_to_end(answer.headers))
        except aiohttp.ClientError:
            return _broken_off(request)  # the store itself is away


def table_of(sql: str) -> str:
    """The table that a statement inserts into, "" if it does not."""
    found = _INSERT.match(sql)
    return found[1] if found else ""


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}


def _broken_off(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
