"""Every SQL text of the page runs on the engine, gives the columns that it says, and says what the windows say."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from schemas.sketch import Sketch
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from tests.support.batches import WINDOW, WINDOW_US
from tests.support.joined import joined_endpoint, joined_window
from tests.support.synthetic import Synthetic, levels
from views.web import queries
from views.web.queries import Over, Shown, Span, Tier, fetch
from views.web.shown import Summed
from views.web.summed import WHOLE

RUN = "run-1"
SECONDS = 32
SPAN = Span.of(WINDOW * WINDOW_US, (WINDOW + SECONDS) * WINDOW_US, WINDOW_US)
TIERS: tuple[Tier, ...] = ("windows", "minutes")
EVERY = [
    *queries.OF_RUN,
    *(one.at(tier) for one in queries.OVER for tier in TIERS),
    *(one.both for one in queries.OVER if isinstance(one, Summed)),
    WHOLE,
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A store of one run, for the whole module."""
    found = open_client(f"chdb://{tmp_path_factory.mktemp('page')}")
    try:
        migrate(found)
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def filled(client: Client) -> Client:
    run = Synthetic(stages=levels(visits=2, seconds=4), unprofiled_windows=2, dropped_per_s=5, timeouts_per_s=3)
    store = ClickHouseStore(client)
    run.write(store)
    store.write_minutes(store.unmade_minutes())
    return client


def columns(client: Client, query: Shown) -> list[tuple[str, str]]:
    result = client.query(query.sql, query.parameters)
    return [(name, kind.name) for name, kind in zip(result.column_names, result.column_types, strict=True)]


@pytest.mark.parametrize("query", EVERY, ids=lambda query: query.name)
def test_a_query_gives_the_columns_that_it_says_of_an_empty_store_too(client: Client, query: Shown) -> None:
    described = client.query(f"DESCRIBE ({query.sql})", query.parameters).result_rows
    assert [(row[0], row[1]) for row in described] == [(one.name, one.type) for one in query.columns]
    fetch(client, query, **query.parameters)


def rows(client: Client, query: Over, span: Span = SPAN, **more: Any) -> list[dict[str, Any]]:
    text = query.at(span.tier)
    needed: Mapping[str, Any] = {**text.parameters, **span.parameters, "run": RUN, **more}
    found: list[dict[str, Any]] = fetch(client, text, **{name: needed[name] for name in text.parameters}).to_pylist()
    return found


def test_a_series_says_what_the_windows_say(filled: Client) -> None:
    found = rows(filled, queries.SERIES)
    windows = filled.query(
        "SELECT window, scheduled, completed + failed, cpu_us, latency_buckets, latency_counts FROM windows "
        "ORDER BY window"
    ).result_rows
    assert [row["bucket"] for row in found] == list(range(SECONDS))
    assert [(row["scheduled"], row["completed"] + row["failed"], row["cpu_us"]) for row in found] == [
        window[1:4] for window in windows
    ]
    for row, window in zip(found, windows, strict=True):
        sketch = Sketch(tuple(window[4]), tuple(window[5]))
        ranks = sketch.quantiles_us(0.5, 0.95, 0.99)
        assert [row["p50_ms"], row["p95_ms"], row["p99_ms"]] == pytest.approx([us / 1000 for us in ranks if us])


def test_what_had_no_profile_is_not_among_what_cpu_is_divided_by(filled: Client) -> None:
    found = rows(filled, queries.SERIES)
    assert [row["watched_us"] for row in found] == [0, 0] + [WINDOW_US] * (SECONDS - 2)
    assert sum(row["unwatched"] for row in found) == 2


@pytest.mark.parametrize("most", [1, 3, 100])
def test_hot_functions_the_others_and_the_unattributed_are_all_of_the_cpu(filled: Client, most: int) -> None:
    found = rows(filled, queries.HOT, most=most)
    functions = filled.query("SELECT count(DISTINCT function, file) FROM functions").result_rows[0][0]
    assert sum(row["kind"] == "function" for row in found) == min(most, functions)
    cpu_us = filled.query("SELECT sum(cpu_us) FROM windows").result_rows[0][0]
    rounding = SECONDS * functions
    assert sum(row["all_us"] for row in found) == pytest.approx(cpu_us, abs=rounding)
    assert all(sum(row["self_us"]) == row["all_us"] for row in found)


def test_a_function_has_a_point_for_each_window_with_a_profile(filled: Client) -> None:
    found = rows(filled, queries.FUNCTION, function="sweep", file="shop.py")
    assert [row["bucket"] for row in found] == list(range(2, SECONDS))
    spent = filled.query(
        "SELECT window, sum(total_cpu_us) FROM functions WHERE function = 'sweep' GROUP BY window ORDER BY window"
    ).result_rows
    assert {WINDOW + row["bucket"]: row["total_cores"] for row in found} == pytest.approx(
        dict.fromkeys(range(WINDOW + 2, WINDOW + SECONDS), 0.0) | {window: us / WINDOW_US for window, us in spent}
    )
    assert found[0]["total_us_per_request"] == pytest.approx(found[0]["total_cores"] / found[0]["achieved_tps"] * 1e6)


def test_a_flame_graph_has_the_cpu_of_the_functions_at_its_leaves(filled: Client) -> None:
    found = rows(filled, queries.FLAME)
    leaves: dict[str, int] = {}
    for row in found:
        leaf = row["stack"].split(";")[-1]
        leaves[leaf] = leaves.get(leaf, 0) + row["self_us"]
    by_function = "SELECT function, file, sum(self_cpu_us) FROM functions GROUP BY function, file"
    functions = {f"{name} ({file})": us for name, file, us in filled.query(by_function).result_rows}
    assert leaves == pytest.approx({name: us for name, us in functions.items() if us}, abs=SECONDS * 10)
    least_us = sorted(row["self_us"] for row in found)[2]
    assert rows(filled, queries.FLAME, least_us=least_us) == [row for row in found if row["self_us"] >= least_us]


def test_endpoints_and_heat_map_count_every_request_once(filled: Client) -> None:
    ended = filled.query("SELECT sum(completed + failed), sum(failed) FROM windows").result_rows[0]
    endpoints = rows(filled, queries.ENDPOINTS)
    assert sum(row["completed"] + row["failed"] for row in endpoints) == ended[0]
    assert sum(row["unanswered"] for row in endpoints) == ended[1]
    for row in endpoints:
        assert sum(row["counts"]) == row["completed"] + row["failed"]
        heat = rows(filled, queries.HEAT, endpoint=row["endpoint"])
        assert sum(cell["requests"] for cell in heat) == row["completed"] + row["failed"]
        series = rows(filled, queries.ENDPOINT_SERIES, endpoint=row["endpoint"])
        assert sum(point["completed"] for point in series) == row["completed"]
    assert sum(row["unanswered"] for row in rows(filled, queries.UNANSWERED)) == ended[1]


def test_a_row_of_the_heat_map_is_where_its_latencies_are(filled: Client) -> None:
    slowest = filled.query("SELECT max(latency_us) FROM requests").result_rows[0][0]
    top = max(cell["latency_row"] for cell in rows(filled, queries.HEAT))
    assert 1.02 ** (queries.ROW_BUCKETS * top - 1) < slowest <= 1.02 ** (queries.ROW_BUCKETS * (top + 1) - 1)


def test_health_adds_up_what_the_series_has_by_bucket(filled: Client) -> None:
    (health,) = rows(filled, queries.HEALTH)
    series = rows(filled, queries.SERIES)
    for name in ("windows", "unwatched", "late", "window_us", "watched_us", "watched_requests", "cpu_us"):
        assert health[name] == sum(row[name] for row in series), name


def test_the_head_of_a_run_says_where_its_windows_are(filled: Client) -> None:
    (head,) = fetch(filled, queries.RUN_HEAD, run=RUN).to_pylist()
    assert (head["first"], head["last"]) == (WINDOW, WINDOW + SECONDS - 1)
    assert head["window_us"] == WINDOW_US


MINUTES = Span.of(WINDOW * WINDOW_US, (WINDOW + SECONDS) * WINDOW_US, WINDOW_US, raw_us=0)
WHOLE = Span.of(WINDOW * WINDOW_US, (WINDOW + SECONDS) * WINDOW_US, WINDOW_US, points=1)
MORE = {"function": "sweep", "file": "shop.py", "most": 3, "endpoint": "", "least_us": 0}


@pytest.mark.parametrize("query", queries.OVER, ids=lambda query: query.minutes.name)
def test_minutes_say_what_their_windows_say(filled: Client, query: Over) -> None:
    assert (MINUTES.tier, MINUTES.first) == ("minutes", MINUTES.last)
    by_minute, by_window = rows(filled, query, MINUTES, **MORE), rows(filled, query, WHOLE, **MORE)
    for row in (*by_minute, *by_window):
        row.pop("starts_us", None)  # a minute begins before its first window
    assert by_window
    assert by_minute == by_window


def test_endpoints_of_a_run_are_added_up_by_minute_until_a_window_is_joined_again(filled: Client) -> None:
    def sums(rows: str) -> tuple[int, ...]:
        columns = "sum(completed), sum(failed), sum(arraySum(latency_counts)), count()"
        return tuple(filled.query(f"SELECT {columns} FROM {rows}").result_rows[0])

    *by_minute, few = sums(f"endpoints_summed(run = '{RUN}')")
    *by_window, many = sums(f"endpoints WHERE run = '{RUN}'")
    assert by_minute == by_window
    assert few < many
    store = ClickHouseStore(filled)
    store.write_windows([joined_window(run="again", window=WINDOW + second) for second in range(3)])
    store.write_minutes(store.unmade_minutes("again"))
    assert sums("endpoints_summed(run = 'again')") == (9, 0, 9, 1)
    late = joined_endpoint(latencies_us=(9_000,) * 5)
    store.write_windows([joined_window(run="again", batches_covered=9, endpoints=(late,))])
    assert sums("endpoints_summed(run = 'again')") == (11, 0, 11, 3)
