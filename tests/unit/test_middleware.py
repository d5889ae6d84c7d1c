"""The middleware and who listens to it: each request told of once, nothing that a service feels, bounded reading."""

import asyncio
import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response
from starlette.routing import Route

from producers.context import loadflame_middleware as middleware
from producers.context.loadflame_middleware import LoadflameASGI, LoadflameWSGI, Teller
from producers.context.notes import DATAGRAM_BYTES, Note, NoteError, Stretch, told_of
from producers.endpoint_names import endpoint_of
from producers.natural import MiddlewareSocket, Seen, SocketError
from tests.support.polling import wait_until
from tests.support.telling import followed, listening_to, now_us, ran_by, spin

TRACE = "0af7651916cd43dd8448eb211c80319c"
SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/items/7",
    "headers": [(b"traceparent", f"00-{TRACE}-b7-01".encode())],
}
ENVIRON = {"REQUEST_METHOD": "GET", "PATH_INFO": "/items/7", "HTTP_TRACEPARENT": f"00-{TRACE}-b7ad6b7169203331-01"}


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[MiddlewareSocket]:
    listener = MiddlewareSocket(tmp_path / "told")
    yield listener
    listener.close()


@pytest.fixture
def path(listener: MiddlewareSocket, tmp_path: Path) -> str:
    return str(tmp_path / "told")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of the middleware looks and sends all the time."""
    for name in ("SEND_S", "AGAIN_S", "LOOK_S"):
        monkeypatch.setattr(middleware, name, 0.005)


def told_at(listener: MiddlewareSocket, count: int) -> list[Seen]:
    found: list[Seen] = []

    def heard() -> bool:
        found.extend(listener.look(now_us()))
        return len(found) >= count

    wait_until(heard, 60, f"{count} requests are told of")
    return found


def listened_to(teller: Teller) -> None:
    teller.start()
    wait_until(lambda: teller.on, 60, "the middleware has found who listens")


async def answered(app: LoadflameASGI, scope: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(SCOPE | (scope or {}), receive, send)
    return sent


async def item(scope: dict[str, Any], receive: Any, send: Any) -> None:
    scope["route"] = type("Route", (), {"path": "/items/{item}"})
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"tea", "more_body": False})


def test_it_needs_nothing_but_the_standard_library() -> None:
    lines = Path(str(middleware.__file__)).read_text().splitlines()
    imports = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imports <= set(sys.stdlib_module_names)


async def test_a_request_of_asgi_is_told_with_its_route_status_and_time_and_its_answer_is_as_it_was(
    listener: MiddlewareSocket, path: str, soon: None
) -> None:
    app = LoadflameASGI(item, path)
    listened_to(app.teller)
    before_us = now_us()
    sent = await answered(app)
    (seen,) = told_at(listener, 1)
    app.teller.stop()
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (seen.endpoint, seen.status, seen.error) == ("GET /items/{item}", 201, None)
    assert seen.latency_us is not None
    assert before_us <= seen.ended_at_us - seen.latency_us + 1000
    assert seen.ended_at_us <= now_us()
    assert (listener.tally.told, listener.tally.unknown) == (1, 0)
    assert listener.note.startswith("the slowest requests that carried a trace id: GET /items/{item} ")
    assert listener.note.endswith(f" ms (trace {TRACE})")


async def test_what_the_application_raises_goes_through_and_counts_as_its_failure(
    listener: MiddlewareSocket, path: str, soon: None
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    app = LoadflameASGI(broken, path)
    listened_to(app.teller)
    with pytest.raises(ZeroDivisionError):
        await answered(app)
    (seen,) = told_at(listener, 1)
    app.teller.stop()
    assert (seen.endpoint, seen.status, seen.error) == ("GET /items/{id}", 500, "http 500")


async def test_nothing_is_noted_while_nobody_listens_and_what_is_no_request_goes_through(path: str) -> None:
    app = LoadflameASGI(item, path)
    app.teller.started = True  # its thread never looks
    assert len(await answered(app)) == 2
    assert not app.teller._notes
    lifespan = LoadflameASGI(_only_lifespan, path)
    listening_to(lifespan)
    with pytest.raises(KeyError, match="send"):
        await answered(lifespan, {"type": "lifespan"})
    assert not lifespan.teller._notes


async def _only_lifespan(scope: Any, receive: Any, send: Any) -> None:
    raise KeyError("send")


class Body:
    """What an application gives to be sent; counts how often it is closed."""

    closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"te"
        yield b"a"

    def close(self) -> None:
        self.closed += 1


def test_a_request_of_wsgi_ends_when_the_server_has_closed_what_it_was_given(
    listener: MiddlewareSocket, path: str, soon: None
) -> None:
    body = Body()

    def item(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        start_response("404 NOT FOUND", [])
        return body

    app, said = LoadflameWSGI(item, path), []
    listened_to(app.teller)
    answer = app(dict(ENVIRON), lambda *told: said.append(told))
    assert b"".join(answer) == b"tea"
    assert listener.look(now_us()) == []
    answer.close()
    (seen,) = told_at(listener, 1)
    app.teller.stop()
    assert (said, body.closed) == ([("404 NOT FOUND", [])], 1)
    assert (seen.endpoint, seen.status, seen.error) == ("GET /items/{id}", 404, None)


def test_a_file_is_left_to_the_server_and_an_error_of_wsgi_goes_through(
    listener: MiddlewareSocket, path: str, soon: None
) -> None:
    class Wrapper(list[bytes]):
        """A server's own."""

    def file(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"]([b"tea"])

    def broken(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        raise ZeroDivisionError

    app = LoadflameWSGI(file, path)
    listened_to(app.teller)
    given = app(ENVIRON | {"wsgi.file_wrapper": Wrapper}, lambda *told: None)
    assert isinstance(given, Wrapper)
    given = app(ENVIRON | {"wsgi.file_wrapper": lambda body: ("a file", body)}, lambda *told: None)
    assert given == ("a file", [b"tea"]), "some servers have a function for it, as the standard allows"
    app.app = broken
    with pytest.raises(ZeroDivisionError):
        app(dict(ENVIRON), lambda *told: None)
    assert [seen.status for seen in told_at(listener, 3)] == [200, 200, 500]
    app.teller.stop()


def test_a_thread_that_is_held_up_as_it_looks_at_two_clocks_looks_again(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed_ns, hold_ups_ns = 0, [20_000_000]

    def unix_ns() -> int:
        nonlocal passed_ns
        told = 1_790_000_000 * NS + passed_ns
        passed_ns += hold_ups_ns.pop() if hold_ups_ns else 0
        return told

    monkeypatch.setattr(middleware, "_now_ns", lambda: passed_ns)
    monkeypatch.setattr(middleware, "time", SimpleNamespace(time_ns=unix_ns))
    assert Teller(path)._ahead_ns == 1_790_000_000 * NS


def test_what_finds_no_room_is_dropped_and_counted_and_nothing_waits(
    listener: MiddlewareSocket, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "ROOM", 300)
    teller = Teller(path)
    assert teller._once() > 0
    assert teller.on
    for number in range(350):
        teller.note("", 0, (number, number + 5), "GET /", 200)
    assert teller.dropped == 50
    teller._once()
    assert listener.tally.lost == 0
    teller.dropped = 60
    teller.note("", 0, (0, 5), "GET /", 200)
    teller._once()
    seen = listener.look(now_us())
    assert len(seen) == 301
    assert listener.tally.lost == 10  # since somebody listens: what was dropped before is nobody's affair
    assert listener.note == "the middleware dropped 10 requests for want of room"
    teller._hang_up()


def test_a_full_socket_is_tried_again_later_with_the_same_requests_in_the_same_order(
    listener: MiddlewareSocket, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "DATAGRAM", 1)
    teller = Teller(path)
    teller._once()
    for number in range(2_000):
        teller.note("", 0, (0, number * 1000), "GET /", 200)
    took: list[int | None] = []
    while teller._notes:
        assert teller._once() in (middleware.AGAIN_S, middleware.SEND_S)
        took += [seen.latency_us for seen in listener.look(now_us())]
    took += [seen.latency_us for seen in listener.look(now_us())]
    assert took == list(range(2_000))
    teller._hang_up()


def test_when_whoever_listened_is_gone_nothing_is_noted_any_more_until_somebody_listens_again(tmp_path: Path) -> None:
    path = tmp_path / "told"
    first = MiddlewareSocket(path)
    teller = Teller(str(path))
    teller._once()
    first.close()
    teller.note("", 0, (0, 5), "GET /", 200)
    assert teller._once() == middleware.LOOK_S
    assert (teller.on, len(teller._notes)) == (False, 0)
    assert teller._once() == middleware.LOOK_S
    second = MiddlewareSocket(path)
    teller._once()
    assert teller.on
    second.close()
    teller._hang_up()


def test_a_socket_of_somebody_else_is_not_told_anything(
    listener: MiddlewareSocket, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat
    monkeypatch.setattr(
        middleware.os,
        "stat",
        lambda at: os.stat_result([value if place != 4 else 4711 for place, value in enumerate(real(at))]),
    )
    teller = Teller(path)
    teller._once()
    assert not teller.on


@pytest.mark.parametrize(
    ("mode", "link_of", "is_told"),
    [
        pytest.param(0o755, None, True, id="a folder of its own"),
        pytest.param(0o1777, None, False, id="a folder into which all may write, sticky or not"),
        pytest.param(0o775, None, False, id="a folder into which a group may write"),
        pytest.param(0o755, 4711, False, id="a link of somebody else to such a folder"),
    ],
)
def test_a_socket_in_whose_place_somebody_else_may_put_another_is_not_told_anything(
    mode: int, link_of: int | None, is_told: bool, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(path).parent.chmod(mode)
    real = os.lstat

    def lstat(at: str) -> os.stat_result:
        is_link = link_of is not None and at == str(Path(path).parent)
        return os.stat_result([link_of if is_link and place == 4 else value for place, value in enumerate(real(at))])

    monkeypatch.setattr(middleware.os, "lstat", lstat)
    teller = Teller(path)
    teller._once()
    assert teller.on is is_told
    teller._hang_up()


def test_paths_that_take_many_bytes_are_told_in_more_datagrams(listener: MiddlewareSocket, path: str) -> None:
    teller = Teller(path)
    teller._once()
    for _ in range(200):
        teller.note(TRACE, 0, (0, 1000), "GET /" + "\U0001f525" * 195, 200)
    found: list[Seen] = []
    while teller._notes:  # as many as find room at once
        assert teller._once() in (middleware.AGAIN_S, middleware.SEND_S)
        found += listener.look(now_us())
    assert (len(found), listener.tally.unknown, teller.dropped) == (200, 0, 0)
    teller._hang_up()


async def test_a_method_without_end_is_cut_lest_its_datagram_be_refused(
    listener: MiddlewareSocket, path: str, soon: None
) -> None:
    app = LoadflameASGI(item, path)
    listened_to(app.teller)
    await answered(app, {"method": "X" * 300})
    (seen,) = told_at(listener, 1)
    app.teller.stop()
    assert seen.endpoint == "X" * 16 + " /items/{item}"


def test_what_this_kernel_does_not_take_is_dropped_and_counted_and_the_rest_is_told(
    listener: MiddlewareSocket, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "DATAGRAM", 1)
    teller = Teller(path)
    teller._once()
    assert teller._socket is not None
    teller._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least there is, some 4 KB
    teller.note("", 0, (0, 1000), "GET /" + "x" * 10_000, 200)
    teller.note("", 0, (0, 1000), "GET /", 200)
    assert teller._once() == middleware.SEND_S
    assert (teller.on, teller.dropped) == (True, 1)
    assert [seen.endpoint for seen in listener.look(now_us())] == ["GET /"]
    teller._hang_up()


def test_a_child_waits_for_no_lock_that_was_held_when_it_was_made(tmp_path: Path) -> None:
    teller = Teller(str(tmp_path / "told"))
    before = (teller._over, teller._starting)
    teller._forked()
    assert (teller._over is before[0], teller._starting is before[1]) == (False, False)


@pytest.mark.parametrize(
    "body", [pytest.param([b"te", b"a"], id="a list"), pytest.param(iter([b"tea"]), id="no end known")]
)
def test_an_answer_has_a_length_where_its_body_has_one(body: Any, path: str) -> None:
    app = LoadflameWSGI(lambda environ, start_response: body, path)
    app.teller.started = app.teller.on = True  # its thread never looks
    has_length = hasattr(body, "__len__")
    answer = app(dict(ENVIRON), lambda *told: None)
    assert hasattr(answer, "__len__") is has_length  # waitress and eventlet ask, and call it then
    if has_length:
        assert len(answer) == 2
    assert b"".join(answer) == b"tea"
    answer.close()
    assert len(app.teller._notes) == 1


@pytest.mark.parametrize(
    ("left", "mount", "endpoint"),
    [
        pytest.param({"url_rule": SimpleNamespace(rule="/items/<item>")}, "", "GET /items/<item>", id="Flask's rule"),
        pytest.param({"url_rule": SimpleNamespace(rule="/<item>")}, "/v2", "GET /v2/<item>", id="where it is mounted"),
        pytest.param({"url_rule": None}, "", "GET /items/7", id="Flask found none"),
        pytest.param({}, "", "GET /items/7", id="a request of Werkzeug's alone"),
        pytest.param(None, "", "GET /items/7", id="nothing"),
    ],
)
def test_the_rule_is_what_flask_has_in_the_environment_as_it_answers(
    left: dict[str, Any] | None, mount: str, endpoint: str, path: str
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ |= {"SCRIPT_NAME": mount}
        if left is not None:
            environ["werkzeug.request"] = SimpleNamespace(**left)
        start_response("200 OK", [])
        environ["werkzeug.request"] = None  # Flask takes it away again
        return [b"tea"]

    wrapped = LoadflameWSGI(app, path)
    teller = listening_to(wrapped)
    wrapped(dict(ENVIRON), lambda *told: None).close()
    assert [note[5:] for note in teller._notes] == [(endpoint, 200)]


def test_a_child_asks_the_kernel_anew_for_the_number_of_its_thread(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware._this_thread, "number", 5, raising=False)
    assert middleware._thread_id() == 5
    Teller(path)._forked()
    assert middleware._thread_id() == threading.get_native_id()
    monkeypatch.setattr(middleware._this_thread, "number", threading.get_native_id())


def test_a_status_that_is_no_number_spoils_no_datagram(listener: MiddlewareSocket, path: str) -> None:
    teller = Teller(path)
    teller._once()
    with pytest.raises(ValueError, match="invalid literal"):
        teller.note("", 0, (0, 1000), "GET /", "teapot")  # type: ignore[arg-type]
    teller.note("no trace", 0, (0, 1000), "GET /", HTTPStatus.NOT_FOUND)
    teller.note("", 0, (0, 1000), "GET /", 1000)
    teller._once()
    assert [seen.status for seen in listener.look(now_us())] == [404, 0]
    teller._hang_up()


def test_however_long_what_is_told_is_each_datagram_is_one_that_is_read(path: str) -> None:
    teller = Teller(path)
    endpoint, baggage = "GET /" + "\U0001f525" * 195, "x" * 1024
    for _ in range(200):
        teller.note("\xff" * 32, 7, (0, 1), endpoint, 200, steps_ns=[1 << 60] * 128, baggage=baggage)
    told = []
    while teller._notes or teller._ran:
        datagram, _, _ = teller._batch()
        assert len(datagram) <= DATAGRAM_BYTES
        told.append(told_of(datagram))
    assert sum(len(one.notes) for one in told) == 200
    assert sum(len(one.ran) for one in told) == 200 * 64


FORKS = """
import os, sys, threading, time
from producers.context import loadflame_middleware as middleware
middleware.SEND_S = 0.01
teller = middleware.Teller(sys.argv[1])
teller._once()
teller.note("", 0, (0, 1000), "GET /of-the-parent", 200)
child = os.fork()
if child == 0:
    teller.start()
    while not teller.on:
        time.sleep(0.01)
    teller.note("", 0, (0, 1000), "GET /of-the-child", 200)
    teller.stop()
    for thread in threading.enumerate():
        if thread.name == "loadflame-middleware":
            thread.join()
    os._exit(0)
os.waitpid(child, 0)
teller._once()
"""


def test_a_child_tells_of_its_own_requests_only(listener: MiddlewareSocket, path: str) -> None:
    subprocess.run([sys.executable, "-c", FORKS, path], check=True, timeout=60)
    assert sorted(seen.endpoint for seen in told_at(listener, 2)) == ["GET /of-the-child", "GET /of-the-parent"]
    assert listener.look(now_us()) == []


def test_only_this_user_may_write_to_the_socket_and_it_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "told"
    listener = MiddlewareSocket(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(SocketError, match="somebody listens"):
        MiddlewareSocket(path)
    listener.close()
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_taken_over_and_anything_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "told"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(path))
    MiddlewareSocket(path).close()
    path.write_text("mine")
    with pytest.raises(SocketError, match="is no socket"):
        MiddlewareSocket(path)
    assert path.read_text() == "mine"
    with pytest.raises(SocketError, match="of at most 100 letters"):
        MiddlewareSocket(tmp_path / ("x" * 150))
    shared = tmp_path / "shared"
    shared.mkdir()
    for mode in (0o777, 0o1777, 0o770):
        shared.chmod(mode)
        with pytest.raises(SocketError, match="others may write"):
            MiddlewareSocket(shared / "told")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a socket for somebody else")
def test_root_gives_a_socket_away_only_where_nobody_else_can_put_something_in_its_place(tmp_path: Path) -> None:
    listener = MiddlewareSocket(tmp_path / "made" / "told", owner=4711)
    assert (tmp_path / "made" / "told").stat().st_uid == 4711
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) & 0o011 == 0o011  # the service gets through
    listener.close()
    theirs = tmp_path / "theirs"
    (theirs / "roots").mkdir(parents=True)
    os.chown(theirs, 4711, -1)
    with pytest.raises(SocketError, match="others may write"):
        MiddlewareSocket(theirs / "told", owner=4711)
    with pytest.raises(SocketError, match="others may rename"):
        MiddlewareSocket(theirs / "roots" / "told", owner=4711)


def test_requests_of_other_paths_and_times_that_cannot_be_are_not_believed(tmp_path: Path) -> None:
    listener = MiddlewareSocket(tmp_path / "told", under=("/items",))
    teller = Teller(str(tmp_path / "told"))
    teller._once()
    teller.note("", 0, (0, 1000), "GET /health", 200)
    teller.note("", 0, (-(10**15), 1 - 10**15), "GET /items", 200)  # ended eleven days ago
    teller._once()
    at_us = now_us()
    (seen,) = listener.look(at_us)
    assert seen.ended_at_us == at_us
    assert (listener.tally.told, listener.tally.others) == (2, 1)
    teller._hang_up()
    listener.close()


ROW = [TRACE, 4711, 9, 1_795_467_600_000_000, 1200, "GET /", 200]


def datagram(**changes: object) -> bytes:
    return json.dumps({"v": 1, "pid": 7, "dropped": 0, "requests": [ROW]} | changes).encode()


def test_whatever_a_service_calls_a_method_or_a_path_it_can_be_written_down() -> None:
    (note,) = told_of(datagram(requests=[[*ROW[:5], "G\ud800T /a\udfffb", 200]])).notes
    method, _, path = note.endpoint.partition(" ")
    assert endpoint_of(method, path) == "G?T /a?b"


def test_a_datagram_says_who_when_and_what() -> None:
    told = told_of(datagram(dropped=3))
    assert (told.pid, told.dropped) == (7, 3)
    assert told.notes == (Note(TRACE, 4711, 9, 1_795_467_600_000_000, 1200, "GET /", 200),)
    assert told_of(datagram(requests=[["no trace", *ROW[1:]]])).notes[0].trace == ""


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b"9" * 10_000, id="a number without end"),
        pytest.param(b" " * (DATAGRAM_BYTES + 1), id="too large"),
        pytest.param(datagram(v=2), id="another version"),
        pytest.param(datagram(requests=None), id="no requests"),
        pytest.param(datagram(requests=[ROW] * 1001), id="too many requests"),
        pytest.param(datagram(requests=[ROW[:6]]), id="a request that is too short"),
        pytest.param(datagram(requests=[[*ROW[:5], "x" * 300, 200]]), id="a name that is too long"),
        pytest.param(datagram(requests=[[*ROW[:6], 1000]]), id="a status that cannot be"),
        pytest.param(datagram(requests=[[*ROW[:6], True]]), id="a status that is no number"),
        pytest.param(datagram(requests=[[*ROW[:3], -1, *ROW[4:]]]), id="a time before all time"),
        pytest.param(datagram(pid=1.5), id="half a process"),
    ],
)
def test_what_is_no_datagram_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(NoteError):
        told_of(data)


@given(st.integers(0, 120), st.binary(max_size=12))
def test_whatever_is_put_into_a_datagram_it_is_read_or_refused(at: int, put: bytes) -> None:
    whole = datagram()
    for bent in (whole[:at] + put, whole[:at] + put + whole[at:]):
        try:
            told_of(bent)
        except NoteError:
            continue


def test_a_datagram_that_is_not_understood_is_counted_and_told(listener: MiddlewareSocket, path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.sendto(b"hello", path)
    assert listener.look(now_us()) == []
    assert listener.note == "not understood: 1 datagram (one is not whole JSON)"


def test_notes_of_many_threads_at_once_are_all_told(listener: MiddlewareSocket, path: str, soon: None) -> None:
    teller = Teller(path)
    listened_to(teller)

    def busy() -> None:
        for _ in range(500):
            teller.note("", 0, (0, 1000), "GET /", 200)

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert len(told_at(listener, 2_000)) == 2_000
    for thread in threads:
        thread.join()
    teller.stop()


NS = 10**9


def test_what_a_thread_ran_is_told_in_stretches_and_of_a_thread_without_tasks_from_begin_to_end() -> None:
    alone, task = [TRACE, 4711, 0, 1_000, 50, "GET /a", 200], [TRACE, 4712, 9, 1_000, 50, "GET /b", 200]
    told = told_of(datagram(requests=[alone, task], ahead=5 * NS, ran=[[4712, "GET /b", [1000, 3000, 7000, 9999]]]))
    assert told.ran == (
        Stretch(4711, 1_000, 1_050, "GET /a"),
        Stretch(4712, 5_000_001, 5_000_003, "GET /b"),
        Stretch(4712, 5_000_007, 5_000_009, "GET /b"),
    )
    assert told_of(datagram(requests=[task])).ran == ()  # as the first middleware told it


@pytest.mark.parametrize(
    ("baggage", "asked"),
    [
        pytest.param("a=b, loadflame.run=r%201,loadflame.endpoint=a%2Fb,c", ("r 1", "a/b"), id="ours behind others'"),
        pytest.param("loadflame.endpoint=a", None, id="of no run"),
        pytest.param("", None, id="none"),
        pytest.param("loadflame.run=r,loadflame.endpoint=\ud800\nb", ("r", "??b"), id="letters that are none"),
    ],
)
def test_what_the_load_says_of_a_request_is_told_apart_from_the_baggage_of_others(
    baggage: str, asked: tuple[str, str] | None
) -> None:
    (stretch,) = told_of(datagram(requests=[], ahead=0, ran=[[1, "GET /", [1000, 2000], baggage]])).ran
    assert stretch == Stretch(1, 1, 2, "GET /", asked)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"ahead": 0, "ran": [[1, "GET /", [1, 2], "x" * 1025]]}, id="baggage without end"),
        pytest.param({"ahead": 0, "ran": [[1, "GET /", [1, 2], 7]]}, id="baggage that is no text"),
        pytest.param({"ran": [[1, "GET /", [1, 2]]]}, id="no counter"),
        pytest.param({"ahead": True, "ran": []}, id="a counter that is no number"),
        pytest.param({"ahead": 1 << 70, "ran": []}, id="a counter without end"),
        pytest.param({"ahead": 0, "ran": {}}, id="no list"),
        pytest.param({"ahead": 0, "ran": [[1, "GET /", []]] * 1001}, id="too many requests"),
        pytest.param({"ahead": 0, "ran": [[1, "GET /"]]}, id="no stretches"),
        pytest.param({"ahead": 0, "ran": [[1, "GET /", [1]]]}, id="a stretch without an end"),
        pytest.param({"ahead": 0, "ran": [[1, "GET /", [9000, 1000]]]}, id="one that ends before it begins"),
        pytest.param({"ahead": -(10**9), "ran": [[1, "GET /", [1000, 2000]]]}, id="one before all time"),
        pytest.param({"ahead": 0, "ran": [[1, "GET /", [1, 2] * 129]]}, id="too many stretches"),
        pytest.param({"ahead": 0, "ran": [[1, "x" * 300, [1, 2]]]}, id="a name that is too long"),
        pytest.param({"ahead": 0, "ran": [[-1, "GET /", [1, 2]]]}, id="a thread that cannot be"),
    ],
)
def test_stretches_that_cannot_be_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NoteError):
        told_of(datagram(**changes))


async def test_steps_of_two_requests_that_take_turns_on_a_loop_are_told_apart(path: str) -> None:
    turns: list[tuple[str, int, int]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(3):
            began = now_us()
            spin(0.002)
            turns.append((scope["path"], began, now_us()))
            await asyncio.sleep(0)

    wrapped = LoadflameASGI(app, path)
    teller = listening_to(wrapped)
    await asyncio.gather(*(wrapped({**SCOPE, "path": name}, None, None) for name in ("/a", "/b")))
    ran = ran_by(teller)
    assert [name for name, *_ in turns] == ["/a", "/b"] * 3
    assert {one.thread for one in ran} == {threading.get_native_id()}
    for name, began, ended in turns:
        middle = (began + ended) // 2
        assert {one.endpoint for one in ran if one.begin_us <= middle < one.end_us} == {f"GET {name}"}
    assert not teller.under_way


async def test_what_runs_once_an_awaited_thing_has_failed_is_a_step_of_its_own(path: str) -> None:
    waited = asyncio.get_running_loop().create_future()
    turns: list[tuple[int, int]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(OSError):
            await waited
        began = now_us()
        spin(0.002)
        turns.append((began, now_us()))

    wrapped = LoadflameASGI(app, path)
    teller = listening_to(wrapped)
    answering = asyncio.create_task(wrapped(dict(SCOPE), None, None))
    await asyncio.sleep(0)
    idle_us = now_us()
    spin(0.002)
    waited.set_exception(OSError("the connection of a pool is gone"))
    await answering
    ran = ran_by(teller)
    ((began, ended),) = turns
    assert any(one.begin_us <= began and ended <= one.end_us + 1 for one in ran)
    assert not any(one.begin_us <= idle_us + 1000 < one.end_us for one in ran), "the loop was elsewhere meanwhile"


async def test_a_request_of_one_step_is_told_as_a_thread_s_without_tasks_is(path: str) -> None:
    wrapped = LoadflameASGI(item, path)
    teller = listening_to(wrapped)
    before_us = now_us()
    await answered(wrapped)
    assert ([note[2] for note in teller._notes], len(teller._ran)) == ([0], 0)
    (whole,) = ran_by(teller)
    assert before_us - 1000 <= whole.begin_us <= whole.end_us <= now_us() + 1000
    assert whole.endpoint == "GET /items/{item}"


async def test_a_request_under_way_is_told_of_before_it_ends_with_the_step_that_it_is_in(path: str) -> None:
    ran: list[list[Stretch]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        ran.append(ran_by(teller))
        await asyncio.sleep(0)
        ran.append(ran_by(teller))

    wrapped = LoadflameASGI(app, path)
    teller = listening_to(wrapped)
    await answered(wrapped)
    first, second = ran
    assert (len(first), len(second)) == (2, 2)  # a step that was over, and the one that it is in; no step twice
    assert first[1].begin_us == second[0].begin_us
    assert len(ran_by(teller)) == 1


async def test_before_a_framework_has_found_its_route_nothing_is_told_under_the_wrong_name(path: str) -> None:
    told: list[list[Stretch]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["app"] = app
        told.append(ran_by(teller))
        scope["endpoint"], scope["route"] = app, SimpleNamespace(path="/items/{item}")
        told.append(ran_by(teller))

    wrapped = LoadflameASGI(app, path)
    teller = listening_to(wrapped)
    await answered(wrapped)
    assert [len(one) for one in told] == [0, 1]
    assert {one.endpoint for one in [*told[1], *ran_by(teller)]} == {"GET /items/{item}"}


async def test_a_request_of_more_steps_than_are_kept_works_as_ever(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "STEPS", 3)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})

    wrapped = LoadflameASGI(app, path)
    teller = listening_to(wrapped)
    assert await answered(wrapped) == [{"type": "http.response.body"}]
    assert len(ran_by(teller)) == 3


VARIABLE: ContextVar[str] = ContextVar("VARIABLE")


async def behaves(scope: Any, receive: Any, send: Any) -> Any:
    """Writes down what happens to it."""
    said = scope["said"]
    VARIABLE.set("set inside")
    try:
        said.append(await receive())
        await asyncio.sleep(60)
    except asyncio.CancelledError as error:
        said.append(("cancelled", *error.args))
        await asyncio.sleep(0)  # it may still await something
        if scope["stubborn"]:
            return
        raise
    except GeneratorExit:
        said.append("closed")
        raise
    finally:
        said.append("finally")


@pytest.mark.parametrize("is_wrapped", [False, True])
@pytest.mark.parametrize("stubborn", [False, True])
async def test_cancellation_and_context_are_as_without_it(is_wrapped: bool, stubborn: bool, path: str) -> None:
    app: Any = LoadflameASGI(behaves, path) if is_wrapped else behaves
    if is_wrapped:
        listening_to(app)
    said: list[Any] = []

    async def receive() -> Any:
        return asyncio.current_task()

    async def outer() -> str:
        try:
            await app({**SCOPE, "said": said, "stubborn": stubborn}, receive, None)
        finally:
            said.append(VARIABLE.get())
        return "ended"

    task = asyncio.create_task(outer())
    await asyncio.sleep(0.01)
    task.cancel("why")
    outcome = (await asyncio.gather(task, return_exceptions=True))[0]
    assert outcome == "ended" if stubborn else isinstance(outcome, asyncio.CancelledError)
    assert said == [task, ("cancelled", "why"), "finally", "set inside"]  # one task, one context


def test_who_drives_it_by_hand_sends_throws_and_closes_as_without_it(path: str) -> None:
    class Step:
        def __await__(self) -> Any:
            return (yield "asked")

    async def app(scope: Any, receive: Any, send: Any) -> Any:
        said.append(await Step())
        try:
            said.append(await Step())
        except ValueError as error:
            said.append(error)
        try:
            await Step()
        finally:
            said.append("closed")

    wrapped = LoadflameASGI(app, path)
    teller = listening_to(wrapped)
    for drives in (app, wrapped):
        said: list[Any] = []
        running = drives(SCOPE, None, None)
        thrown = ValueError("no")
        assert [running.send(None), running.send("answer"), running.throw(thrown)] == ["asked"] * 3
        running.close()
        assert said == ["answer", thrown, "closed"]
    assert not teller.under_way


BAGGAGE = "loadflame.run=run-1,loadflame.endpoint=browse,loadflame.stage=hold"


async def test_of_requests_of_the_load_the_plan_s_name_is_told(path: str) -> None:
    wrapped = LoadflameASGI(item, path)
    teller = listening_to(wrapped)
    await answered(wrapped, {"headers": [(b"baggage", BAGGAGE.encode()), (b"baggage-not", b"x")]})
    await answered(wrapped, {"headers": [(b"baggage", b"user=7")]})
    others, ours = ran_by(teller)
    assert (ours.asked, others.asked) == (("run-1", "browse"), None)
    served = LoadflameWSGI(lambda environ, start_response: [b"tea"], path)
    teller = listening_to(served)
    served(ENVIRON | {"HTTP_BAGGAGE": BAGGAGE}, lambda *told: None).close()
    alone, asked = ran_by(teller)
    assert (alone.asked, asked.asked) == (None, ("run-1", "browse"))
    assert abs(alone.begin_us - asked.begin_us) <= 1
    served(ENVIRON | {"HTTP_BAGGAGE": BAGGAGE}, lambda *told: None)
    assert [one.asked for one in ran_by(teller)] == [("run-1", "browse")]  # under way


@pytest.mark.parametrize(
    ("slow_ns", "ours", "told"),
    [
        pytest.param(0, False, 9, id="all that are slow"),
        pytest.param(1 << 60, False, 2, id="of quick ones so many"),
        pytest.param(1 << 60, True, 7, id="of quick ones more, behind one of the load"),
    ],
)
async def test_of_quick_requests_only_some_have_their_headers_looked_at_until_the_next_sending(
    slow_ns: int, ours: bool, told: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "SLOW_NS", slow_ns)
    monkeypatch.setattr(middleware, "MANY_LOOKS", 5)
    wrapped = LoadflameASGI(item, path)
    teller = listening_to(wrapped)
    teller.looks = 2
    baggage = [(b"baggage", BAGGAGE.encode())] if ours else []
    for number in range(9):
        await answered(wrapped, {"headers": [*SCOPE["headers"], *(baggage if number == 1 else [])]})
    assert sum(note[0] == TRACE for note in teller._notes) == told
    monkeypatch.setattr(middleware, "LOOKS", 3)
    teller._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    teller._once()
    assert teller.looks == 3
    teller._hang_up()


class Around(BaseHTTPMiddleware):
    """Runs what is inside of it in a task of its own."""

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


@pytest.mark.parametrize("is_inside", [False, True])
@pytest.mark.parametrize("is_followed", [False, True])
async def test_what_runs_in_another_task_is_seen_where_it_is_followed_or_stands_inside_of_it(
    is_inside: bool, is_followed: bool, path: str
) -> None:
    worked: list[tuple[int, int]] = []

    async def tea(request: Any) -> Response:
        began = now_us()
        spin(0.002)
        worked.append((began, now_us()))
        return Response("tea")

    shop = Starlette(routes=[Route("/items/{item}", tea)])
    app: Any = shop
    wrapped = []

    class Kept(LoadflameASGI):
        def __init__(self, app: Any) -> None:
            super().__init__(app, path)
            wrapped.append(self)
            listening_to(self)

    if is_inside:
        shop.add_middleware(Kept)  # the first that is added stands innermost
    shop.add_middleware(Around)
    if not is_inside:
        app = Kept(shop)
    scope = {"query_string": b"", "headers": []}
    await answered(app, scope | {"path": "/not/there"})  # Starlette makes what stands inside with the first
    async with followed(*wrapped) if is_followed else contextlib.nullcontext():
        sent = await answered(app, scope)
    assert sent[0]["status"] == 200
    ((began, ended),) = worked
    ran = [one for one in ran_by(wrapped[0].teller) if one.begin_us <= (began + ended) // 2 < one.end_us]
    assert len(ran) == (is_inside or is_followed)


async def test_an_application_that_is_awaitable_and_no_coroutine_is_awaited_all_the_same(path: str) -> None:
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    wrapped = LoadflameASGI(lambda scope, receive, send: done, path)
    teller = listening_to(wrapped)
    await answered(wrapped)
    assert (len(teller._notes), ran_by(teller)) == (1, [])


def test_a_request_of_wsgi_under_way_is_told_of_by_its_thread_until_it_has_ended(path: str) -> None:
    rule = SimpleNamespace(url_rule=None)
    environ = ENVIRON | {"werkzeug.request": rule}
    told: list[list[Stretch]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        told.append(ran_by(teller))  # Flask has not found its rule yet
        rule.url_rule = SimpleNamespace(rule="/items/<item>")
        told.append(ran_by(teller))
        return [b"tea"]

    wrapped = LoadflameWSGI(app, path)
    teller = listening_to(wrapped)
    answer = wrapped(environ, lambda *told: None)
    assert [[one.endpoint for one in some] for some in told] == [[], ["GET /items/<item>"]]
    assert told[1][0].thread == threading.get_native_id()
    answer.close()
    assert not teller.under_way
    assert len(ran_by(teller)) == 1


def test_of_what_another_thread_closes_nobody_knows_which_thread_served_it_when(path: str) -> None:
    wrapped = LoadflameWSGI(lambda environ, start_response: [b"tea"], path)
    teller = listening_to(wrapped)
    answer = wrapped(ENVIRON | {"HTTP_BAGGAGE": BAGGAGE}, lambda *told: None)
    closing = threading.Thread(target=answer.close)
    closing.start()
    closing.join()
    assert (len(teller._notes), ran_by(teller)) == (1, [])


def test_what_a_server_never_closes_is_told_of_for_a_while_and_let_go_then(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = LoadflameWSGI(lambda environ, start_response: [b"tea"], path)
    teller = listening_to(wrapped)
    monkeypatch.setattr(middleware, "UNDER_WAY", 2)
    for _ in range(3):
        wrapped(dict(ENVIRON), lambda *told: None)
    assert len(teller.under_way) == 2
    assert len(ran_by(teller)) == 2
    monkeypatch.setattr(middleware, "LONGEST_S", 0.0)
    assert (ran_by(teller), len(teller.under_way)) == ([], 0)
