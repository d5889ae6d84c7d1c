"""Enough of ClickHouse's HTTP interface, over the embedded engine, to drive the real HTTP client against it.

No ClickHouse server is at hand in tests; this stands in for one, so that the code path of `http://` stores (request
shapes, parameters, settings, error codes, passwords, lost connections) is run as well. It is no part of the product.
Reference: the chapter "HTTP interface" of ClickHouse's documentation.
"""

import base64
import contextlib
import fcntl
import os
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import chdb

from loadflame.broker import free_ports

ROOT = Path(__file__).parents[2]
# Request parameters that are no settings of a query.
_OF_THE_PROTOCOL = {
    "query", "database", "default_format", "wait_end_of_query", "session_id", "query_id", "client_protocol_version",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression", "compress",
}  # fmt: skip
_IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112  where a server has what it is sent
_PIPE_BYTES = 1 << 20
_NO_ROWS = b"\xff" * 64
_DATA_FOLLOWS = re.compile(r"^\s*INSERT\s+INTO\s.*\sFORMAT\s+\w+\s*$", re.IGNORECASE | re.DOTALL)


@dataclass
class FakeServer:
    """What the test may look at and turn. `url` lacks user and password; the only user is `writer`, `se/cret`."""

    folder: str
    port: int = 0
    requests: list[str] = field(default_factory=list)
    tls: bool = False
    lose_connection_after: str | None = None
    """A request whose SQL holds this text is carried out, and its connection closed without an answer."""

    def url(self, user: str = "writer", password: str = "se%2Fcret", database: str = "flames") -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{user}:{password}@127.0.0.1:{self.port}/{database}"


@contextmanager
def fake_clickhouse(folder: str, port: int = 0, *, tls: ssl.SSLContext | None = None) -> Iterator[FakeServer]:
    """A server on the loopback, on a free port unless one is given, its data in `folder`; over TLS if told to.

    Whose certificate `tls` asks for and trusts may be `writer` without a password, if it is of that common name.
    """
    state = FakeServer(folder, tls=tls is not None)
    with _Server(("127.0.0.1", port), state) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True) if tls else server.socket
        state.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], state: FakeServer) -> None:
        super().__init__(address, _Handler)
        self.state = state
        self.handles = _Handles(state.folder)

    def server_close(self) -> None:
        super().server_close()
        self.handles.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer's body waits 40 ms for the receipt of its head
    server: _Server

    def do_POST(self) -> None:
        if _DATA_FOLLOWS.match(dict(parse_qsl(urlsplit(self.path).query)).get("query", "")):
            with _flowing(self._pieces()) as body:
                self._do(body)
            return
        with tempfile.NamedTemporaryFile(dir=_IN_MEMORY) as body:
            for piece in self._pieces():
                body.write(piece)
            body.flush()
            self._do(Path(body.name))

    do_GET = do_POST  # noqa: N815 - the name that http.server calls

    def _do(self, body: Path) -> None:
        state = self.server.state
        parameters = _parameters(self.path, self.headers.get("Content-Type", ""), body)
        sql = parameters.get("query") or body.read_text()
        state.requests.append(sql)
        if not _is_writer(self):
            self._answer(403, b"Code: 516. DB::Exception: writer: Authentication failed. (AUTHENTICATION_FAILED)", 516)
            return
        try:
            with self.server.handles.one() as handle:
                data = handle.run(sql, parameters, body)
        except Exception as error:  # noqa: BLE001 - whatever the engine says is the answer
            code = re.search(r"Code: (\d+)", str(error))
            self._answer(500, str(error).encode(), int(code[1]) if code else 1)
            return
        if state.lose_connection_after and state.lose_connection_after in sql:
            self.close_connection = True
            return
        self._answer(200, data)

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") != "chunked":
            size = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(size)
            if len(data) < size:
                raise ValueError("the client went away")
            yield data
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, data: bytes, code: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-ClickHouse-Summary", "{}")
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _parameters(path: str, content_type: str, body: Path) -> dict[str, str]:
    """Of the address, and of a form: there come those that are too long for an address."""
    found = dict(parse_qsl(urlsplit(path).query, keep_blank_values=True))
    if content_type.startswith("multipart/form-data"):
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        for part in message_from_bytes(head + body.read_bytes(), policy=default).iter_parts():
            found[str(part.get_param("name", header="content-disposition"))] = part.get_content()
    return found


def _is_writer(request: BaseHTTPRequestHandler) -> bool:
    if request.headers.get("X-ClickHouse-SSL-Certificate-Auth") == "on":
        assert isinstance(request.connection, ssl.SSLSocket)
        names = dict(pair for (pair,) in (request.connection.getpeercert() or {}).get("subject", ()))
        return names.get("commonName") == request.headers["X-ClickHouse-User"] == "writer"
    return request.headers.get("Authorization") == "Basic " + base64.b64encode(b"writer:se/cret").decode()


@contextmanager
def _flowing(pieces: Iterator[bytes]) -> Iterator[Path]:
    """Rows as a pipe that the engine reads while they come; what it does not want is read all the same."""
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY) as folder:
        pipe = Path(folder, "rows")
        os.mkfifo(pipe)
        feeding = Thread(target=_feed, args=(pipe, pieces))
        feeding.start()
        try:
            yield pipe
        finally:
            _read_to_end(pipe, feeding)


def _read_to_end(pipe: Path, feeding: Thread) -> None:
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as rest:  # noqa: PTH123  a descriptor
        while feeding.is_alive():
            rest.read(_PIPE_BYTES)
            feeding.join(0.001)


def _feed(pipe: Path, pieces: Iterator[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError), pipe.open("wb", buffering=0) as rows:
        fcntl.fcntl(rows, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            for piece in pieces:
                rows.write(piece)
        except (OSError, ValueError) as error:
            if not isinstance(error, BrokenPipeError):
                rows.write(_NO_ROWS)  # the client went away: what came of it must not look whole
    for _ in pieces:
        pass


class _Handles:
    """Handles on the engine, one for each question that is under way: as on a server, none waits for another."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._all = [_Handle(folder)]  # one stays open, and with it the store
        self._free = list(self._all)
        self._lock = Lock()

    @contextmanager
    def one(self) -> Iterator["_Handle"]:
        with self._lock:
            if not self._free:
                self._all.append(_Handle(self._folder))
                self._free.append(self._all[-1])
            handle = self._free.pop()
        try:
            yield handle
        finally:
            with self._lock:
                self._free.append(handle)

    def close(self) -> None:
        for handle in self._all:
            handle.connection.close()


class _Handle:
    """`applied` are the settings that hold on it already, for each costs as much as a query."""

    def __init__(self, folder: str) -> None:
        self.connection: Any = chdb.connect(folder)
        self.applied: dict[str, str] = {}

    def run(self, sql: str, parameters: dict[str, str], body: Path) -> bytes:
        """Carry out a statement; `body` holds its rows, if they follow it."""
        values = {name.removeprefix("param_"): value for name, value in parameters.items() if name.startswith("param_")}
        database = parameters.get("database")
        if database and self.applied.get("") != database:
            self.connection.query(f"USE `{database}`")
            self.applied[""] = database
        settings = {
            name: value
            for name, value in parameters.items()
            if name not in _OF_THE_PROTOCOL and not name.startswith("param_") and self.applied.get(name) != value
        }
        for name, value in settings.items():
            self.connection.query(f"SET {name} = '{value}'")
            self.applied[name] = value
        if parameters.get("query") and _DATA_FOLLOWS.match(sql):
            sql = re.sub(r"\sFORMAT\s+(\w+)\s*$", rf" FROM INFILE '{body}' FORMAT \1", sql)
            return bytes(self.connection.query(sql).bytes() or b"")
        answer = self.connection.query(sql, parameters.get("default_format", "TabSeparated"), params=values)
        return bytes(answer.bytes() or b"")


class StoreProcess:
    """The same server in a process of its own, which a test may kill and start again on its data and port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        (self.port,) = free_ports(1)  # of another no connection has taken it while this is away

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.support.clickhouse_http", str(self._folder), str(self.port)]
        with (self._folder.parent / f"{self._folder.name}.log").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "up\n"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    @property
    def pid(self) -> int:
        """Its process id, once started."""
        assert self._process is not None
        return self._process.pid

    def url(self) -> str:
        """As a worker is to be told it."""
        return FakeServer(str(self._folder), self.port).url()


if __name__ == "__main__":
    with fake_clickhouse(sys.argv[1], int(sys.argv[2])):
        print("up", flush=True)  # noqa: T201  said to whoever started us
        sys.stdin.read()
    os._exit(0)  # the engine's own end takes its time
