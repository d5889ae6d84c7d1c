"""The page's API: every answer is typed, and says what the store says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from math import isclose
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from clickhouse_connect.driver.client import Client

from schemas.events import ProducerEnded, RunEnded, RunStarted
from schemas.watching import Health
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.errors import StoreUnreachableError
from sinks.migrate import migrate
from sinks.sketch_sql import quantile_ms
from sinks.store import DeadLetter
from tests.support.batches import WINDOW, WINDOW_US
from tests.support.joined import joined_window
from tests.support.synthetic import SWEEP, Synthetic
from views.figures import PageFigures
from views.web import answers, judged, more_queries
from views.web.app import ANSWERS, web_app
from views.web.guards import POLICY
from views.web.reader import REST, Reader
from views.web.shown import Shown
from views.web.span import Tier

pytestmark = pytest.mark.asyncio(loop_scope="module")
TIERS: tuple[Tier, ...] = ("windows", "minutes")
RUN, OTHER = "run-planted", "run-live"
DAY_US = 86_400 * WINDOW_US
MORE = [
    *(more_queries.RUN_FIGURES, more_queries.RUN_P99, more_queries.REQUESTS, more_queries.KNOWN),
    *(one.at(tier) for one in (more_queries.STACKS, more_queries.ENDPOINT_NAMES) for tier in TIERS),
]
Asked = tuple[int, dict[str, Any]]


@pytest.fixture(scope="module")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = f"chdb://{tmp_path_factory.mktemp('page')}/store"
    client = open_client(url)
    migrate(client)
    store = ClickHouseStore(client)
    Synthetic(run=RUN, timeouts_per_s=5, late_windows=range(3)).write(store)
    Synthetic(run=OTHER, reason=None, unprofiled_windows=4).write(store)
    # It is on for as long as these tests take: after two minutes in which nothing is heard of it, it would not be.
    client.command(f"INSERT INTO heard_stored (run, heard_at) VALUES ('{OTHER}', addHours(now64(6, 'UTC'), 1))")
    yield url
    client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(store_url: str) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(web_app(lambda: open_client(store_url)))) as client:
        yield client


@pytest.fixture
def sql(store_url: str) -> Iterator[Client]:
    client = open_client(store_url)
    yield client
    client.close()


async def ask(page: TestClient[Any, Any], path: str, **parameters: object) -> Asked:
    async with page.get(f"/api/{path}", params={name: str(value) for name, value in parameters.items()}) as response:
        return response.status, json.loads(await response.text())


async def answer(page: TestClient[Any, Any], what: str, run: str = RUN, **parameters: object) -> dict[str, Any]:
    status, found = await ask(page, f"runs/{run}/{what}".rstrip("/"), **parameters)
    assert status == 200, found
    return found


def one(sql: Client, query: str) -> Any:
    return sql.query(query.replace("RUN", f"'{RUN}'")).result_rows[0][0]


QUESTIONS: dict[str, tuple[type, dict[str, object]]] = {
    "runs": (answers.RunList, {}),
    "runs/{run}": (answers.Head, {}),
    "runs/{run}/series": (answers.Series, {}),
    "runs/{run}/hot": (answers.Hot, {"most": 3}),
    "runs/{run}/flame": (answers.Flame, {"from": 3, "to": 9}),
    "runs/{run}/latency": (answers.Latency, {"endpoint": "search"}),
    "runs/{run}/requests": (answers.Requests, {"row": 38}),
    "runs/{run}/function": (answers.FunctionPoints, {"label": SWEEP}),
    "runs/{run}/health": (answers.Health, {}),
}


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize("run", [RUN, OTHER])
async def test_every_answer_has_its_type(page: TestClient[Any, Any], path: str, run: str) -> None:
    kind, parameters = QUESTIONS[path]
    status, found = await ask(page, path.format(run=run), **parameters)
    assert status == 200, found
    kind.model_validate(found)  # type: ignore[attr-defined]


@pytest.mark.parametrize("query", MORE, ids=lambda query: query.name)
async def test_a_query_gives_the_columns_that_it_says(sql: Client, query: Shown) -> None:
    described = sql.query(f"DESCRIBE ({query.sql})", query.parameters).result_rows
    assert [(row[0], row[1]) for row in described] == [(one.name, one.type) for one in query.columns]


async def test_every_question_is_asked_here() -> None:
    assert set(QUESTIONS) | {"runs/{run}/report"} == set(ANSWERS)


async def test_the_report_is_that_of_the_command(page: TestClient[Any, Any]) -> None:
    told = await answer(page, "report")
    assert told["findings"][0]["function"] == SWEEP
    assert (await answer(page, "health"))["accounting"] == told["accounting"]


async def test_the_list_has_the_newest_runs_with_what_they_came_to(page: TestClient[Any, Any], sql: Client) -> None:
    _, found = await ask(page, "runs")
    by_id = {run["id"]: run for run in found["runs"]}
    assert set(by_id) == {RUN, OTHER}
    run = by_id[RUN]
    assert run["requests"] == one(sql, "SELECT count() FROM requests WHERE run = RUN")
    assert run["failed"] == one(sql, "SELECT countIf(error != '') FROM requests WHERE run = RUN")
    assert run["tps"] == 320
    assert (by_id[OTHER]["ended_ms"], by_id[OTHER]["state"]) == (None, "live")


async def test_the_p99_of_the_list_is_of_all_requests_whether_minutes_are_made_of_none_some_or_all_of_them(
    page: TestClient[Any, Any], sql: Client
) -> None:
    store = ClickHouseStore(sql)
    keys = store.unmade_minutes(OTHER)
    p99_ms = sql.query(f"SELECT {quantile_ms(0.99)} FROM endpoints WHERE run = '{OTHER}'").result_rows[0][0]
    by_minute = sql.query(
        f"SELECT {quantile_ms(0.99)} FROM endpoints WHERE run = '{OTHER}' GROUP BY intDiv(window, 60)"
    ).result_rows
    assert set(by_minute) != {(p99_ms,)}
    for made in ([], *([key] for key in keys)):
        if made:
            store.write_minutes(made)
        _, found = await ask(page, "runs")
        (run,) = (one for one in found["runs"] if one["id"] == OTHER)
        assert run["p99_ms"] == pytest.approx(p99_ms, abs=1e-3)  # as the page rounds it


async def test_a_series_is_what_the_windows_say(page: TestClient[Any, Any], sql: Client) -> None:
    found = await answer(page, "series")
    rows = sql.query(f"SELECT scheduled, completed, failed, cpu_us FROM windows WHERE run = '{RUN}' ORDER BY window")
    assert found["step_s"] == 1
    assert found["t_s"] == list(range(80))
    columns = zip(*rows.result_rows, strict=True)
    for name, column in zip(("offered_tps", "achieved_tps", "bad_tps", "cpu_us"), columns, strict=True):
        assert found[name] == list(column), name
    quantile = "quantileExact(0.5)(latency_us) / 1e3 FROM requests WHERE run = RUN GROUP BY window ORDER BY window"
    assert isclose(found["p50_ms"][0], one(sql, f"SELECT {quantile} LIMIT 1"), rel_tol=0.02)


async def test_what_may_not_be_trusted_is_told_by_bucket(page: TestClient[Any, Any]) -> None:
    found = await answer(page, "series")
    top = [place for place, tps in enumerate(found["achieved_tps"]) if tps == 320]
    assert found["p99_bound"] == top  # five of 325 requests timed out
    assert [found["trust"].get(str(place)) for place in range(4)] == [["generator-limited"]] * 3 + [None]
    live = await answer(page, "series", OTHER)
    assert {place for place, names in live["trust"].items() if "no profile" in names} == {"0", "1", "2", "3"}


async def test_a_bucket_of_several_windows_adds_them_up(page: TestClient[Any, Any]) -> None:
    fine, coarse = await answer(page, "series"), await answer(page, "series", buckets=20)
    assert coarse["step_s"] == 5
    assert len(coarse["t_s"]) == 16
    assert sum(coarse["requests"]) == sum(fine["requests"])
    assert coarse["offered_tps"][3] == sum(fine["offered_tps"][15:20]) / 5


@pytest.mark.parametrize("most", [2, 100])
async def test_hot_functions_the_others_and_the_unattributed_are_all_of_the_cpu(
    page: TestClient[Any, Any], most: int
) -> None:
    hot, series = await answer(page, "hot", most=most), await answer(page, "series")
    assert hot["t_s"] == series["t_s"]
    for place, cpu_us in enumerate(series["cpu_us"]):
        parts = sum(function["self_us"][place] for function in hot["functions"]) + hot["others_us"][place]
        assert parts + series["unattributed_us"][place] == pytest.approx(cpu_us, abs=10)
    assert hot["functions"][0]["label"] == SWEEP


async def test_a_flame_graph_is_of_just_its_range(page: TestClient[Any, Any], sql: Client) -> None:
    found = await answer(page, "flame", **{"from": 10, "to": 20})
    windows = f"run = '{RUN}' AND window - (SELECT min(window) FROM windows WHERE run = '{RUN}') BETWEEN 10 AND 19"
    cpu_us, ended = sql.query(f"SELECT sum(cpu_us), sum(completed + failed) FROM windows WHERE {windows}").result_rows[
        0
    ]
    sweep_us = one(sql, f"SELECT sum(total_cpu_us) FROM functions WHERE {windows} AND function = 'sweep'")
    assert (found["from_s"], found["to_s"], found["seconds"]) == (10, 20, 10)
    assert (found["cpu_us"], found["requests"]) == (cpu_us, ended)
    assert sum(found["self_us"]) == pytest.approx(cpu_us, abs=100)
    label = found["labels"].index(SWEEP)
    mine = sum(us for us, of in zip(found["self_us"], found["label"], strict=True) if of == label)
    assert mine == pytest.approx(sweep_us, abs=100)
    assert all(parent < node for node, parent in enumerate(found["parent"]))


async def test_a_cell_of_the_heat_map_holds_the_requests_that_it_counts(
    page: TestClient[Any, Any], sql: Client
) -> None:
    found = await answer(page, "latency", endpoint="search")
    total = one(sql, "SELECT count() FROM requests WHERE run = RUN AND endpoint = 'search'")
    assert sum(map(sum, found["counts"])) == total
    for place in range(0, len(found["counts"]), 4):
        bucket = max(range(len(found["t_s"])), key=lambda at, row=found["counts"][place]: row[at])
        at = found["t_s"][bucket]
        row = found["first_row"] + place
        cell = await answer(page, "requests", endpoint="search", row=row, **{"from": at, "to": at + found["step_s"]})
        assert cell["count"] == found["counts"][place][bucket]
        for request in cell["rows"]:
            assert found["edges_ms"][place] <= request["latency_ms"] <= found["edges_ms"][place + 1] * 1.0001
            assert at <= request["t_s"] < at + found["step_s"]
        assert cell["rows"] == sorted(cell["rows"], key=lambda one: -one["latency_ms"])


async def test_percentiles_know_what_was_not_answered(page: TestClient[Any, Any]) -> None:
    (search,) = (one for one in (await answer(page, "latency"))["endpoints"] if one["endpoint"] == "search")
    assert search["unanswered"] > 0
    assert "p999_ms" in search["censored"]
    assert "p50_ms" not in search["censored"]


async def test_the_curve_of_a_function_runs_through_its_points(page: TestClient[Any, Any]) -> None:
    found = await answer(page, "function", label=SWEEP)
    used = [(found["tps"][place], found["cores"][place]) for place in found["used"]]
    curve = found["curve"]
    assert found["sentence"].endswith(": superlinear")
    for place in (0, -1):
        near = [cores for tps, cores in used if tps == pytest.approx(curve["tps"][place], rel=0.05)]
        assert curve["cores"][place] == pytest.approx(sum(near) / len(near), rel=0.2)
    for low, mid, high in zip(curve["low"], curve["cores"], curve["high"], strict=True):
        assert low <= mid <= high


@pytest.mark.parametrize(
    ("path", "parameters", "status", "words"),
    [
        pytest.param("runs/nobody", {}, 404, "no run 'nobody' in the store; the newest are", id="no such run"),
        pytest.param("runs/nobody/report", {}, 404, "no run 'nobody'", id="no such run, of its report"),
        pytest.param("runs/{run}/flame", {"from": 9, "to": 3}, 400, "ends before it starts", id="a range backwards"),
        pytest.param("runs/{run}/flame", {"from": "noon"}, 400, "'noon' is no time", id="no time"),
        pytest.param("runs/{run}/hot", {"most": "-x"}, 400, "most='-x' is no number", id="no number"),
        pytest.param("runs/{run}/function", {}, 400, "name a function", id="no function"),
    ],
)
async def test_a_wrong_question_is_refused_in_a_sentence(
    page: TestClient[Any, Any], path: str, parameters: dict[str, object], status: int, words: str
) -> None:
    told, found = await ask(page, path.format(run=RUN), **parameters)
    assert told == status
    assert words in found["error"]


async def test_an_unknown_function_and_an_empty_range_are_empty_answers(page: TestClient[Any, Any]) -> None:
    assert (await answer(page, "function", label="nobody (a.py)"))["curve"] is None
    empty = await answer(page, "flame", **{"from": 900, "to": 910})
    assert (empty["cpu_us"], empty["parent"], empty["labels"]) == (0, [-1], ["all"])
    assert (await answer(page, "series", **{"from": 900, "to": 910}))["t_s"] == []
    assert (await answer(page, "latency", **{"from": 900, "to": 910}))["counts"] == []


async def test_a_store_that_is_away_is_no_fault_of_the_page() -> None:
    def connect() -> Client:
        raise StoreUnreachableError("no ClickHouse answers at http://127.0.0.1:1; start it")

    figures = PageFigures()
    async with TestClient(TestServer(web_app(connect, figures=figures))) as page:
        assert figures.health().state == "idle"
        assert await ask(page, "runs") == (503, {"error": "no ClickHouse answers at http://127.0.0.1:1; start it"})
    assert (figures.failed, figures.refused, figures.open) == (1, 0, 0)
    assert figures.health() == Health("degraded", "no ClickHouse answers at http://127.0.0.1:1; start it")


async def test_what_is_asked_of_the_page_is_counted_and_a_store_that_answers_again_is_well(store_url: str) -> None:
    figures = PageFigures()
    figures.fail("away")
    async with TestClient(TestServer(web_app(lambda: open_client(store_url), figures=figures))) as page:
        assert (await ask(page, "runs/nobody"))[0] == 404
        assert figures.health().state == "degraded"
        assert (await ask(page, "runs"))[0] == 200
        assert (await page.get("/static/main.js")).status == 200
    assert figures.health() == Health("idle", "nobody asks")
    (_, answered) = figures.answers.cumulated()[-1]
    assert (answered, figures.refused, figures.failed, figures.open) == (1, 1, 1, 0)


async def test_a_message_of_nobody_may_be_of_a_run_that_is_on_as_long_as_there_is_of_it(
    store_url: str, page: TestClient[Any, Any]
) -> None:
    at_us = (WINDOW + 80 + 60) * WINDOW_US  # after what is joined so far
    with closing(open_client(store_url)) as client:
        ClickHouseStore(client).write_dead_letters([DeadLetter("loadflame.requests", 0, 7, "torn", at_us, 9, "")])
    (letter,) = (await answer(page, "health", OTHER))["letters"]
    assert (letter["received_s"], letter["error"]) == (140, "torn")


async def test_many_who_ask_for_a_report_wait_for_one(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = judged.Judged.of.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        judged.Judged, "of", classmethod(lambda cls, client, run: made.append(run) or original(cls, client, run))
    )
    async with TestClient(TestServer(web_app(lambda: open_client(store_url)))) as page:
        found = await asyncio.gather(*(answer(page, "report") for _ in range(5)))
    assert all(one == found[0] for one in found)
    assert made == [RUN]


async def test_a_report_is_kept_until_something_of_its_run_changes(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(judged.Judged, "of", classmethod(lambda _, __, run: made.append(run) or object()))
    reader = Reader(lambda: open_client(store_url), now_s=lambda: 0.0)  # made in no time, it needs no rest
    with closing(open_client(store_url)) as client:
        store = ClickHouseStore(client)
        started = RunStarted(
            run_id="killed", service="shop", target="t", started_at_us=WINDOW * WINDOW_US, window_us=WINDOW_US,
            partitions=1, engine="wire", plan={},
        )  # fmt: skip
        last = ProducerEnded(run_id="killed", producer_id="p", role="load", batches_acknowledged=1, rows_acknowledged=2)
        changes: dict[str, Callable[[], None]] = {
            "its start": lambda: store.write_events([started], [started.started_at_us]),
            "a window": lambda: store.write_windows([joined_window(run="killed")]),
            "the window again": lambda: store.write_windows([joined_window(run="killed", batches_covered=9)]),
            "last words": lambda: store.write_events([last], [started.started_at_us]),
            "other last words": lambda: store.write_events(
                [last.model_copy(update={"rows_acknowledged": 3})], [started.started_at_us + 1]
            ),
            "a letter of nobody": lambda: store.write_dead_letters(
                [DeadLetter("loadflame.requests", 1, 8, "torn", started.started_at_us - DAY_US, 9, "")]
            ),
        }  # fmt: skip
        kept = None
        try:
            for place, (name, change) in enumerate(changes.items(), 1):
                await asyncio.to_thread(change)
                found = [await reader.judged("killed") for _ in range(3)]
                assert found[0] is found[1] is found[2], name
                assert found[0] is not kept, name
                assert made == ["killed"] * place, name
                kept = found[0]
        finally:
            client.command("DELETE FROM events_stored WHERE run = 'killed'")
    await asyncio.to_thread(reader.close)


async def test_the_report_of_a_run_that_is_on_is_made_again_after_a_rest_and_at_once_when_it_has_ended(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, took_s = 1_000.0, 3.0

    def made(cls: type[object], client: Client, run: str) -> object:
        nonlocal now_s
        now_s += took_s
        return object()

    monkeypatch.setattr(judged.Judged, "of", classmethod(made))
    reader = Reader(lambda: open_client(store_url), now_s=lambda: now_s)
    with closing(open_client(store_url)) as client:
        store = ClickHouseStore(client)
        started = RunStarted(
            run_id="on", service="shop", target="t", started_at_us=WINDOW * WINDOW_US, window_us=WINDOW_US,
            partitions=1, engine="wire", plan={},
        )  # fmt: skip
        ended = RunEnded(run_id="on", ended_at_us=(WINDOW + 9) * WINDOW_US, reason="finished", producers=1)

        async def gets_on(window: int) -> None:
            await asyncio.to_thread(store.write_windows, [joined_window(run="on", window=WINDOW + window)])

        try:
            await asyncio.to_thread(store.write_events, [started], [started.started_at_us])
            await gets_on(0)
            first = await reader.judged("on")
            await gets_on(1)
            now_s += REST * took_s - 1
            assert await reader.judged("on") is first, "it rests"
            now_s += 1
            second = await reader.judged("on")
            assert second is not first, "it has rested"
            await gets_on(2)
            assert await reader.judged("on") is second
            await asyncio.to_thread(store.write_events, [ended], [ended.ended_at_us])
            third = await reader.judged("on")
            assert third is not second, "it has ended"
            await gets_on(3)
            assert await reader.judged("on") is not third, "what comes late is of it as well"
        finally:
            client.command("DELETE FROM events_stored WHERE run = 'on'")
    await asyncio.to_thread(reader.close)


# Who may ask


async def test_every_response_holds_the_browser_to_this_host(page: TestClient[Any, Any]) -> None:
    for path in ("/", "/static/main.js", "/plotly.min.js", "/api/runs", "/nowhere"):
        async with page.get(path) as response:
            assert response.headers["Content-Security-Policy"] == POLICY, path
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "unsafe" not in POLICY


@pytest.mark.parametrize(
    ("ends_s", "shown"), [((2, 5), "?a=2-5"), ((None, None), ""), ((-3600, 3600), ""), ((3600, 7200), "")]
)
async def test_a_link_of_grafana_leads_to_the_range_in_the_pages_form(
    page: TestClient[Any, Any], sql: Client, ends_s: tuple[float | None, float | None], shown: str
) -> None:
    ((started_ms,),) = sql.query(f"SELECT toUnixTimestamp64Milli(started_at) FROM runs WHERE run = '{RUN}'").result_rows
    ends = {
        name: str(started_ms + 1000 * at) for name, at in zip(("from", "to"), ends_s, strict=True) if at is not None
    }
    led = await page.get(f"/runs/{RUN}", params=ends, allow_redirects=False)
    assert (led.status, led.headers["Location"]) == (302, f"/#/runs/{RUN}/time{shown}")
    assert (await page.get("/runs/nobody", allow_redirects=False)).status == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8790", 200), ("127.0.0.1", 200), ("[::1]:8790", 200), ("evil.example:8790", 403), ("10.0.0.1", 403)],
)
async def test_only_names_of_this_machine_are_answered_without_a_token(
    page: TestClient[Any, Any], host: str, status: int
) -> None:
    async with page.get("/api/runs", headers={"Host": host}) as response:
        assert response.status == status


async def test_a_token_is_shown_once_in_the_address_and_kept_in_a_cookie(store_url: str) -> None:
    async with TestClient(TestServer(web_app(lambda: open_client(store_url), token="to/ken"))) as page:
        host = {"Host": "page.example"}
        for path in ("/", "/static/main.js", "/api/runs"):
            assert (await page.get(path, headers=host)).status == 401
            assert (await page.get(path, params={"token": "other"}, headers=host)).status == 401
        assert (await page.get("/api/runs", headers={**host, "Authorization": "Bearer to/ken"})).status == 200
        led = await page.get("/", params={"token": "to/ken"}, headers=host, allow_redirects=False)
        assert (led.status, led.headers["Location"]) == (303, "/")
        assert "HttpOnly" in led.headers["Set-Cookie"]
        assert "SameSite=Strict" in led.headers["Set-Cookie"]
        assert (await page.get("/api/runs")).status == 200  # by the cookie
