"""A client of the store by URL: `chdb:///directory` in this process, `http(s)://user:password@host:port/database`.

What a server asks for beside a password stands in the URL as well, so that whoever has the URL has all of it; files are
named in it, not held:

    https://writer@clickhouse:8443/loadflame?password_file=/run/secrets/writer&ca_cert=/etc/ssl/ca.pem
    https://writer@clickhouse:8443/loadflame?client_cert=/etc/ssl/writer.pem&client_cert_key=/etc/ssl/writer.key

Both speak the same SQL through the same driver, so nothing above this file knows which of them it talks to.
"""

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import ParseResult, parse_qs, unquote, urlparse

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.errors import UserError
from schemas.tls import TlsTrouble, tls_trouble
from sinks.embedded import NOT_KEPT, load_engine
from sinks.errors import StoreBusyError, StoreError, StoreRefusedError, StoreUnreachableError, translated
from sinks.secrets import read_secret

DATABASE = "loadflame"
"""Database in use when the URL names none."""

EMBEDDED_SETTINGS: dict[str, str | int] = {
    **NOT_KEPT,
    "output_format_arrow_compression_method": "none",  # what is read goes over no network
}

_HIDDEN = re.compile(r"(://[^:/@]*):.*@")
_CERTIFICATES = ("ca_cert", "client_cert", "client_cert_key")
_TLS: dict[TlsTrouble, str] = {
    "not trusted": "the certificate of ClickHouse at {where} is not trusted ({words}); name the authority that signed "
    "it by ?ca_cert=FILE in the store's URL",
    "other name": "the certificate of ClickHouse at {where} is for another name ({words}); name the server by one that "
    "is in it",
    "expired": "the certificate of ClickHouse at {where} is not valid now ({words}); renew it, or mend this "
    "machine's clock",
    "client certificate": "ClickHouse at {where} does not take our certificate ({words}); name one that it trusts by "
    "?client_cert=FILE&client_cert_key=FILE in the store's URL",
    "cut off": "ClickHouse at {where} does not answer ({words}); if it asks for a certificate, name one by "
    "?client_cert=FILE&client_cert_key=FILE in the store's URL, if not, see whether it is well",
    "no TLS": "ClickHouse at {where} does not speak TLS; write http://, or name the port of its https",
}
_NO_CHDB = "the embedded store needs the package chdb: pip install 'loadflame[local]', or name a ClickHouse server"

# The driver warns of what it raises; our errors say it once. Without a handler the warning would reach stderr.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())


def open_client(url: str) -> Client:
    """Open the store at `url`.

    `chdb:///directory[?database=NAME]` is the embedded engine, which serves one process and one directory at a time
    (several clients of one directory may be open in it); `http(s)://user:password@host[:port][/DATABASE]` is a server,
    with `?password_file=` instead of the password, `&ca_cert=` for the authority that signed its certificate and
    `&client_cert=`, `&client_cert_key=` for one of ours (which stands for the password, unless one is given as well).
    The database need not exist yet: `sinks.migrate.migrate` makes it. One client is for one thread at a time. Blocks.

    Raises StoreBusyError, StoreUnreachableError, StoreRefusedError or StoreError, each one sentence with the remedy
    and without the password.
    """
    parts = _parsed(url)
    if parts.scheme == "chdb":
        client = _embedded(parts)
        for name, value in EMBEDDED_SETTINGS.items():
            client.command(f"SET {name} = {value!r}")
        client.database = embedded_database(url)
    elif parts.scheme in ("http", "https") and parts.hostname:
        client = _server(parts)
        client.database = unquote(parts.path.strip("/")) or DATABASE
    else:
        raise StoreError(
            f"no store is known by {shown_url(parts)}; write chdb:///absolute/directory or http://user:password@host:8123/db"
        )
    return client


def _parsed(url: str) -> ParseResult:
    """Raises StoreError for a URL of which a part, most likely its password, would be taken for another."""
    try:
        parts = urlparse(url)
        torn = parts.scheme.startswith("http") and (parts.port == 0 or "@" in parts.path + parts.fragment)
    except ValueError:  # whose text may hold a piece of the password
        torn = True
    if torn:
        raise StoreError(
            "the store's URL cannot be read; write letters of its password that mean something in a URL as %2F (/), "
            "%3A (:), %40 (@), %23 (#), or name a file that holds it by ?password_file=FILE"
        ) from None
    return parts


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


def is_embedded(url: str) -> bool:
    """Whether the URL names an embedded store: one process has it at a time, and others reach it through that one."""
    return url.startswith("chdb:")


def embedded_folder(url: str) -> Path:
    """The folder that the URL of an embedded store names. Raises StoreError."""
    return _folder(urlparse(url))


def embedded_database(url: str) -> str:
    """The database that the URL of an embedded store names."""
    return parse_qs(urlparse(url).query).get("database", [DATABASE])[0]


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
    try:
        load_engine()
        with _one_at_a_time(path):
            _refuse_when_in_use(path)
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


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Of two processes that open a folder at once the second shall find the engine's lock taken, and not the engine."""
    with path.with_name(f"{path.name}.opening").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
        "ended, name another folder with --data-dir, or use a ClickHouse server",
        holder,
    )


def server_access(url: str) -> tuple[ParseResult, dict[str, Any]]:
    """The parts of a server's URL, and what it says of `password` and of the files `ca_cert`, `client_cert` and
    `client_cert_key`, for others who are to reach it. Raises StoreError when it is none of a server.
    """
    parts = _parsed(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StoreError(f"{shown_url(parts)} is no URL of a ClickHouse server; write http://user@host:8123/database")
    return parts, _options(parts)


def _server(parts: ParseResult) -> Client:
    user = unquote(parts.username or "default")
    secure = parts.scheme == "https"
    port = parts.port or (8443 if secure else 8123)
    where = f"{parts.scheme}://{parts.hostname}:{port}"
    options = _options(parts)
    try:
        return _get_client(
            interface=parts.scheme,
            host=parts.hostname,
            port=port,
            username=user,
            **options,
            connect_timeout=5,
            send_receive_timeout=120,
            # The store decides on repetition itself: a repeated insert needs new flush ids.
            query_retries=0,
            # Without a session, clients of one process may work at the same time.
            autogenerate_session_id=False,
        )
    except ClickHouseError as error:
        if trouble := tls_trouble(error):
            what, words = trouble
            kind = StoreUnreachableError if what == "cut off" else StoreRefusedError
            raise kind(_TLS[what].format(where=where, words=words)) from error
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


def _options(parts: ParseResult) -> dict[str, Any]:
    """What the URL says of password and certificates, as the driver takes it. Raises StoreError."""
    given = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if unknown := given.keys() - {"password_file", *_CERTIFICATES}:
        raise StoreError(
            f"{shown_url(parts)} says {min(unknown)}, which is not known; known are password_file, "
            f"{', '.join(_CERTIFICATES)}"
        )
    password, file = unquote(parts.password or ""), given.pop("password_file", None)
    if file is not None:
        if password:
            raise StoreError(f"{shown_url(parts)} has a password and names a file of one; take one of them away")
        password = _from_file(Path(file))
    if given and parts.scheme == "http":
        raise StoreError(f"{shown_url(parts)} names a certificate, which http:// does not use; write https://")
    for name, path in given.items():
        _refuse_unreadable(name, Path(path))
    if "client_cert" in given:
        # The driver would leave the password out, for the certificate is enough; who gives both means both.
        given["tls_mode"] = "strict" if password else "mutual"
    elif "client_cert_key" in given:
        raise StoreError(f"{shown_url(parts)} names a key without its certificate; name that by client_cert as well")
    return {"password": password, **given}


def _from_file(path: Path) -> str:
    try:
        return read_secret(path, "the store's password_file")
    except UserError as error:
        raise StoreError(str(error)) from error


def _refuse_unreadable(name: str, path: Path) -> None:
    """The driver would not say which of the files it means."""
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise StoreError(
            f"the store's {name} {path} cannot be read ({error.strerror}); name another file, or mend its rights"
        ) from error


def _get_client(**options: Any) -> Client:
    client: Client = clickhouse_connect.get_client(**options)
    return client


def shown_url(parts: ParseResult) -> str:
    """The URL without its password, in quotes; also when the password's own letters tear the URL apart."""
    return repr(_HIDDEN.sub(r"\1:...@", parts.geturl()))
