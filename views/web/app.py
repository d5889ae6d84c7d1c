"""The page as an aiohttp application: files, and an API in JSON that is typed in `answers`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from clickhouse_connect.driver.client import Client
from pydantic import BaseModel

from schemas.errors import UserError
from sinks.errors import StoreError
from views import stacks
from views.figures import PageFigures
from views.ranges import Clock, Part
from views.runs import UnknownRunError, resolve_run
from views.web import heads, latency, series
from views.web.answers import Refusal
from views.web.files import PLOTLY, STATIC
from views.web.flame import flame
from views.web.guards import guard
from views.web.judged import function_points, health
from views.web.reader import Reader

Answer = Callable[[Reader, web.Request], Awaitable[BaseModel]]
_MOST = 1000
LEAST_SHARE = 1e-6
"""Stacks of less CPU than this are put together: no screen is wide enough for them."""
READER = web.AppKey("reader", Reader)
FIGURES = web.AppKey("figures", PageFigures)


class WrongQuestionError(UserError):
    """A parameter that does not fit."""


def web_app(
    connect: Callable[[], Client], *, token: str | None = None, figures: PageFigures | None = None
) -> web.Application:
    """The page. `connect` gives a client of the store for one thread; `token` must be shown where it is not None.
    `figures` are kept of what is asked.

    Bind it to loopback, or give it a token: without one it answers to names of this machine only.
    """
    app = web.Application(middlewares=[guard(token), _told])
    app[READER] = Reader(connect)
    app[FIGURES] = figures or PageFigures()
    app.on_cleanup.append(_close)
    app.add_routes(
        [
            web.get("/", _file(STATIC / "index.html")),
            web.get("/plotly.min.js", _file(PLOTLY)),
            web.static("/static", STATIC),
            web.get("/runs/{run}", _led),
            *(web.get(f"/api/{path}", _answered(answer)) for path, answer in ANSWERS.items()),
        ]
    )
    return app


async def _close(app: web.Application) -> None:
    await asyncio.to_thread(app[READER].close)  # what is asked just now may need this loop for its answer


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return handler


async def _led(request: web.Request) -> web.StreamResponse:
    """From a link that names a run and a range by `from` and `to`, as Grafana's do, to the same in the page's form."""
    clock = await request.app[READER].ask(Clock.of, request.match_info["run"])
    there = f"/#/runs/{quote(clock.run, safe='')}/time"
    if {"from", "to"} & request.query.keys():
        part = clock.part(*(_seconds(clock, request, name) for name in ("from", "to")))
        if part.windows not in (0, clock.last - clock.first + 1):
            there += f"?a={part.from_s:g}-{part.to_s:g}"
    return web.Response(status=302, headers={"Location": there})


def _answered(answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        figures, began_s = request.app[FIGURES], time.perf_counter()
        with figures.question():
            try:
                text = (await answer(request.app[READER], request)).model_dump_json()
            except StoreError as error:
                figures.fail(str(error))
                raise
            except UserError:
                figures.refused += 1
                raise
        figures.answered(began_s)
        return web.Response(text=text, content_type="application/json", headers={"Cache-Control": "no-store"})

    return handler


@web.middleware
async def _told(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors that are somebody's to mend, as a sentence: 404 no such run, 400 a wrong question, 503 no store."""
    try:
        return await handler(request)
    except UserError as error:
        kinds = {UnknownRunError: 404, StoreError: 503}
        status = next((status for kind, status in kinds.items() if isinstance(error, kind)), 400)
        return web.Response(
            text=Refusal(error=str(error)).model_dump_json(), content_type="application/json", status=status
        )


async def _part(reader: Reader, request: web.Request) -> Part:
    clock = await reader.ask(Clock.of, request.match_info["run"])
    return clock.part(_seconds(clock, request, "from"), _seconds(clock, request, "to"))


def _seconds(clock: Clock, request: web.Request, name: str) -> float | None:
    text = request.query.get(name, "")
    return clock.parse(text) if text else None


def _number(request: web.Request, name: str, default: int, *, most: int = _MOST) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit() or not -most <= int(text) <= most:
        raise WrongQuestionError(f"{name}={text!r} is no number between 0 and {most}")
    return int(text)


async def _runs(reader: Reader, _: web.Request) -> BaseModel:
    return await reader.ask(heads.run_list)


async def _head(reader: Reader, request: web.Request) -> BaseModel:
    run = await reader.ask(resolve_run, request.match_info["run"])
    return await reader.ask(heads.head, run)


async def _series(reader: Reader, request: web.Request) -> BaseModel:
    part = await _part(reader, request)
    most = max(1, _number(request, "buckets", series.MOST_BUCKETS))
    return await reader.ask(series.series, part, most=most)


async def _hot(reader: Reader, request: web.Request) -> BaseModel:
    part = await _part(reader, request)
    most = max(1, _number(request, "most", series.MOST_HOT))
    buckets = max(1, _number(request, "buckets", series.MOST_BUCKETS))
    return await reader.ask(series.hot, part, most=most, buckets=buckets)


async def _flame(reader: Reader, request: web.Request) -> BaseModel:
    part = await _part(reader, request)
    return await reader.ask(lambda client: flame(stacks.range_stacks(client, part, least_share=LEAST_SHARE)))


async def _latency(reader: Reader, request: web.Request) -> BaseModel:
    part = await _part(reader, request)
    return await reader.ask(latency.latency, part, request.query.get("endpoint", ""))


async def _requests(reader: Reader, request: web.Request) -> BaseModel:
    part = await _part(reader, request)
    return await reader.ask(latency.requests, part, request.query.get("endpoint", ""), _number(request, "row", 0))


async def _report(reader: Reader, request: web.Request) -> BaseModel:
    return (await reader.judged(request.match_info["run"])).report


async def _function(reader: Reader, request: web.Request) -> BaseModel:
    label = request.query.get("label", "")
    if not label:
        raise WrongQuestionError("name a function by label=")
    part = await _part(reader, request)
    judged = await reader.judged(request.match_info["run"])
    return await reader.ask(function_points, judged, part, label)


async def _health(reader: Reader, request: web.Request) -> BaseModel:
    clock = await reader.ask(Clock.of, request.match_info["run"])
    judged = await reader.judged(request.match_info["run"])
    return await reader.ask(health, clock, judged.report)


ANSWERS: dict[str, Answer] = {
    "runs": _runs,
    "runs/{run}": _head,
    "runs/{run}/series": _series,
    "runs/{run}/hot": _hot,
    "runs/{run}/flame": _flame,
    "runs/{run}/latency": _latency,
    "runs/{run}/requests": _requests,
    "runs/{run}/report": _report,
    "runs/{run}/function": _function,
    "runs/{run}/health": _health,
}
