"""Short names for what went wrong with a request: the `error` column.

| name             | what happened                                                        |
|------------------|----------------------------------------------------------------------|
| timeout          | no complete answer within the plan's timeout                         |
| refused          | nothing listens                                                      |
| reset            | the connection was broken off                                        |
| closed           | the connection was closed in order, but before the answer was whole  |
| unreachable      | no route to the host or network                                      |
| unresolvable     | the host's name is not known                                         |
| tls              | no trusted TLS connection came about                                 |
| not allowed      | a redirect led to a host that may not be loaded                      |
| redirects        | more redirects than the plan follows                                 |
| no file handles  | the generator ran out of sockets: raise `ulimit -n`                  |
| no ports         | the generator ran out of local ports                                 |
| bad answer       | the answer is not HTTP                                               |
| too long         | more came than the answer had announced; from `aiohttp`, which       |
|                  | forgets an answer when what came with it is none, a `bad answer` if  |
|                  | all of it came at once                                               |
| http 500 (etc.)  | the answer's status is 400 or above                                  |
"""

import errno
import ssl
from collections.abc import Iterator
from http import HTTPStatus

import aiohttp


class TooLongError(aiohttp.ClientPayloadError):
    """More came than the answer had announced."""


class NotAllowedError(Exception):
    """A connection was about to be made to an address that may not be loaded; see `producers.load.guard`."""


_BY_NUMBER = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EMFILE: "no file handles",
    errno.ENFILE: "no file handles",
    errno.EADDRNOTAVAIL: "no ports",
}
# The first that fits counts, so the special stand before the general.
_BY_KIND: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "timeout"),
    (NotAllowedError, "not allowed"),
    (TooLongError, "too long"),
    (aiohttp.ClientConnectorDNSError, "unresolvable"),
    (aiohttp.ClientSSLError, "tls"),
    (ssl.SSLError, "tls"),
    (aiohttp.TooManyRedirects, "redirects"),
    (aiohttp.InvalidURL, "redirects"),
)
_LAST: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ServerDisconnectedError, "closed"),
    (aiohttp.ClientPayloadError, "closed"),
    (ConnectionError, "reset"),
    (aiohttp.ClientConnectionError, "reset"),
    (aiohttp.ClientResponseError, "bad answer"),
)


def error_of(status: int) -> str | None:
    """The error that a status stands for; None below 400."""
    return f"http {status}" if status >= HTTPStatus.BAD_REQUEST else None


def error_name(error: BaseException) -> str:
    """The short name of what an engine's request raised."""
    for kind, name in _BY_KIND:
        if isinstance(error, kind):
            return name
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in _BY_NUMBER:
            return _BY_NUMBER[cause.errno]
    for kind, name in _LAST:
        if isinstance(error, kind):
            return name
    return type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
