"""A client of the store by URL: `chdb:///directory` in this process, `http(s)://user:password@host:port/database`.

Both speak the same SQL through the same driver, so nothing above this file knows which of them it talks to.
"""

import fcntl
import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import ParseResult, parse_qs, unquote, urlparse

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from sinks.errors import StoreBusyError, StoreError, StoreRefusedError, StoreUnreachableError, translated

DATABASE = "loadflame"
"""Database in use when the URL names none."""

_NO_CHDB = "the embedded store needs the package chdb: pip install 'loadflame[local]', or name a ClickHouse server"

# The driver warns of what it raises; our errors say it once. Without a handler the warning would reach stderr.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())


def open_client(url: str) -> Client:
    """Open the store at `url`.

    `chdb:///directory[?database=NAME]` is the embedded engine, which serves one process and one directory at a time
    (several clients of one directory may be open in it); `http(s)://user:password@host[:port][/DATABASE]` is a server.
    The database need not exist yet: `sinks.migrate.migrate` makes it. One client is for one thread at a time. Blocks.

    Raises StoreBusyError, StoreUnreachableError, StoreRefusedError or StoreError, each one sentence with the remedy
    and without the password.
    """
    parts = urlparse(url)
    if parts.scheme == "chdb":
        client = _embedded(parts)
        client.database = parse_qs(parts.query).get("database", [DATABASE])[0]
    elif parts.scheme in ("http", "https") and parts.hostname:
        client = _server(parts)
        client.database = unquote(parts.path.strip("/")) or DATABASE
    else:
        raise StoreError(
            f"no store is known by {shown_url(parts)}; write chdb:///absolute/directory or http://user:password@host:8123/db"
        )
    return client


def check_embedded(url: str) -> None:
    """Raise what `open_client` would for an embedded store, as far as that is to be told without loading the engine.

    Makes nothing: its folder could be made and written, and nobody else has it.
    """
    path = _folder(urlparse(url))
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not there.is_dir():
        raise StoreError(f"the store's folder {path} cannot be made: {there} is a file; name another one")
    _refuse_unwritable(there)
    _refuse_when_in_use(path)
    if find_spec("chdb") is None:
        raise StoreError(_NO_CHDB)


def _folder(parts: ParseResult) -> Path:
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute():
        raise StoreError(f"{shown_url(parts)} names no absolute directory; write chdb:///absolute/directory")
    return path


def _refuse_unwritable(path: Path) -> None:
    if not os.access(path, os.W_OK | os.X_OK):
        raise StoreError(f"the store's folder {path} is not writable; name another one, or mend its permissions")


def _embedded(parts: ParseResult) -> Client:
    path = _folder(parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the store's folder {path} cannot be made: {error.strerror}; name another one") from error
    _refuse_unwritable(path)
    _refuse_when_in_use(path)
    try:
        return _get_client(interface="chdb", path=str(path))
    except ImportError as error:
        raise StoreError(_NO_CHDB) from error
    except ClickHouseError as error:
        if "already initialized with path" in str(error):
            raise StoreBusyError(
                f"the store {path} cannot be opened: this process has the embedded store of another folder open, and "
                "only one is possible; close that one first"
            ) from error
        if "Error initializing EmbeddedServer" in str(error) and "filesystem" not in str(error):
            raise _busy(path, None) from error
        raise translated(error, f"be opened at {path}") from error


def _refuse_when_in_use(path: Path) -> None:
    """Raise StoreBusyError when another process has the engine's lock on `path`.

    Asked beforehand, because the engine prints to stderr when it finds the lock taken, and names nobody.
    """
    status = path / "status"
    try:
        with status.open("rb") as file:
            first = file.readline(64).decode(errors="replace").strip()
            holder = int(first.removeprefix("PID: ")) if first.removeprefix("PID: ").isdigit() else None
            if holder == os.getpid():
                return
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        raise _busy(path, holder) from None
    except OSError as error:
        raise StoreError(f"the store {path} cannot be read: {error.strerror}; mend its permissions") from error


def _busy(path: Path, holder: int | None) -> StoreBusyError:
    who = f"process {holder}" if holder else "another process"
    return StoreBusyError(
        f"the store {path} is in use by {who}, and the embedded store serves one at a time; wait until that one has "
        "ended, name another folder with --data-dir, or use a ClickHouse server"
    )


def _server(parts: ParseResult) -> Client:
    user = unquote(parts.username or "default")
    secure = parts.scheme == "https"
    port = parts.port or (8443 if secure else 8123)
    where = f"{parts.scheme}://{parts.hostname}:{port}"
    try:
        return _get_client(
            interface=parts.scheme,
            host=parts.hostname,
            port=port,
            username=user,
            password=unquote(parts.password or ""),
            connect_timeout=5,
            send_receive_timeout=120,
            # The store decides on repetition itself: a repeated insert needs new flush ids.
            query_retries=0,
            # Without a session, clients of one process may work at the same time.
            autogenerate_session_id=False,
        )
    except ClickHouseError as error:
        reason = translated(error, "be opened")
        if isinstance(reason, StoreUnreachableError):
            raise StoreUnreachableError(
                f"no ClickHouse answers at {where}; start it, or correct the address of the store"
            ) from error
        if isinstance(reason, StoreRefusedError):
            raise StoreRefusedError(
                f"ClickHouse at {where} refuses the user {user!r}; check the name and the password"
            ) from error
        raise reason from error


def _get_client(**options: Any) -> Client:
    client: Client = clickhouse_connect.get_client(**options)
    return client


def shown_url(parts: ParseResult) -> str:
    """The URL without its password, in quotes."""
    if parts.password is None:
        return repr(parts.geturl())
    return repr(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":...@")).geturl())
