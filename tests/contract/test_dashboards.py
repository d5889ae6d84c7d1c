"""Every SQL text of the dashboards runs on the engine, macros expanded as the data source does, and feeds its panel."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from sinks.clickhouse import ClickHouseStore
from tests.support.grafana_macros import expanded
from tests.support.synthetic import Synthetic
from views.grafana import hot_functions
from views.grafana.export import DASHBOARDS, FOLDER, text_of

RUN = "run-1"


@pytest.fixture
def filled(clickhouse_store: ClickHouseStore) -> Client:
    Synthetic().write(clickhouse_store)
    return clickhouse_store.client


def rows(
    client: Client, sql: str, *, empty: bool = False, interval_s: int = 1
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a panel's SQL over the run's time, or over a time when nothing was."""
    bounds = client.query("SELECT min(starts_at), max(starts_at) + 1 FROM windows").result_rows[0]
    start, end = (at.replace(tzinfo=UTC) for at in bounds)
    if empty:
        start, end = datetime(2001, 1, 1, tzinfo=UTC), datetime(2001, 1, 2, tzinfo=UTC)
    service = client.query("SELECT any(service) FROM runs").result_rows[0][0]
    text = expanded(sql, start=start, end=end, interval_s=interval_s, run=RUN, service=service)
    result = client.query(text)
    return list(result.column_names), [tuple(row) for row in result.result_rows]


def test_the_files_are_current() -> None:
    for dashboard in DASHBOARDS:
        assert (FOLDER / f"{dashboard.uid}.json").read_text() == text_of(dashboard), "run `make dashboards`"


def test_every_query_says_its_language_and_format_and_quotes_its_variables() -> None:
    for dashboard in DASHBOARDS:
        for panel in dashboard.as_json()["panels"]:
            for target in panel["targets"]:
                assert target["editorType"] == "sql"
                assert target["format"] == (1 if panel["type"] == "flamegraph" else 0)
                assert "${run:singlequote}" in target["rawSql"]
                assert "${run}" not in target["rawSql"]
    assert len({panel.place for panel in hot_functions.DASHBOARD.panels}) == len(hot_functions.DASHBOARD.panels)


@pytest.mark.parametrize("sql", [hot_functions.RATES, hot_functions.P99, hot_functions.CPU_PER_SECOND])
@pytest.mark.parametrize("interval_s", [1, 30])
def test_a_time_series_begins_with_its_time_in_order(filled: Client, sql: str, interval_s: int) -> None:
    names, found = rows(filled, sql, interval_s=interval_s)
    assert names[0] == "time"
    times = [row[0] for row in found]
    assert times
    assert isinstance(times[0], datetime)
    assert times == sorted(times)


def test_rates_are_what_the_windows_say(filled: Client) -> None:
    _, found = rows(filled, hot_functions.RATES)
    sums = filled.query("SELECT sum(scheduled), sum(completed + failed) FROM windows").result_rows[0]
    assert sum(row[1] for row in found) == pytest.approx(sums[0])
    assert sum(row[2] for row in found) == pytest.approx(sums[1])


def test_cpu_per_second_adds_up_to_the_functions_cpu_and_is_told_by_function(filled: Client) -> None:
    names, found = rows(filled, hot_functions.CPU_PER_SECOND)
    assert names == ["time", "function_label", "cpu"]
    total_s = filled.query("SELECT sum(self_cpu_us) / 1e6 FROM functions").result_rows[0][0]
    assert sum(row[2] for row in found) == pytest.approx(total_s, rel=1e-6)
    assert any(row[1] == "sweep (shop.py)" for row in found)


def test_cpu_per_request_of_the_planted_function_grows_with_the_rate(filled: Client) -> None:
    _, found = rows(filled, hot_functions.CPU_PER_REQUEST)
    rates = {row[0]: row[2] for row in rows(filled, hot_functions.RATES)[1]}
    sweep = {row[0]: row[2] for row in found if row[1] == "sweep (shop.py)"}
    low = [cpu for time, cpu in sweep.items() if rates[time] <= min(rates.values()) * 1.2]
    high = [cpu for time, cpu in sweep.items() if rates[time] >= max(rates.values()) * 0.8]
    assert sum(high) / len(high) > 3 * sum(low) / len(low)


def test_the_flame_graph_is_one_tree_depth_first(filled: Client) -> None:
    names, found = rows(filled, hot_functions.FLAME_GRAPH)
    assert names == ["label", "level", "value", "self"]
    assert [row[1] for row in found].count(0) == 1
    assert found[0][:2] == ("total", 0)
    for before, after in pairwise(found):
        assert 1 <= after[1] <= before[1] + 1
    total = filled.query("SELECT sum(weight_us) FROM samples WHERE mode = 'cpu'").result_rows[0][0]
    assert found[0][2] == total
    for place, (_, level, value, own) in enumerate(found):
        children = []
        for _, deeper, below, _ in found[place + 1 :]:
            if deeper <= level:
                break
            if deeper == level + 1:
                children.append(below)
        assert value >= own + sum(children)  # narrow frames are pruned


def test_an_empty_range_still_has_exactly_one_root(filled: Client) -> None:
    assert rows(filled, hot_functions.FLAME_GRAPH, empty=True)[1] == [("total", 0, 0, 0)]


def test_variables_list_services_and_the_runs_of_one(filled: Client) -> None:
    services = rows(filled, hot_functions.SERVICES)[1]
    assert len(services) == 1
    assert rows(filled, hot_functions.RUNS)[1] == [(RUN,)]


def test_stages_are_marked_from_their_beginning_to_their_end(filled: Client) -> None:
    names, found = rows(filled, hot_functions.STAGES)
    assert names == ["time", "timeEnd", "text"]
    assert found
    assert all(row[0] < row[1] for row in found)


def test_no_text_of_a_dashboard_holds_a_secret_or_an_address() -> None:
    for dashboard in DASHBOARDS:
        text = json.dumps(dashboard.as_json())
        assert "password" not in text
        assert "://" not in text
