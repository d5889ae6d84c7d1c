"""The wire engine and answers of every kind: HTTP as servers write it, and what is no HTTP at all."""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from producers.clock import SteadyClock
from producers.load.guard import Guard
from producers.load.outcomes import NotAllowedError
from producers.load.plan import Plan
from producers.load.prepared import prepared_requests
from producers.load.recorder import Recorder
from producers.load.setup import Setup
from producers.load.wire_engine import WireEngine
from tests.support.polling import until

BODY = b"x" * 5_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def _kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes from one request to the next."""
    monkeypatch.setattr("producers.load.wire_engine._KEEP_ALIVE_US", 3_600_000_000)


@dataclass
class Script:
    """A server that gives each request the same answer, byte for byte as written, in pieces; None closes."""

    pieces: Sequence[bytes | None]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open[writer] = asyncio.current_task()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
                self.requests.append(head + await reader.readexactly(length))
                for piece in self.pieces:
                    if piece is None:
                        writer.close()
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()


@contextlib.asynccontextmanager
async def scripted(*pieces: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Script]:
    script = Script(pieces)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=tls)
    script.port = server.sockets[0].getsockname()[1]
    async with server:
        yield script
        for writer in script.open:
            writer.transport.abort()
        await asyncio.gather(*filter(None, script.open.values()))


@contextlib.asynccontextmanager
async def wire(port: int, *, timeout_s: float = 60, scheme: str = "http", **request: object) -> AsyncIterator["Bench"]:
    bench = Bench(port, timeout_s, scheme, request)
    await bench.engine.open()
    try:
        yield bench
    finally:
        await bench.engine.close()


class Bench:
    """An engine and what it records."""

    def __init__(self, port: int, timeout_s: float, scheme: str, request: dict[str, object]) -> None:
        plan = Plan.model_validate(
            {
                "target": f"{scheme}://localhost:{port}",
                "stages": [{"name": "s", "hold": 1, "for": "1s"}],
                "requests": [{"name": "only", "path": "/a?b=c d".replace(" ", "%20")} | request],
                "redirects": 0,
            }
        )
        self.clock = SteadyClock()
        self.recorder = Recorder(["only"], ["s"], window_us=3_600_000_000)
        self.engine = WireEngine(
            Setup(
                requests=prepared_requests(plan),
                recorder=self.recorder,
                clock=self.clock,
                guard=Guard(()),
                timeout_s=timeout_s,
                redirects=plan.redirects,
                max_in_flight=100,
            )
        )

    async def ask(self, times: int = 1, *, at_once: bool = False) -> None:
        """Send so many requests, one after the other unless all at once, and wait for their outcomes."""
        for left in range(times, 0, -1):
            now_us = self.clock.now_us()
            self.engine.fire(0, 0, now_us, now_us)
            if not at_once or left == 1:
                await until(lambda: self.engine.in_flight == 0, 120, "an outcome")

    def rows(self) -> list[dict[str, object]]:
        return self.recorder.take(self.recorder.last_window).rows.to_pylist()


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", *lines, "", "")).encode()


CHUNKED = head("Transfer-Encoding: chunked") + b"3\r\nabc\r\n1388\r\n" + BODY + b"\r\n0\r\n\r\n"
ANSWERS = {
    "with a length": ([head("Content-Length: 5000") + BODY], None, 200, 1),
    "byte by byte": ([bytes([byte]) for byte in OK], None, 200, 1),
    "in chunks": ([CHUNKED], None, 200, 1),
    "in chunks that are cut anywhere": ([CHUNKED[:50], CHUNKED[50:61], CHUNKED[61:]], None, 200, 1),
    "after an informational one": ([b"HTTP/1.1 100 Continue\r\n\r\n", OK], None, 200, 1),
    "without a body": ([b"HTTP/1.1 204 No Content\r\n\r\n"], None, 204, 1),
    "that ends with the connection": ([head("Server: old"), BODY, None], None, 200, 3),
    "after which the server closes": ([head("Content-Length: 2", "Connection: close") + b"ok", None], None, 200, 3),
    "of HTTP/1.0": ([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", None], None, 200, 3),
    "that is an error": ([b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"], "http 503", 503, 1),
    "that is no HTTP": ([b"220 mail.example.org ESMTP\r\n"], "bad answer", 0, 3),
    "with a length that is none": ([head("Content-Length: many") + b"ok"], "bad answer", 200, 3),
    "with a head without end": ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000], "bad answer", 200, 3),
    "longer than announced": ([OK + b"more"], "too long", 200, 3),
    "that comes twice": ([OK + OK], "too long", 200, 3),
    "shorter than announced": ([head("Content-Length: 50") + b"half", None], "closed", 200, 3),
    "with an unfinished chunk": ([CHUNKED[:80], None], "closed", 200, 3),
    "with half a head": ([b"HTTP/1.1 200 OK\r\nContent-", None], "closed", 200, 3),
    "that never comes": ([], "timeout", 0, 3),
    "that begins and stops": ([head("Content-Length: 50") + b"half"], "timeout", 200, 3),
    "nothing, and the connection closed": ([None], "closed", 0, 3),
    "that switches protocols": (
        [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
        "bad answer",
        101,
        3,
    ),
}


@pytest.mark.parametrize(("pieces", "error", "status", "connections"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer(pieces: list[bytes | None], error: str | None, status: int, connections: int) -> None:
    timeout_s = 3 if error == "timeout" else 60
    async with scripted(*pieces) as script, wire(script.port, timeout_s=timeout_s) as bench:
        await bench.ask(3, at_once=error == "timeout")
    rows = bench.rows()
    assert [(row["error"], row["status"]) for row in rows] == [(error, status)] * 3
    assert script.connections == connections, "a connection is used again where the answer left it whole"
    assert bench.recorder.sent == len(script.requests) == 3
    if error is None:
        assert [row["bytes_received"] for row in rows] == [sum(len(piece) for piece in pieces if piece)] * 3


async def test_an_answer_that_came_before_comes_to_the_same_and_another_does_not() -> None:
    async with (
        scripted(OK) as script,
        wire(script.port, checks=[{"body": {"has": "ok"}}, {"header": {"name": "Content-Length"}}]) as bench,
    ):
        await bench.ask(2)
        script.pieces = [OK.replace(b"ok", b"no")]
        await bench.ask(2)
        script.pieces = [OK[:-1], b"k"]
        await bench.ask(2)
        script.pieces = [OK]
        await bench.ask(1)
    failed = "check body ok"
    rows = bench.rows()
    assert [row["error"] for row in rows] == [None, None, failed, failed, None, None, None]
    assert [row["bytes_received"] for row in rows] == [len(OK)] * 7
    assert script.connections == 1


async def test_answers_that_are_all_different_are_not_all_kept() -> None:
    async with scripted(OK) as script, wire(script.port) as bench:
        for number in range(60):
            script.pieces = [head("Content-Length: 2", f"X-Number: {number}") + b"ok"]
            await bench.ask()
        assert len(bench.engine.known[0]) <= 16
    assert Counter(row["error"] for row in bench.rows()) == {None: 60}


async def test_a_request_is_what_the_plan_says() -> None:
    async with (
        scripted(OK) as script,
        wire(script.port, method="POST", json={"item": 7}, headers={"X-Y": "z"}) as bench,
    ):
        await bench.ask()
    lines = script.requests[0].decode().split("\r\n")
    assert lines[0] == "POST /a?b=c%20d HTTP/1.1"
    assert set(lines[1:]) >= {f"Host: localhost:{script.port}", "X-Y: z", "Content-Length: 11", '{"item": 7}'}
    assert "Content-Type: application/json" in lines
    assert bench.rows()[0]["bytes_sent"] == len(script.requests[0])


async def test_the_answer_to_a_head_request_has_a_length_and_no_body() -> None:
    async with scripted(head("Content-Length: 5000")) as script, wire(script.port, method="HEAD") as bench:
        await bench.ask(3)
    assert [(row["error"], row["status"]) for row in bench.rows()] == [(None, 200)] * 3
    assert script.connections == 1


async def test_requests_at_once_have_a_connection_each_and_leave_them_to_the_next() -> None:
    async with scripted(OK) as script, wire(script.port) as bench:
        await bench.ask(10, at_once=True)
        await bench.ask(10, at_once=True)
    assert script.connections == 10
    assert len(bench.rows()) == 20


async def test_a_burst_waits_for_few_connections_and_every_request_of_it_is_sent_once() -> None:
    async with scripted(OK) as script, wire(script.port) as bench:
        await bench.ask(400, at_once=True)
    rows = bench.rows()
    assert Counter(row["error"] for row in rows) == {None: 400}
    assert bench.recorder.sent == len(script.requests) == 400
    assert script.connections < 400


async def test_what_waits_for_a_connection_times_out_like_everything_else() -> None:
    async with scripted() as script, wire(script.port, timeout_s=0.3) as bench:
        await bench.ask(100, at_once=True)
    assert Counter(row["error"] for row in bench.rows()) == {"timeout": 100}


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(OK) as script, wire(script.port) as bench:
        await bench.ask()
        monkeypatch.setattr("producers.load.wire_engine._KEEP_ALIVE_US", 0)
        await bench.ask(2)
    assert script.connections == 3
    assert Counter(row["error"] for row in bench.rows()) == {None: 3}


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    async with scripted(OK, None) as script, wire(script.port) as bench:
        await bench.ask()
        (idle,) = bench.engine._idle
        await until(lambda: idle.idle_since_us < 0, 60, "the connection's end")
        await bench.ask()
    assert Counter(row["error"] for row in bench.rows()) == {None: 2}


async def test_a_connection_on_which_more_came_than_was_asked_for_is_not_used_again() -> None:
    async with scripted(OK) as script, wire(script.port) as bench:
        await bench.ask()
        (idle,) = bench.engine._idle
        for writer in script.open:
            writer.write(b"more")
        await until(lambda: idle.idle_since_us < 0, 60, "the surplus")
        await bench.ask(2)
    assert Counter(row["error"] for row in bench.rows()) == {None: 3}
    assert script.connections == 2


async def test_a_connection_that_is_broken_off_is_unusable_at_once() -> None:
    """The loop tells of its end only later, and until then it stands among the idle ones."""
    async with scripted(OK) as script, wire(script.port) as bench:
        await bench.ask()
        (idle,) = bench.engine._idle
        idle.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        await bench.ask()
    assert Counter(row["error"] for row in bench.rows()) == {None: 2}
    assert script.connections == 2


async def test_of_several_addresses_the_one_that_answers_is_used_by_all_who_connect_at_once() -> None:
    async with scripted(OK) as script, wire(script.port) as bench:
        bench.engine._addresses[:] = ["127.0.0.99", "127.0.0.1"]  # nobody listens at the first
        await bench.ask(20, at_once=True)
        assert bench.engine._addresses == ["127.0.0.1", "127.0.0.99"]
    assert Counter(row["error"] for row in bench.rows()) == {None: 20}


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def certified(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_over_tls_it_is_the_same(authority: trustme.CA) -> None:
    tls = certified(authority, "localhost")
    async with scripted(CHUNKED, tls=tls) as script, wire(script.port, scheme="https") as bench:
        await bench.ask(3)
    assert [(row["error"], row["status"]) for row in bench.rows()] == [(None, 200)] * 3
    assert (script.connections, len(script.requests)) == (1, 3)


@pytest.mark.parametrize("fault", ["another name", "another authority"])
async def test_a_certificate_that_cannot_be_trusted_is_a_failure(authority: trustme.CA, fault: str) -> None:
    tls = certified(authority, "shop.test") if fault == "another name" else certified(trustme.CA(), "localhost")
    async with scripted(OK, tls=tls) as script, wire(script.port, scheme="https") as bench:
        await bench.ask(2)
    assert [(row["error"], row["status"]) for row in bench.rows()] == [("tls", 0)] * 2
    assert (bench.recorder.sent, script.requests) == (0, [])


async def test_a_timeout_counts_from_when_the_request_was_to_be_sent() -> None:
    async with scripted() as script, wire(script.port, timeout_s=0.3) as bench:
        await bench.ask(4, at_once=True)
    for row in bench.rows():
        assert row["error"] == "timeout"
        assert row["latency_us"] >= 0.995 * 300_000, "latencies travel within 0.5%"


async def test_a_name_that_leads_to_a_foreign_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(80, 1, "http", {})

    async def resolves(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("192.0.2.1", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolves)
    with pytest.raises(NotAllowedError):
        await bench.engine.open()
