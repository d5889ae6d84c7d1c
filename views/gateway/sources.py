"""Who answers a question: the engine of this process, or the gateway of the one that has the store just now."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from sinks.embedded import EmbeddedReader, EngineError
from views.gateway.body import Body, Spool
from views.gateway.call import Call, fields_of
from views.gateway.compression import compressed
from views.gateway.hello import DISPLAY_NAME, empty_block, hello, is_hello
from views.gateway.judging import bare, checked, own_format
from views.gateway.limits import Limits, engine_settings
from views.gateway.refusals import NETWORK_ERROR, Refusal, refusal, refusal_of

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
}


_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer; whoever has it closes its body."""

    headers: Mapping[str, str]
    body: Body


class Source(Protocol):
    """Somebody who answers. `reply` does not block the loop; it raises Refusal, also when there is nobody to ask.

    When its task is cancelled, the question is ended.
    """

    async def reply(self, call: Call, encoding: str | None) -> Reply:
        """Answer in one of the compressions that this package knows, or in none."""


class EngineSource:
    """Answers from the embedded store of this process, a few questions at a time."""

    def __init__(self, reader: EmbeddedReader, limits: Limits, spool: Spool) -> None:
        self._reader = reader
        self._limits = limits
        self._spool = spool
        self._pool = ThreadPoolExecutor(limits.running, thread_name_prefix="gateway")
        self._turns = asyncio.Semaphore(limits.running)
        self._numbers = itertools.count()
        self._running: dict[str, Future[Reply]] = {}
        self._ended: set[str] = set()
        self._cancelling: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def reply(self, call: Call, encoding: str | None) -> Reply:
        """See Source."""
        if is_hello(call):
            data = hello(self._reader.version, self._reader.timezone)
            return Reply(self._headers(call, "Native", None), self._spool.body(memoryview(data)))
        try:
            async with asyncio.timeout(self._limits.wait_s):
                await self._turns.acquire()
        except TimeoutError:
            raise refusal(202, f"Too many questions are being answered: {self._limits.running} at a time") from None
        if self._is_closed:
            raise _changing_hands()
        tag = f"gateway-{os.getpid()}-{next(self._numbers)}"
        future = self._running[tag] = self._pool.submit(self._answered, call, encoding, tag)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done, tag))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if self._is_closed and future.cancelled():
                raise _changing_hands() from None
            future.add_done_callback(_thrown_away)
            cancelling = asyncio.create_task(asyncio.to_thread(self._end, tag, future))
            self._cancelling.add(cancelling)
            cancelling.add_done_callback(self._cancelling.discard)
            raise

    def _done(self, tag: str) -> None:
        del self._running[tag]
        self._ended.discard(tag)
        if not self._running:
            self._reader.restore_priorities()
        self._turns.release()

    def _end(self, tag: str, future: "Future[Reply]") -> None:
        """Nobody waits for this answer any more. Blocks."""
        self._ended.add(tag)
        if not future.cancel():
            with contextlib.suppress(EngineError):
                self._reader.cancel(tag)

    async def close(self) -> None:
        """End what is being answered, and let go of the store."""
        self._is_closed = True
        while running := dict(self._running):
            for tag, future in running.items():
                await asyncio.to_thread(self._end, tag, future)
            # One that was just about to begin has to be ended once more.
            await asyncio.sleep(_AGAIN_S)
        await asyncio.gather(*self._cancelling)
        await asyncio.to_thread(self._pool.shutdown)
        await asyncio.to_thread(self._reader.close)

    def _answered(self, call: Call, encoding: str | None, tag: str) -> Reply:
        reader = self._reader
        settings = engine_settings(self._limits, call.settings)
        statement = checked(reader.judge(call.sql), reader.table_functions, reader.version)
        fmt = own_format(statement) or call.format
        if fmt not in reader.formats:
            raise refusal(73, f"Unknown format {fmt[:100]}")
        if tag in self._ended:
            raise _changing_hands()
        try:
            answer = reader.ask(
                statement, fmt, tag=tag, settings=settings, parameters=call.parameters, database=call.database
            )
            data = answer.data
            if not data and fmt == "Native" and statement.startswith(("SELECT", "WITH", "(")):
                data = memoryview(self._columns_of(statement, call, tag))
        except EngineError as error:
            raise refusal_of(str(error), reader.version) from None
        if len(data) > self._limits.result_bytes:
            raise refusal(396, f"Limit for result exceeded: {len(data)} bytes, at most {self._limits.result_bytes}")
        sent, used = compressed(data, encoding)
        summary = (
            f'{{"read_rows":"{answer.read_rows}","read_bytes":"{answer.read_bytes}","written_rows":"0",'
            f'"written_bytes":"0","elapsed_ns":"{answer.elapsed_ns}"}}'
        )
        headers = self._headers(call, fmt, used) | {"X-ClickHouse-Summary": summary}
        return Reply(headers, self._spool.body(sent))

    def _columns_of(self, statement: str, call: Call, tag: str) -> bytes:
        """The engine writes nothing for a result without rows; a server writes its columns, and clients need them."""
        described = self._reader.ask(
            f"DESCRIBE TABLE ({bare(statement)})",
            "TSVRaw",
            tag=tag,
            settings=engine_settings(self._limits, {}),
            parameters=call.parameters,
            database=call.database,
        )
        rows = [line.split("\t") for line in bytes(described.data).decode().splitlines()]
        return empty_block([(row[0], row[1]) for row in rows])

    def _headers(self, call: Call, fmt: str, encoding: str | None) -> dict[str, str]:
        headers = {
            "Content-Type": _CONTENT_TYPES.get(fmt, "text/plain; charset=UTF-8"),
            "X-ClickHouse-Server-Display-Name": DISPLAY_NAME,
            "X-ClickHouse-Format": fmt,
            "X-ClickHouse-Timezone": self._reader.timezone,
            "X-ClickHouse-Query-Id": "".join(one for one in call.query_id if one.isprintable() and one.isascii())[:100],
        }
        return headers | ({"Content-Encoding": encoding} if encoding else {})


def _changing_hands() -> Refusal:
    return refusal(NETWORK_ERROR, "The store is changing hands: ask again in a moment")


def _thrown_away(future: "Future[Reply]") -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().body.close()


class RemoteSource:
    """Asks the gateway of another process of this user."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, limits: Limits, spool: Spool) -> None:
        self._session = session
        self._url = url
        self._token = token
        self._limits = limits
        self._spool = spool

    async def reply(self, call: Call, encoding: str | None) -> Reply:
        """See Source."""
        form = aiohttp.MultipartWriter("form-data")
        for name, value in fields_of(call).items():
            form.append(value).set_content_disposition("form-data", name=name)
        headers = {"X-ClickHouse-Key": self._token, "Accept-Encoding": encoding or "identity"}
        wait = aiohttp.ClientTimeout(total=self._limits.wait_s + self._limits.execution_s + self._limits.deliver_s)
        try:
            async with self._session.post(
                self._url, data=form, headers=headers, timeout=wait, auto_decompress=False
            ) as answer:
                if answer.status != 200:
                    text = (await answer.text()).strip()
                    raise Refusal(int(answer.headers.get("X-ClickHouse-Exception-Code", "1002")), text)
                kept = {
                    name: value for name, value in answer.headers.items() if name.startswith(("X-Click", "Content-"))
                }
                kept.pop("Content-Length", None)
                return Reply(kept, await self._spool.received(answer.content.iter_any()))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise refusal(
                NETWORK_ERROR, f"The process that has the store does not answer ({type(error).__name__})"
            ) from error
