"""Enough of ClickHouse's HTTP interface, over the embedded engine, to drive the real HTTP client against it.

No ClickHouse server is at hand in tests; this stands in for one, so that the code path of `http://` stores (request
shapes, parameters, settings, error codes, passwords, lost connections) is run as well. It is no part of the product.
Reference: the chapter "HTTP interface" of ClickHouse's documentation.
"""

import base64
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

ROOT = Path(__file__).parents[2]
# Request parameters that are no settings of a query.
_OF_THE_PROTOCOL = {
    "query", "database", "default_format", "wait_end_of_query", "session_id", "query_id", "client_protocol_version",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression", "compress",
}  # fmt: skip
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
    connection = chdb.connect(folder)
    lock = Lock()
    applied: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b"".join(iter(self._chunk, b""))
            parameters = _parameters(self.path, self.headers.get("Content-Type", ""), body)
            sql = parameters.get("query") or body.decode()
            state.requests.append(sql)
            if not _is_writer(self):
                self._answer(
                    403, b"Code: 516. DB::Exception: writer: Authentication failed. (AUTHENTICATION_FAILED)", 516
                )
                return
            try:
                with lock:
                    data = _run(connection, sql, parameters, body, applied)
            except Exception as error:  # noqa: BLE001 - whatever the engine says is the answer
                code = re.search(r"Code: (\d+)", str(error))
                self._answer(500, str(error).encode(), int(code[1]) if code else 1)
                return
            if state.lose_connection_after and state.lose_connection_after in sql:
                self.close_connection = True
                return
            self._answer(200, data)

        do_GET = do_POST  # noqa: N815 - the name that http.server calls

        def _chunk(self) -> bytes:
            size = int(self.rfile.readline(), 16)
            chunk = self.rfile.read(size)
            self.rfile.readline()
            return chunk

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

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.socket = tls.wrap_socket(server.socket, server_side=True) if tls else server.socket
    state.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        connection.close()


def _parameters(path: str, content_type: str, body: bytes) -> dict[str, str]:
    """Of the address, and of a form: there come those that are too long for an address."""
    found = dict(parse_qsl(urlsplit(path).query, keep_blank_values=True))
    if content_type.startswith("multipart/form-data"):
        form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=default)
        for part in form.iter_parts():
            found[str(part.get_param("name", header="content-disposition"))] = part.get_content()
    return found


def _is_writer(request: BaseHTTPRequestHandler) -> bool:
    if request.headers.get("X-ClickHouse-SSL-Certificate-Auth") == "on":
        assert isinstance(request.connection, ssl.SSLSocket)
        names = dict(pair for (pair,) in (request.connection.getpeercert() or {}).get("subject", ()))
        return names.get("commonName") == request.headers["X-ClickHouse-User"] == "writer"
    return request.headers.get("Authorization") == "Basic " + base64.b64encode(b"writer:se/cret").decode()


def _run(connection: Any, sql: str, parameters: dict[str, str], body: bytes, applied: dict[str, str]) -> bytes:
    """Carry out a statement; `applied` are the settings that hold already, for each costs as much as a query."""
    values = {name.removeprefix("param_"): value for name, value in parameters.items() if name.startswith("param_")}
    database = parameters.get("database")
    if database and applied.get("") != database:
        connection.query(f"USE `{database}`")
        applied[""] = database
    settings = {
        name: value
        for name, value in parameters.items()
        if name not in _OF_THE_PROTOCOL and not name.startswith("param_") and applied.get(name) != value
    }
    for name, value in settings.items():
        connection.query(f"SET {name} = '{value}'")
        applied[name] = value
    if parameters.get("query") and _DATA_FOLLOWS.match(sql):
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            sql = re.sub(r"\sFORMAT\s+(\w+)\s*$", rf" FROM INFILE '{file.name}' FORMAT \1", sql)
            return bytes(connection.query(sql).bytes() or b"")
    return bytes(connection.query(sql, parameters.get("default_format", "TabSeparated"), params=values).bytes() or b"")


class StoreProcess:
    """The same server in a process of its own, which a test may kill and start again on its data and port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.support.clickhouse_http", str(self._folder), str(self.port)]
        with (self._folder.parent / f"{self._folder.name}.log").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
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
    with fake_clickhouse(sys.argv[1], int(sys.argv[2])) as _server:
        print(_server.port, flush=True)  # noqa: T201  said to whoever started us
        sys.stdin.read()
    os._exit(0)  # the engine's own end takes its time
