"""How an embedded store is shared: one process has it, and says in a small file beside it how others read through it.

The file `<store>.gateway` names an address on loopback, a token and the process. Only this user can read it, so only
this user's processes can ask. It counts for as long as that very process has the store: the engine's own lock says who
that is, so that a file which a killed process left behind is nobody's.

A worker keeps the store for as long as it runs. `loadflame serve` gives it away when somebody wants to write.
"""

import contextlib
import http.client
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from sinks.connect import check_embedded, embedded_folder
from sinks.errors import StoreBusyError

YIELD_PATH = "/loadflame/yield"
_YIELD_S = 15.0
_APPEAR_S = 1.0
"""A worker opens its store a moment before it can be asked."""
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Share:
    """How to read through the process that has the store. `yields`: it gives the store to whoever wants to write."""

    url: str
    token: str
    pid: int
    yields: bool = False

    def store_url(self, database: str) -> str:
        """As `open_client` takes it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://loadflame:{quote(self.token, safe='')}@{parts.netloc}/{quote(database, safe='')}"


@contextlib.contextmanager
def shared(url: str, share: Share) -> Iterator[None]:
    """Say how the embedded store at `url` is read, for as long as inside."""
    path = _file_of(embedded_folder(url))
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f"{path.name}-", delete=False) as file:  # mode 0600
        json.dump(asdict(share), file)
    Path(file.name).replace(path)
    try:
        yield
    finally:
        if _read(path) == share:
            path.unlink(missing_ok=True)


def share_of(url: str, holder: int | None) -> Share | None:
    """How to read the embedded store at `url`, which the process `holder` has; None when it does not say."""
    share = _read(_file_of(embedded_folder(url)))
    return share if share and holder in (None, share.pid) and _lives(share.pid) else None


def awaited_share(busy: StoreBusyError, url: str) -> Share:
    """The same, waiting a moment for it. Blocks. Raises `busy` when there is none to come."""
    until = time.monotonic() + _APPEAR_S
    while busy.holder not in (None, os.getpid()):
        if share := share_of(url, busy.holder):
            return share
        if time.monotonic() > until:
            break
        time.sleep(_POLL_S)
    raise busy


def make_room(url: str) -> None:
    """Have whoever has the embedded store at `url`, and does not need it to write, let go of it. Blocks.

    Raises StoreBusyError when it is needed, or is not let go of; nothing when nobody has it.
    """
    try:
        check_embedded(url)
    except StoreBusyError as busy:
        share = share_of(url, busy.holder)
        if share is None or not share.yields:
            raise
        _ask_for_it(share, busy)
        until = time.monotonic() + _YIELD_S
        while True:
            try:
                check_embedded(url)
            except StoreBusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(_POLL_S)
            else:
                return


def would_make_room(url: str, busy: StoreBusyError) -> bool:
    """Whether `make_room` may be expected to end well where `busy` was raised."""
    share = share_of(url, busy.holder)
    return share is not None and share.yields


def _ask_for_it(share: Share, busy: StoreBusyError) -> None:
    connection = http.client.HTTPConnection(urlsplit(share.url).netloc, timeout=_YIELD_S)
    try:
        connection.request("POST", YIELD_PATH, headers={"X-ClickHouse-Key": share.token})
        if connection.getresponse().status != 200:
            raise busy
    except OSError:
        raise busy from None  # unless it has just ended, which the lock says
    finally:
        connection.close()


def _file_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.gateway")


def _read(path: Path) -> Share | None:
    try:
        return Share(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
