"""What a target may do to a load: each fault is a counted, named error, with both engines, and the load goes on."""

import asyncio
import gc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from producers.load.plan import Plan
from producers.load.runner import run_load
from producers.publisher import MemoryPublisher
from schemas.events import LoadTotals
from tests.support.misbehaving import OK, Piece, Then, misbehaving

ENGINES = ("wire", "aiohttp")
ASKED = 6
SIDE_BY_SIDE = 8
SHORT, LONG = "6s", "20s"
"""Where a timeout is what is looked for (good requests are not to have one), and where it is not."""


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", *lines, "", "")).encode()


HALF = head("Content-Length: 50") + b"half"
CHUNK = head("Transfer-Encoding: chunked") + b"3\r\nabc\r\n"
BAD: dict[str, tuple[Sequence[Piece], str, int]] = {
    # what the server does: (its bytes, the error, the status: 0 where the answer's is not known)
    "resets instead of an answer": ([Then.RESET], "reset", 0),
    "resets in the middle of the head": ([b"HTTP/1.1 200 OK\r\nContent-", Then.PAUSE, Then.RESET], "reset", 0),
    "resets in the middle of the body": ([HALF, Then.PAUSE, Then.RESET], "reset", 200),
    "resets in the middle of a chunk": ([CHUNK[:-2], Then.PAUSE, Then.RESET], "reset", 200),
    "closes instead of an answer": ([Then.CLOSE], "closed", 0),
    "closes in the middle of the body": ([HALF, Then.CLOSE], "closed", 200),
    "closes between two chunks": ([CHUNK, Then.CLOSE], "closed", 200),
    "never answers": ([], "timeout", 0),
    "stalls in the middle of the head": ([b"HTTP/1.1 200 OK\r\nContent-"], "timeout", 0),
    "stalls in the middle of the body": ([HALF], "timeout", 200),
    "stalls between two chunks": ([CHUNK], "timeout", 200),
    "speaks another protocol": ([b"220 mail.example.org ESMTP\r\n"], "bad answer", 0),
    "announces a length that is none": ([head("Content-Length: many") + b"ok"], "bad answer", 0),
    "announces two lengths": ([head("Content-Length: 2", "Content-Length: 3") + b"ok"], "bad answer", 0),
    "sends a chunk without a size": ([CHUNK, Then.PAUSE, b"zz\r\nabc\r\n"], "bad answer", 200),
    "sends a head without end": ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000], "bad answer", 0),
    "sends more than announced": ([OK + b"more"], "too long", 200),
    "sends more than announced, the body apart": ([OK[:-2], Then.PAUSE, b"okmore"], "too long", 200),
    "sends more behind the last chunk": ([CHUNK, Then.PAUSE, b"0\r\n\r\nmore"], "too long", 200),
    "redirects to a host that may not be loaded": (
        [b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"],  # TEST-NET-1, RFC 5737
        "not allowed",
        0,
    ),
    "redirects to itself": (
        [b"HTTP/1.1 302 Found\r\nLocation: /bad\r\nContent-Length: 0\r\n\r\n"],
        "redirects",
        0,
    ),
}

DIFFERENT: dict[tuple[str, str], tuple[str, int | None]] = {
    # `wire` has read the status line, and knows.
    ("resets in the middle of the head", "wire"): ("reset", 200),
    ("announces a length that is none", "wire"): ("bad answer", 200),
    ("announces two lengths", "wire"): ("bad answer", 200),
    # aiohttp closes the connection and tells no one, so the reader of the body waits on.
    ("sends a chunk without a size", "aiohttp"): ("timeout", 200),
    # Its parser forgets the answer when what came with it is none.
    ("sends more than announced", "aiohttp"): ("bad answer", 0),
}


def expected(what: str, engine: str) -> tuple[str, int | None]:
    """Error and status that a request for what is bad ends with."""
    _, *usual = BAD[what]
    return DIFFERENT.get((what, engine)) or tuple(usual)


async def load(url: str, engine: str, **more: object) -> tuple[LoadTotals, list[dict[str, object]]]:
    """As many bad requests as good ones, in turns; checks the books."""
    publisher = MemoryPublisher()
    plan = {
        "target": url,
        "stages": [{"name": "h", "hold": 40, "for": 2 * ASKED / 40}],
        "requests": [{"name": name, "path": f"/{name}"} for name in ("good", "bad")],
        "engine": engine,
        "timeout": LONG,
        "redirects": 2,
    }
    totals = await run_load(
        Plan.model_validate(plan | more),
        publisher=publisher,
        run_id="run-1",
        start_at_us=0,
        window_us=200_000,
        stop=asyncio.Event(),
    )
    rows = [row for batch in publisher.batches for row in batch.rows.to_pylist()]
    assert totals.scheduled == totals.completed + totals.failed == len(rows) == 2 * ASKED
    assert totals.dropped == totals.in_flight_at_end == 0
    return totals, rows


Came = tuple[LoadTotals, list[dict[str, object]]] | BaseException


@pytest.fixture(scope="module", params=ENGINES)
def came(request: pytest.FixtureRequest) -> tuple[str, dict[str, Came]]:
    """An engine, and what came of a load on each of the servers: most of it is waiting, so they wait side by side."""
    usual = gc.get_threshold()  # loads that end in no order leave each other's

    async def of(what: str, room: asyncio.Semaphore) -> Came:
        async with room, misbehaving(*BAD[what][0]) as url:
            error, _ = expected(what, request.param)
            return await load(url, request.param, timeout=SHORT if error == "timeout" else LONG)

    async def all_of_them() -> list[Came]:
        room = asyncio.Semaphore(SIDE_BY_SIDE)
        return await asyncio.gather(*(of(what, room) for what in BAD), return_exceptions=True)

    try:
        return request.param, dict(zip(BAD, asyncio.run(all_of_them()), strict=True))
    finally:
        gc.set_threshold(*usual)


@pytest.mark.parametrize("what", BAD)
def test_a_server_that(what: str, came: tuple[str, dict[str, Came]]) -> None:
    engine, outcomes = came
    error, status = expected(what, engine)
    outcome = outcomes[what]
    if isinstance(outcome, BaseException):
        raise outcome
    totals, rows = outcome
    said = Counter((row["endpoint"], row["error"], status and row["status"]) for row in rows)
    good = ("good", None, status and 200)
    assert said == {good: ASKED, ("bad", error, status): ASKED}
    assert totals.failed == ASKED


@pytest.mark.parametrize("engine", ENGINES)
async def test_also_the_last_request_has_its_time_and_then_its_outcome(engine: str) -> None:
    at_the_end = {"stages": [{"name": "h", "hold": 1000, "for": 2 * ASKED / 1000}]}
    async with misbehaving() as url:
        totals, rows = await load(url, engine, **at_the_end, timeout="1s", requests=[{"name": "bad", "path": "/bad"}])
    assert {row["error"] for row in rows} == {"timeout"}
    assert totals.failed == 2 * ASKED


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_feed_that_ends_fails_the_requests_that_need_it_and_no_others(engine: str, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("name\n" + "ann\n" * 4)
    served = 2  # every arrival has a row of its own, and every other one needs it
    feeds = {"users": {"file": str(tmp_path / "users.csv"), "again": False}}
    requests = [{"name": "good", "path": "/good"}, {"name": "bad", "path": "/good?of={{users.name}}"}]
    async with misbehaving() as url:
        totals, rows = await load(url, engine, feeds=feeds, requests=requests)
    said = Counter((row["endpoint"], row["error"], row["status"]) for row in rows)
    over = ("bad", "feed is over", 0)
    assert said == {("good", None, 200): ASKED, ("bad", None, 200): served, over: ASKED - served}
    assert totals.sent == ASKED + served, "what has no row is not sent"


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("resets in the middle of the body", "reset"),
        ("closes in the middle of the body", "closed"),
        ("sends more than announced, the body apart", "too long"),
    ],
)
async def test_a_scenario_meets_the_same_by_the_same_names(what: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text("async def ask(user):\n    await user.get('/bad', name='ask')\n")
    requests = [{"name": "good", "path": "/good"}, {"name": "bad", "scenario": f"{tmp_path}/flow.py:ask"}]
    async with misbehaving(*BAD[what][0]) as url:
        _, rows = await load(url, "aiohttp", requests=requests)
    said = Counter((row["endpoint"], row["error"]) for row in rows)
    assert said == {("good", None): ASKED, ("bad", f"step ask: {error}"): ASKED}
