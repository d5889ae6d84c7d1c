"""A document from a URL, past the same guard as a load: this machine, and hosts on the list."""

import ssl
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from producers.load.drafts.document import DOCUMENT_BYTES
from producers.load.drafts.paths import split_url
from producers.load.guard import Guard, TargetError
from producers.load.outcomes import NotAllowedError

_FETCH_S = 15.0


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL that was fetched."""
    parts = split_url(url)
    return parts[0] if parts else ""


async def fetched(url: str, allow_hosts: Collection[str]) -> bytes:
    """The body of an answer with status 200, one byte over 32 MiB at most. Raises TargetError.

    Query and password of the URL are not repeated in errors.
    """
    parts = split_url(url)
    if parts is None or "@" in urlsplit(url).netloc:
        raise TargetError("the URL of the document does not fit; write one like http://127.0.0.1:8000/openapi.json")
    shown = parts[0] + parts[1].partition("?")[0]
    guard = Guard(allow_hosts)
    timeout = aiohttp.ClientTimeout(total=_FETCH_S)
    try:
        async with (
            aiohttp.ClientSession(connector=guard.connector(), timeout=timeout) as session,
            session.get(url) as response,
        ):
            if response.status != HTTPStatus.OK:
                raise TargetError(f"{shown} answers {response.status}; give the URL of the document itself")
            data = bytearray()
            async for piece in response.content.iter_chunked(1 << 16):
                data += piece
                if len(data) > DOCUMENT_BYTES:
                    break
            return bytes(data[: DOCUMENT_BYTES + 1])
    except NotAllowedError as error:
        raise TargetError(
            f"{shown} is on another machine ({error}); if you may ask it, say so with --allow-host "
            f"{urlsplit(url).hostname} or in LOADFLAME_ALLOW_HOSTS, or save the document and give the file"
        ) from error
    except TimeoutError as error:
        raise TargetError(f"{shown} does not answer within {_FETCH_S:.0f} s; is it up?") from error
    except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
        raise TargetError(
            f"{shown} cannot be fetched ({type(error).__name__}); start the service, or give a file"
        ) from error
