"""What a request is called: many paths are one endpoint, and names stay few whatever is asked for."""

import re
from functools import lru_cache

OTHER = "(other)"
ENDPOINT_LENGTH = 200
_IDENTIFIER = re.compile(
    r"\d+|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{24,}"
)


@lru_cache(maxsize=100_000)
def template_of(path: str) -> str:
    """The path without its query, each number, UUID or long hexadecimal segment written as `{id}`."""
    segments = path.partition("?")[0].split("/")
    return "/".join("{id}" if _IDENTIFIER.fullmatch(segment) else segment for segment in segments)


def endpoint_of(method: str, target: str) -> str:
    """`GET /items/{id}`: of a path or a whole URL, without its query, which may hold secrets; cut to 200 letters."""
    path = target
    if "://" in target[:16]:  # a proxy writes whole URLs
        path = "/" + target.partition("://")[2].partition("/")[2]
    path = path.partition("?")[0].partition("#")[0][:ENDPOINT_LENGTH]
    return printable(f"{method[:16]} {template_of(path)}"[:ENDPOINT_LENGTH])


def printable(name: str) -> str:
    """The name with a question mark for each letter that is none, halves of letters included."""
    return name if name.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in name)


class FewNames:
    """Tells at most so many names apart; what comes beyond is called `(other)`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: dict[str, str] = {}

    def known(self, name: str) -> str:
        """The name itself, one object for all that are equal, or `(other)`."""
        if name in self._names or len(self._names) < self._most:
            return self._names.setdefault(name, name)
        return OTHER
