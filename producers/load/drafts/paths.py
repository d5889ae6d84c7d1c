"""URLs as a plan can hold them, and the paths that are one endpoint."""

import re
from urllib.parse import quote, urlsplit

PATH_LENGTH = 8192
# Braces are escaped too, so that nothing in a path is taken for a template.
_UNESCAPED = "/?:@!$&'()*+,;=-._~%[]|"
_STATIC = re.compile(
    r"\.(?:css|m?js|map|png|jpe?g|gif|svg|webp|avif|bmp|ico|woff2?|ttf|otf|eot)$",
    re.IGNORECASE,
)


def fitting_path(text: str) -> str | None:
    """Path and query without fragment, with what a URL may not hold percent-encoded; None if it is no path."""
    text = text.partition("#")[0]
    if not text.startswith("/") or len(text) > PATH_LENGTH:
        return None
    return quote(text, safe=_UNESCAPED, errors="replace")


def split_url(url: str) -> tuple[str, str] | None:
    """Origin (scheme, host and port; never a password) and path with query of an absolute URL; None if it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s%]", host):
        return None
    origin = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
    path = fitting_path((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    return (origin, path) if path else None


def is_static(path: str) -> bool:
    """Whether it ends like a style sheet, script, image or font."""
    return _STATIC.search(path.partition("?")[0]) is not None
