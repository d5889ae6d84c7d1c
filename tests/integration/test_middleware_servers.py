"""The middleware in real servers: every request is told of once, under its route, by whichever process answered it."""

import re
import time
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from benchmarks.middleware import HEADERS, SERVICES, Connection, serving
from producers.natural import MiddlewareSocket, Seen
from tests.support.polling import wait_until

pytestmark = pytest.mark.slow

REQUESTS = 50


@pytest.mark.parametrize(
    ("server", "route"),
    [
        ("FastAPI on uvicorn", "GET /items/{item}"),
        ("FastAPI on uvicorn, def", "GET /items/{item}"),
        ("Flask on gunicorn (threads)", "GET /items/<int:item>"),
    ],
)
def test_every_request_is_told_of_once_under_its_route_from_when_somebody_listens(
    server: str, route: str, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_text("def work(us): pass\n")
    middleware = files("producers.context").joinpath("loadflame_middleware.py").read_text()
    (tmp_path / "loadflame_middleware.py").write_text(middleware)
    seen: list[Seen] = []
    with (
        serving(SERVICES[server], tmp_path, "server", str(tmp_path / "told"), 0) as service,
        closing(MiddlewareSocket(tmp_path / "told")) as listener,
        closing(Connection(service.at)) as connection,
    ):

        def heard() -> bool:
            connection.request("GET", "/nothing")
            connection.getresponse().read()
            seen.extend(listener.look(1))
            return bool(seen)

        wait_until(heard, 60, "the first request is told of")
        began = time.perf_counter()
        service.ask(REQUESTS)

        def all_told() -> bool:
            seen.extend(listener.look(1))
            return sum(one.endpoint == route for one in seen) >= REQUESTS

        wait_until(all_told, 60, "all requests are told of")
        took_us = (time.perf_counter() - began) * 1e6
    told = [one for one in seen if one.endpoint != "GET /nothing"]
    assert [(one.endpoint, one.status, one.error) for one in told] == [(route, 200, None)] * REQUESTS
    latencies_us = [one.latency_us or 0 for one in told]
    assert all(latencies_us)
    assert sum(latencies_us) < took_us  # one came after the other
    assert {one.status for one in seen if one.endpoint == "GET /nothing"} == {404}
    trace = HEADERS["traceparent"].split("-")[1]
    assert re.fullmatch(
        rf"the slowest requests that carried a trace id: {re.escape(route)} [\d.]+ ms \(trace {trace}\)", listener.note
    )
