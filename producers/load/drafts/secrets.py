"""Values that look secret do not get into a plan: by the names that they go by, and by the form of a token."""

import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from pydantic import JsonValue

from producers.load.drafts.draft import listed

REPLACED = "REDACTED"
_SECRET = re.compile(
    r"passw|passphrase|pwd|secret|token(?!s)|api[-_]?key|access[-_]?key|private[-_]?key|auth(?!or)|signature|"
    r"session|jwt|bearer|credential|^(?:pass|key|sig|sid|pin|otp|cvv|cvc|code)$",
    re.IGNORECASE,
)
# A JSON Web Token (RFC 7519): base64url of {" ...
_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]{5,}(?:\.[\w-]+)+")


class Redactor:
    """Replaces secrets and remembers under which names they stood."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def note(self) -> list[str]:
        """A note that says what was replaced, if anything was; by its name, never by its value."""
        if not self._names:
            return []
        return [f"what looks secret became {REPLACED} ({listed(self._names)}); put test values into the plan"]

    def path(self, path: str) -> str:
        """A path and query; the query is left as it is when nothing in it looks secret."""
        path, mark, query = path.partition("?")
        if _TOKEN.search(path):
            self._names["a token in the path"] = None
            path = _TOKEN.sub(REPLACED, path)
        return path + mark + self._query(query)

    def _query(self, query: str) -> str:
        fields = [field.partition("=") for field in query.split("&")]
        return "&".join(
            f"{name}={REPLACED}" if sign and value and self._is_secret(name, value) else f"{name}{sign}{value}"
            for name, sign, value in fields
        )

    def form(self, text: str) -> str:
        """A body in application/x-www-form-urlencoded."""
        fields = parse_qsl(text, keep_blank_values=True)
        return urlencode([(name, REPLACED if self._is_secret(name, value) else value) for name, value in fields])

    def json(self, value: JsonValue, name: str = "", *, within: bool = False) -> JsonValue:
        """A body in JSON; whatever is within a value with a secret's name is secret as well."""
        if isinstance(value, Mapping):
            return {key: self.json(inner, key, within=within or _named(key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.json(inner, name, within=within) for inner in value]
        text = "" if value is None or isinstance(value, bool) else str(value)
        if text and (within or _TOKEN.search(text)):
            self._names[name or "a token"] = None
            return REPLACED
        return value

    def _is_secret(self, name: str, value: str) -> bool:
        secret = _named(name) or _TOKEN.search(value) is not None
        if secret:
            self._names[name] = None
        return secret


def _named(name: str) -> bool:
    return _SECRET.search(name) is not None


def plain_json(text: str) -> JsonValue:
    """JSON that can be sent again. Raises ValueError: no JSON, too deep, or a figure that JSON does not know."""
    try:
        value: JsonValue = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return value


def _refuse(constant: str) -> JsonValue:
    raise ValueError(f"{constant} is no JSON")
