"""What the head of an HTTP/1.1 answer says besides its status (RFC 9112). Pure."""

import re

from yarl import URL

HEAD_END = b"\r\n\r\n"
LONGEST_HEAD_BYTES = 64 << 10
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r\n]")
_SIZED = re.compile(rb"\r\n(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE)
_REDIRECTS = (301, 302, 303, 307, 308)
_KEEPING_THE_METHOD = (307, 308)


def status_of(head: bytes) -> int:
    """The status that an answer began with, however it went on; 0 when it did not come that far."""
    match = _STATUS_LINE.match(head)
    return int(match[1]) if match else 0


def ends_with_connection(head: bytes) -> bool:
    """Whether the answer's body goes on until the connection is closed (RFC 9112, section 6.3)."""
    return HEAD_END in head and not _SIZED.search(head)


def redirected(method: str, url: str, status: int, head: bytes) -> tuple[str, URL] | None:
    """Method and URL that a redirect asks for, None when it is none (RFC 9110, section 15.4).

    A POST that is found elsewhere becomes a GET, as in every browser. What is no URL gives one that no host answers.
    """
    location = _LOCATION.search(head) if status in _REDIRECTS else None
    if location is None:
        return None
    keeps = status in _KEEPING_THE_METHOD or method in ("GET", "HEAD")
    return method if keeps else "GET", URL(url).join(URL(location[1].decode("latin-1")))
