"""Enough of ClickHouse's HTTP interface, over the embedded engine, to drive the real HTTP client against it.

No ClickHouse server is at hand in tests; this stands in for one, so that the code path of `http://` stores (request
shapes, parameters, settings, error codes, passwords, lost connections) is run as well. It is no part of the product.
Reference: the chapter "HTTP interface" of ClickHouse's documentation.
"""

import base64
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb

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
    lose_connection_after: str | None = None
    """A request whose SQL holds this text is carried out, and its connection closed without an answer."""

    def url(self, user: str = "writer", password: str = "se%2Fcret", database: str = "flames") -> str:
        return f"http://{user}:{password}@127.0.0.1:{self.port}/{database}"


@contextmanager
def fake_clickhouse(folder: str) -> Iterator[FakeServer]:
    """A server on a free port of the loopback, with its data in `folder`."""
    state = FakeServer(folder)
    connection = chdb.connect(folder)
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b"".join(iter(self._chunk, b""))
            parameters = _parameters(self.path, self.headers.get("Content-Type", ""), body)
            sql = parameters.get("query") or body.decode()
            state.requests.append(sql)
            if self.headers.get("Authorization") != "Basic " + base64.b64encode(b"writer:se/cret").decode():
                self._answer(
                    403, b"Code: 516. DB::Exception: writer: Authentication failed. (AUTHENTICATION_FAILED)", 516
                )
                return
            try:
                with lock:
                    data = _run(connection, sql, parameters, body)
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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
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


def _run(connection: Any, sql: str, parameters: dict[str, str], body: bytes) -> bytes:
    values = {name.removeprefix("param_"): value for name, value in parameters.items() if name.startswith("param_")}
    if database := parameters.get("database"):
        connection.query(f"USE `{database}`")
    settings = {
        name: value
        for name, value in parameters.items()
        if name not in _OF_THE_PROTOCOL and not name.startswith("param_")
    }
    for name, value in settings.items():
        connection.query(f"SET {name} = '{value}'")
    if parameters.get("query") and _DATA_FOLLOWS.match(sql):
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            sql = re.sub(r"\sFORMAT\s+(\w+)\s*$", rf" FROM INFILE '{file.name}' FORMAT \1", sql)
            return bytes(connection.query(sql).bytes() or b"")
    return bytes(connection.query(sql, parameters.get("default_format", "TabSeparated"), params=values).bytes() or b"")
