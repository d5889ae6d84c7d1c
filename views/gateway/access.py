"""Who may ask: everybody on loopback, unless a token is set; then whoever has it, by any of the ways of a password."""

import base64
import binascii
import contextlib
import hmac
from collections.abc import Collection, Mapping

from schemas.hosts import is_loopback_at
from views.gateway.refusals import refusal


def check_access(tokens: Collection[str], headers: Mapping[str, str], fields: Mapping[str, str]) -> None:
    """Raise Refusal unless the request may be answered: it brings one of the tokens, or there are none.

    Without one a browser is the one way in from outside: a page of any site may send requests to loopback. One that
    has its own name point there (DNS rebinding) could read the answers, and is told by the host that it asks for.
    """
    if tokens:
        given = [one.encode() for one in _passwords(headers, fields)]
        if not any(hmac.compare_digest(one, token.encode()) for token in tokens for one in given):
            raise refusal(516, "Authentication failed: give the token as the password of any user")
        return
    if not is_loopback_at(headers.get("Host", "")):
        raise refusal(516, "Authentication failed: without a token only requests to a loopback address are answered")
    if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise refusal(
            516, "Authentication failed: a page of another site asks; set a token, and give it as the password"
        )


def _passwords(headers: Mapping[str, str], fields: Mapping[str, str]) -> list[str]:
    kind, _, rest = headers.get("Authorization", "").partition(" ")
    found = [headers.get("X-ClickHouse-Key", ""), fields.get("password", "")]
    if kind.lower() == "bearer":
        found.append(rest.strip())
    elif kind.lower() == "basic":
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            found.append(base64.b64decode(rest, validate=True).decode().partition(":")[2])
    return found
