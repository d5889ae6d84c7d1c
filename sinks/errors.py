"""What can be wrong with the store.

StoreError                  base: says whether trying again can help, and when
+-- StoreUnreachableError   nobody answers there: retriable
+-- StoreBusyError          another process, or another path of this process, has the embedded engine
+-- StoreRefusedError       wrong user or password, or a right that is missing
+-- MigrationError          the store was made by another version of loadflame
+-- RowsGoneError           a batch is known, but its rows have outlived their time: it cannot be read back
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError

from schemas.errors import UserError


class StoreError(UserError):
    """Base of every error of the store; `retriable` and `retry_after_s` are the decision that the caller needs."""

    def __init__(self, sentence: str, *, retriable: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.retriable = retriable
        self.retry_after_s = retry_after_s


class StoreUnreachableError(StoreError):
    """The server does not answer. Always retriable."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, retriable=True, retry_after_s=1.0)


class StoreBusyError(StoreError):
    """The embedded engine serves one process at a time, and one path in it. `holder` is its pid, if it is known."""

    def __init__(self, sentence: str, holder: int | None = None) -> None:
        super().__init__(sentence)
        self.holder = holder


class StoreRefusedError(StoreError):
    """The server answers, and says no."""


class MigrationError(StoreError):
    """The store's migrations are not those of this version."""


class RowsGoneError(StoreError):
    """Rows of a visible batch are no longer there, so its window cannot be computed again."""


# ClickHouse's numbers of what passes: seconds to wait before the next try. Source: ErrorCodes.cpp of ClickHouse.
_PASSING_S = {
    75: 5.0,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
    159: 1.0,  # TIMEOUT_EXCEEDED
    198: 2.0,  # DNS_ERROR
    202: 1.0,  # TOO_MANY_SIMULTANEOUS_QUERIES
    209: 1.0,  # SOCKET_TIMEOUT
    210: 1.0,  # NETWORK_ERROR
    225: 2.0,  # NO_ZOOKEEPER
    241: 2.0,  # MEMORY_LIMIT_EXCEEDED
    242: 5.0,  # TABLE_IS_READ_ONLY
    243: 30.0,  # NOT_ENOUGH_SPACE
    252: 5.0,  # TOO_MANY_PARTS
    279: 2.0,  # ALL_CONNECTION_TRIES_FAILED
    285: 5.0,  # TOO_FEW_LIVE_REPLICAS
    319: 1.0,  # UNKNOWN_STATUS_OF_INSERT
    394: 1.0,  # QUERY_WAS_CANCELLED
    999: 2.0,  # KEEPER_EXCEPTION
    1001: 5.0,  # STD_EXCEPTION: the file system, mostly
}
_REFUSED = {192, 194, 497, 516}  # UNKNOWN_USER, REQUIRED_PASSWORD, ACCESS_DENIED, AUTHENTICATION_FAILED
NOT_MADE = {60, 81}  # UNKNOWN_TABLE, UNKNOWN_DATABASE


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn the driver's errors into StoreError; `doing` ends the sentence "the store could not ...".

    Errors of our own pass through unchanged.
    """
    try:
        yield
    except ClickHouseError as error:
        raise translated(error, doing) from error
    except OSError as error:
        raise StoreError(f"the store could not {doing}: {error}", retriable=True, retry_after_s=5.0) from error


def translated(error: ClickHouseError, doing: str) -> StoreError:
    """The StoreError that says what the driver's error means."""
    code = error.code if isinstance(error, Error) else None
    said = _sentence(str(error))
    if code is None and isinstance(error, OperationalError):
        return StoreUnreachableError(f"the store could not {doing}: it does not answer; is the server still up?")
    if code in _REFUSED:
        return StoreRefusedError(f"the store refuses to {doing}: {said}; check the user, its password and its rights")
    if code in NOT_MADE:
        return MigrationError(f"the store could not {doing}: {said}; it was not set up by this version: migrate it")
    after_s = _PASSING_S.get(code or 0)
    return StoreError(
        f"the store could not {doing}: {said}", retriable=after_s is not None, retry_after_s=after_s or 0.0
    )


def _sentence(text: str) -> str:
    """The engine's own words: without its version, its stack and the driver's preface."""
    text = text.partition("Stack trace")[0]
    match = re.search(r"DB::Exception: (.*)", text, re.DOTALL)
    said = " ".join((match[1] if match else text).split())
    said = re.sub(r"\s*\(version [^)]*(\([^)]*\))?\)\s*$", "", said)
    return said[:300].rstrip(" .,")
