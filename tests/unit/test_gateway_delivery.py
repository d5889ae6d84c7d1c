"""How an answer waits for its reader, and how long: the application with a source that a test turns."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from tests.support.polling import until
from views.figures import GatewayFigures
from views.gateway.app import Gateway
from views.gateway.body import Spool
from views.gateway.call import Call
from views.gateway.limits import Limits
from views.gateway.refusals import NETWORK_ERROR, Refusal, refusal
from views.gateway.sources import Reply

BIG = b"0123456789abcdef" * 262_144  # 4 MiB: more than the buffers of a connection, which Linux would make larger
BUFFER_BYTES = 65_536
SMALL = b"0123456789abcdef" * 128
SOON_S = 60.0


@dataclass
class Answers:
    """A source that answers, once it may."""

    spool: Spool
    answer: bytes = BIG
    may: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Call] = field(default_factory=list)
    ended: list[Call] = field(default_factory=list)
    trouble: Refusal | None = None

    async def reply(self, call: Call, encoding: str | None) -> Reply:
        self.asked.append(call)
        if self.trouble is not None:
            raise self.trouble
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.ended.append(call)
            raise
        return Reply({"X-ClickHouse-Format": "Native"}, self.spool.body(memoryview(self.answer)))


@asynccontextmanager
async def gateway(
    folder: Path,
    limits: Limits,
    give_up: Callable[[], None] | None = None,
    figures: GatewayFigures | None = None,
) -> AsyncIterator[tuple[Answers, int]]:
    source = Answers(Spool(folder, limits.held_bytes, limits.spool_bytes))

    async def found() -> Answers:
        return source

    async def given() -> None:
        assert give_up is not None
        give_up()

    named = {"secret": "s", "give_up": given} if give_up else {}
    runner = web.AppRunner(
        Gateway(found, limits=limits, figures=figures, **named).application(), handler_cancellation=True
    )
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    await web.SockSite(runner, listening).start()
    try:
        yield source, runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def ask(port: int) -> tuple[int, bytes]:
    async with ClientSession() as session, session.post(f"http://127.0.0.1:{port}/", data="SELECT 1") as answer:
        return answer.status, await answer.read()


def silent(port: int) -> socket.socket:
    """A client that asks and does not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    connection.connect(("127.0.0.1", port))
    connection.sendall(b"GET /?query=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


async def test_what_is_asked_of_the_gateway_is_counted(tmp_path: Path) -> None:
    figures = GatewayFigures()
    async with gateway(tmp_path, Limits(clients=1, write_s=SOON_S), figures=figures) as (source, port):
        first = asyncio.create_task(ask(port))
        await until(lambda: bool(source.asked), SOON_S, "the first question")
        assert (figures.open, figures.health().state) == (1, "working")
        assert (await ask(port))[0] == 503, "too many clients"
        source.may.set()
        assert await first == (200, BIG)
        assert (figures.answers.cumulated()[-1][1], figures.refused, figures.failed, figures.open) == (1, 1, 0, 0)
        source.trouble = refusal(NETWORK_ERROR, "The store is changing hands")
        assert (await ask(port))[0] == 503
    assert (figures.refused, figures.failed) == (1, 1)
    assert figures.health().state == "degraded"
    assert "The store is changing hands" in figures.health().sentence


async def test_a_reader_that_takes_nothing_is_left_and_its_answer_goes(tmp_path: Path) -> None:
    async with gateway(tmp_path, Limits(write_s=0.2)) as (source, port):
        source.may.set()
        with silent(port):
            await until(lambda: source.spool.taken_bytes == len(BIG), SOON_S, "the answer on disk")
            await until(lambda: source.spool.taken_bytes == 0, SOON_S, "its end")
        source.answer = SMALL  # that fits into the buffers: its reader cannot be too slow, however busy this host is
        assert await ask(port) == (200, SMALL)


async def test_a_reader_that_takes_a_little_at_a_time_is_left_too(tmp_path: Path) -> None:
    async with gateway(tmp_path, Limits(write_s=60, deliver_s=0.3)) as (source, port):
        source.may.set()
        with silent(port) as connection:
            await until(lambda: source.spool.taken_bytes == len(BIG), SOON_S, "the answer on disk")
            connection.recv(1000)
            await until(lambda: source.spool.taken_bytes == 0, SOON_S, "its end")


async def test_there_is_an_end_to_what_waits_on_disk_and_to_those_who_wait(tmp_path: Path) -> None:
    async with gateway(tmp_path, Limits(spool_bytes=len(BIG), clients=2, write_s=3600, deliver_s=3600)) as (
        source,
        port,
    ):
        source.may.set()
        with silent(port):
            await until(lambda: source.spool.taken_bytes == len(BIG), SOON_S, "the answer on disk")
            status, text = await ask(port)
            assert (status, b"Too many answers wait for readers" in text) == (503, True)
            source.may.clear()
            with silent(port):
                await until(lambda: len(source.asked) == 3, SOON_S, "the third question")
                status, text = await ask(port)
                assert (status, b"Too many clients: 2 at a time" in text) == (503, True)


async def test_the_question_of_a_client_that_went_away_is_ended(tmp_path: Path) -> None:
    async with gateway(tmp_path, Limits()) as (source, port):
        with silent(port):
            await until(lambda: bool(source.asked), SOON_S, "the question")
        await until(lambda: source.ended == source.asked, SOON_S, "its end")


async def test_a_question_that_is_too_long_or_brings_tables_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, Limits(question_bytes=100)) as (source, port), ClientSession() as session:
        url = f"http://127.0.0.1:{port}/"
        async with session.post(url, data=b"SELECT " + b"1" * 100) as answer:
            assert (answer.status, "more than 100 bytes" in await answer.text()) == (400, True)
    async with gateway(tmp_path, Limits()) as (source, port), ClientSession() as session:
        with (tmp_path / "t").open("wb+") as file:
            async with session.post(f"http://127.0.0.1:{port}/", data={"query": "SELECT 1", "t": file}) as answer:
                assert (answer.status, "External tables are not served" in await answer.text()) == (501, True)
        assert not source.asked


async def test_only_a_process_of_this_user_may_have_the_store_given_up(tmp_path: Path) -> None:
    given: list[bool] = []
    async with gateway(tmp_path, Limits(), lambda: given.append(True)) as (_, port), ClientSession() as session:
        url = f"http://127.0.0.1:{port}/loadflame/yield"
        async with session.post(url) as answer:
            assert (answer.status, given) == (401, [])
        async with session.post(url, headers={"X-ClickHouse-Key": "s"}) as answer:
            assert (answer.status, given) == (200, [True])


async def test_a_worker_s_gateway_gives_nothing_up(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, Limits()) as (_, port),
        ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/loadflame/yield") as answer,
    ):
        assert answer.status == 404


async def test_ping_is_answered_without_asking_anybody(tmp_path: Path) -> None:
    async with gateway(tmp_path, Limits()) as (source, port), ClientSession() as session:
        for path in ("", "ping", "replicas_status"):
            async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                assert (answer.status, await answer.text()) == (200, "Ok.\n")
        assert source.asked == []


def test_little_stays_in_memory_and_what_has_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = Spool(tmp_path, held_bytes=10, spool_bytes=1_000_000)
    small, large = spool.body(memoryview(b"0123456789")), spool.body(memoryview(b"01234567890"))
    assert spool.taken_bytes == 11
    assert (b"".join(small.chunks()), b"".join(large.chunks())) == (b"0123456789", b"01234567890")
    with pytest.raises(Refusal, match="Too many answers wait"):
        spool.body(memoryview(bytes(2_000_000)))
    assert spool.taken_bytes == 11
    large.close()
    large.close()
    assert spool.taken_bytes == 0
    assert list(tmp_path.iterdir()) == []
