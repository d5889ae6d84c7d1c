"""Who may ask, and what a page may do: addresses, tokens, and the headers that hold the browser to it."""

import hmac

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from schemas.hosts import is_loopback_at

COOKIE = "loadflame_token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No inline script, no inline style, no other host. Images of the data: scheme are what a heat map is drawn as."""
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def guard(token: str | None) -> Middleware:
    """A middleware. Without a token only names of this machine are answered to, so that no page of another site can
    reach in by a name that it lets point here (DNS rebinding); with one, whoever shows it is answered.

    A token comes as `Authorization: Bearer`, or once as `?token=`, which leaves a cookie and goes from the address.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = _refusal(request, token)
        if refusal is not None:
            response: web.StreamResponse = refusal
        elif token is not None and "token" in request.query:
            led = web.Response(status=303, headers={"Location": str(request.rel_url.without_query_params("token"))})
            led.set_cookie(COOKIE, token, httponly=True, samesite="Strict", path="/")
            response = led
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:  # it is a response, too: no such path, or a file that is known already
                _hold(error)
                raise
        _hold(response)
        return response

    return middleware


def _hold(response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")


def _refusal(request: web.Request, token: str | None) -> web.Response | None:
    if token is None:
        if is_loopback_at(request.host):
            return None
        refused = f"this page is not served to {request.host!r}; open it by 127.0.0.1"
        return web.json_response({"error": refused}, status=403)
    shown = (
        request.headers.get("Authorization", "").removeprefix("Bearer "),
        request.query.get("token", ""),
        request.cookies.get(COOKIE, ""),
    )
    if any(hmac.compare_digest(one.encode(), token.encode()) for one in shown):
        return None
    return web.json_response({"error": "a token is needed: open the page with ?token=..."}, status=401)
