"""A middleware that takes it for granted that somebody listens, and what it would tell them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from producers.context import loadflame_middleware as middleware
from producers.context.loadflame_middleware import LoadflameASGI, Teller
from producers.context.notes import Stretch, told_of


def listening_to(app: Any) -> Teller:
    """Its thread never looks."""
    teller: Teller = app.teller
    teller.started = teller.on = True
    return teller


def ran_by(teller: Teller) -> list[Stretch]:
    """What it would tell now, of requests that ended and of those under way."""
    teller._tell_under_way()
    found = []
    while teller._notes or teller._ran:
        found += told_of(teller._batch()[0]).ran
    return found


@asynccontextmanager
async def followed(*apps: LoadflameASGI) -> AsyncIterator[Teller]:
    """What their requests on this loop hand on is followed meanwhile; gives the teller of the first."""
    tellers = [listening_to(app) for app in apps]
    for teller in tellers:
        middleware._following.begin(teller, asyncio.get_running_loop())
    await asyncio.sleep(0)
    try:
        yield tellers[0]
    finally:
        for teller in tellers:
            middleware._following.end(teller)
        await asyncio.sleep(0)


async def answered(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """What a server would be given to send for a request, whose client stays."""
    sent: list[dict[str, Any]] = []
    forever = asyncio.get_running_loop().create_future()
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(asked, None) or await forever

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def now_us() -> int:
    return time.time_ns() // 1000


def spin(seconds: float) -> None:
    """Take CPU."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
