"""Slow requests of a run in a store: read through its views, and told in its report."""

import re
from collections.abc import Iterator
from math import ceil, log

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from analysis.waiting.contrast import contrast
from analysis.waiting.slow_findings import slow_findings
from schemas.precision import UNKNOWN_US
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from sinks.store import StoredBatch
from tests.support.batches import WINDOW_US, Request, request_batch
from tests.support.stored_tails import STAGE, write_tail
from tests.support.synthetic import Synthetic
from tests.support.tails import T0_US, Simulated, pool
from views import queries as run_queries
from views import slow, slow_queries
from views.facts import read_run
from views.placing import among
from views.queries import Query, fetch
from views.report import build_report
from views.slow import NO_LOOKS, WINDOW_TIMED, findings_of

SECONDS, TPS = 60, 60


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    opened = open_client(f"chdb://{tmp_path_factory.mktemp('slow')}/store")
    migrate(opened)
    yield opened
    opened.close()


def simulated(*, slow_share: float) -> Simulated:
    return pool(np.random.default_rng(3), tps=TPS, seconds=SECONDS, slow_share=slow_share)


@pytest.fixture(scope="module")
def slow_run(client: Client) -> str:
    write_tail(ClickHouseStore(client), "slow", simulated(slow_share=0.02), seconds=SECONDS, tps=TPS)
    return "slow"


@pytest.mark.parametrize("query", slow_queries.ALL, ids=lambda query: query.name)
def test_every_query_runs_and_reads_views_only(client: Client, query: Query) -> None:
    fetch(client, query, **query.parameters)
    assert set(re.findall(r"FROM\s+([a-z_]+)", query.sql)) <= {"requests_within", "samples_within", "stack_texts"}
    assert set(re.findall(r"\{(\w+):", query.sql)) == set(query.parameters)


def test_the_report_says_what_the_process_did_while_slow_requests_waited(client: Client, slow_run: str) -> None:
    (finding,) = [one for one in build_report(client, slow_run).findings if one.kind == "slow"]
    assert re.search(r"Requests to `search` above \d+ ms waited for something: .*shop was idle \d+%", finding.summary)
    assert finding.function in {"get_connection (db.py)", "query (db.py)"}
    assert finding.evidence["cause"] == "waiting"


def test_the_store_gives_the_figures_that_the_arrays_give(client: Client, slow_run: str) -> None:
    (stored,) = findings_of(client, read_run(client, slow_run))
    truth = simulated(slow_share=0.02)
    (direct,) = slow_findings("shop", [contrast(truth.groups()[0], truth.ticks)])
    # Cuts are by the sketch's buckets, 2% wide, and the first two seconds are left to settle.
    for name in ("idle_slow", "idle_ordinary"):
        assert stored.evidence[name] == pytest.approx(direct.evidence[name], abs=0.12)


def test_the_least_of_too_many_intervals_and_ticks_tells_the_same(
    client: Client, slow_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = findings_of(client, read_run(client, slow_run))
    monkeypatch.setattr(slow, "MOST_INTERVALS", 600)
    monkeypatch.setattr(slow, "MOST_TICK_ROWS", 5_000)
    (part,) = findings_of(client, read_run(client, slow_run))
    assert part.evidence["ticks"] < whole.evidence["ticks"]
    assert part.evidence["idle_slow"] == pytest.approx(whole.evidence["idle_slow"], abs=0.12)


def test_requests_of_endpoints_that_are_not_asked_for_are_passed_over(client: Client) -> None:
    Synthetic(run="mixed").write(ClickHouseStore(client))
    each = ", ".join(f"groupUniqArray({name})" for name in ("stage", "window", "endpoint"))
    stages, windows, endpoints = client.query(f"SELECT {each} FROM requests WHERE run = 'mixed'").result_rows[0]
    assert len(endpoints) > 1
    cuts = {"sides": [4], "slow_us": [1], "low_us": [0], "high_us": [1], "thin_slow": [1], "thin_middle": [1]}
    asked = {"run": "mixed", **among(np.array(windows)), "stages": stages, "endpoints": endpoints[:1]}
    found = fetch(client, slow_queries.INTERVALS, **asked, **cuts)
    assert set(found["side"].to_pylist()) == {5}


def test_looks_are_not_read_where_no_endpoint_has_a_tail(
    client: Client, slow_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        slow, "fetch", lambda client, query, **some: read.append(query.name) or fetch(client, query, **some)
    )
    monkeypatch.setattr(slow, "has_tail", lambda _: False)
    (finding,) = findings_of(client, read_run(client, slow_run))
    assert (finding.kind, slow_queries.TICKS.name in read) == ("none", False)


def test_its_clean_twin_has_no_finding_about_slow_requests(client: Client) -> None:
    write_tail(ClickHouseStore(client), "clean", simulated(slow_share=0.0), seconds=SECONDS, tps=TPS)
    assert [one.kind for one in findings_of(client, read_run(client, "clean"))] == ["none"]


def test_a_profiler_that_does_not_tell_times_is_named(client: Client) -> None:
    run = "window-timed"
    write_tail(ClickHouseStore(client), run, simulated(slow_share=0.02), seconds=10, tps=TPS, timing="window")
    (finding,) = findings_of(client, read_run(client, run))
    assert (finding.kind, WINDOW_TIMED in finding.summary) == ("none", True)
    assert finding.summary in {one.summary for one in build_report(client, run).findings}


def test_a_request_whose_latency_is_unknown_is_neither_slow_nor_ordinary(client: Client) -> None:
    requests = [Request(endpoint="search", stage=STAGE, latency_us=took_us) for took_us in (UNKNOWN_US, 9_000)]
    batch = request_batch(requests, run="untimed", window=T0_US // WINDOW_US, final=True)
    ClickHouseStore(client).write_batches([StoredBatch(batch, 0, 0)])
    some = {"run": "untimed", **among(np.array([T0_US // WINDOW_US])), "stages": [STAGE]}
    (row,) = fetch(client, slow_queries.TOOK, **some, gamma=slow.GAMMA).to_pylist()
    assert (row["bucket"] > 0, row["requests"]) == (True, 1)


def test_failed_requests_are_told_by_error_and_those_waited_for_in_vain_by_how_long_as_well(client: Client) -> None:
    requests = [
        Request(error=error, status=status, latency_us=took_us)
        for error, status, took_us in (
            (None, 200, 9_000),
            ("http 503", 503, 9_000),
            ("timeout", 200, 2_000_000),
            ("step pay: timeout", 0, 2_000_000),
            ("refused", 0, 300),
            ("refused", 0, UNKNOWN_US),
        )
    ]
    batch = request_batch(requests, run="failed", window=T0_US // WINDOW_US, final=True)
    ClickHouseStore(client).write_batches([StoredBatch(batch, 0, 0)])
    found = fetch(client, run_queries.FAILED, run="failed", gamma=slow.GAMMA).to_pylist()
    long, short = (ceil(log(took_us) / log(slow.GAMMA)) for took_us in (2_000_000, 300))
    assert [(row["error"], row["bucket"], row["requests"]) for row in found] == [
        ("http 503", None, 1),
        ("refused", pytest.approx(short, abs=1), 1),
        ("refused", None, 1),
        ("step pay: timeout", pytest.approx(long, abs=1), 1),
        ("timeout", pytest.approx(long, abs=1), 1),
    ]


def test_that_nobody_looked_at_the_threads_is_said(client: Client) -> None:
    synthetic = Synthetic(run="unseen")
    synthetic.write(ClickHouseStore(client))
    (finding,) = findings_of(client, read_run(client, "unseen"))
    assert (finding.kind, NO_LOOKS in finding.summary) == ("none", True)
