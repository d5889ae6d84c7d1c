"""What readers see through the views: the truth once, and nothing of the mechanism."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import pytest
from clickhouse_connect.driver.client import Client

from schemas.events import (
    EventData,
    FindingMade,
    FindingsSettled,
    FindingWithdrawn,
    LoadTotals,
    ProducerEnded,
    RunEnded,
    RunJudged,
    RunStarted,
    StageEntered,
)
from schemas.joined import JoinedWindow
from schemas.precision import UNKNOWN_US
from schemas.rows import RequestFacts, StackFacts
from sinks.clickhouse import ClickHouseStore
from sinks.store import DeadLetter, StoredBatch
from tests.support.batches import RUN, WINDOW, WINDOW_US, Request, Sample, request_batch, stack_batch, stack_of
from tests.support.joined import joined_endpoint, joined_function, joined_window

COLUMNS = {
    "requests": "run window scheduled_at completed_at dispatch_lag_us write_lag_us latency_us status error endpoint "
    "bytes_sent bytes_received stage",
    "samples": "run window service instance sampled_at weight_us thread_id stack_id stack mode",
    "batches": "topic run window producer seq flush rows final goodbye partition offset stored_at "
    + " ".join(RequestFacts.model_fields | StackFacts.model_fields),
    "windows": "run window starts_at latency_buckets latency_counts "
    + " ".join(name for name, kind in get_type_hints(JoinedWindow).items() if kind is int),
    "endpoints": "run window starts_at stage endpoint completed failed bytes_sent bytes_received latency_buckets "
    "latency_counts",
    "functions": "run window starts_at service function file self_samples total_samples self_cpu_us total_cpu_us",
    "runs": "run service target started_at ended_at reason verdict engine window_us plan note engine_reason "
    "heard_at state",
    "stages": "run label stage form visit starts_at ends_at settle_us rate_from_tps rate_to_tps role modulate",
    "producers": "run producer role batches_acknowledged rows_acknowledged batches_lost rows_lost batches_spooled "
    "rows_spooled note died clock_correction_us clock_residual_us clock_error_us " + " ".join(LoadTotals.model_fields),
    "findings": "run kind summary function evidence finding revision windows made_at revised_at",
    "dead_letters": "topic partition offset error received_at bytes run rows window producer seq kind",
    "replays": "topic partition offset received_at replayed_at to_offset",
}


def rows(client: Client, sql: str) -> list[dict[str, Any]]:
    return list(client.query(sql).named_results())


def utc(time_us: int) -> datetime:
    """As the driver gives times in UTC: without a zone."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)).replace(tzinfo=None)


def test_every_view_has_the_columns_that_readers_rely_on(store_client: Client) -> None:
    for view, columns in COLUMNS.items():
        described = {row["name"] for row in rows(store_client, f"DESCRIBE TABLE {view}")}
        assert described >= set(columns.split()), view


def test_a_request_is_seen_with_the_time_at_which_it_completed(
    store_client: Client, clickhouse_store: ClickHouseStore
) -> None:
    batch = request_batch([Request(latency_us=12_345, error="timeout", status=0)])
    clickhouse_store.write_batches([StoredBatch(batch, 0, 0)])
    assert rows(store_client, "SELECT * FROM requests") == [
        {
            "run": RUN,
            "window": WINDOW,
            "scheduled_at": utc(WINDOW * WINDOW_US),
            "completed_at": utc(WINDOW * WINDOW_US + 12_345),
            "dispatch_lag_us": 40,
            "write_lag_us": 90,
            "latency_us": 12_345,
            "status": 0,
            "error": "timeout",
            "endpoint": "search",
            "bytes_sent": 180,
            "bytes_received": 2_400,
            "stage": "hold",
        }
    ]


def test_a_request_that_nobody_timed_is_seen_without_a_latency_and_with_the_time_at_which_it_ended(
    store_client: Client, clickhouse_store: ClickHouseStore
) -> None:
    clickhouse_store.write_batches([StoredBatch(request_batch([Request(latency_us=UNKNOWN_US)]), 0, 0)])
    (seen,) = rows(store_client, "SELECT latency_us, completed_at FROM requests")
    assert seen == {"latency_us": None, "completed_at": utc(WINDOW * WINDOW_US)}


def test_a_sample_is_seen_with_the_text_of_its_stack_and_whose_it_is(
    store_client: Client, clickhouse_store: ClickHouseStore
) -> None:
    sweep, parse = stack_of("main", "sweep"), stack_of("main", "parse")
    facts = StackFacts(service="shop", instance="pid-7")
    for run in (RUN, "run-2"):
        batch = stack_batch([Sample(sweep), Sample(parse), Sample(sweep)], run=run, facts=facts)
        clickhouse_store.write_batches([StoredBatch(batch, 0, 0)])
    seen = rows(
        store_client,
        f"SELECT service, instance, stack, count() AS samples, sum(weight_us) AS weight_us FROM samples "
        f"WHERE run = '{RUN}' GROUP BY ALL ORDER BY stack",
    )
    shop = {"service": "shop", "instance": "pid-7"}
    assert seen == [
        shop | {"stack": parse, "samples": 1, "weight_us": 10_000},
        shop | {"stack": sweep, "samples": 2, "weight_us": 20_000},
    ]


def test_a_batch_is_seen_with_its_place_in_kafka_and_its_facts(
    store_client: Client, clickhouse_store: ClickHouseStore
) -> None:
    facts = RequestFacts(engine="wire", scheduled=9, sent=8, dropped=1, in_flight=2, generator_cpu_us=3)
    batch = request_batch([Request()], facts=facts, seq=4, final=True, goodbye=True)
    clickhouse_store.write_batches([StoredBatch(batch, 3, 77)])
    (seen,) = rows(store_client, "SELECT * FROM batches")
    expected = {"topic": "requests", "producer": "load-1", "seq": 4, "rows": 1, "partition": 3, "offset": 77}
    assert seen.items() >= (expected | {"final": True, "goodbye": True} | facts.model_dump()).items()


def test_a_joined_window_is_seen_with_the_sketch_of_all_its_endpoints(
    store_client: Client, clickhouse_store: ClickHouseStore
) -> None:
    joined = joined_window(endpoints=(joined_endpoint("search"), joined_endpoint("item", latencies_us=(5, 12_000))))
    clickhouse_store.write_windows([joined])
    (seen,) = rows(store_client, "SELECT * FROM windows")
    assert seen["starts_at"] == utc(WINDOW * WINDOW_US)
    assert (tuple(seen["latency_buckets"]), tuple(seen["latency_counts"])) == (
        joined.latency.buckets,
        joined.latency.counts,
    )
    assert seen["dispatch_lag_p99_us"] == joined.dispatch_lag_p99_us
    assert rows(store_client, "SELECT endpoint FROM endpoints ORDER BY endpoint") == [
        {"endpoint": "item"},
        {"endpoint": "search"},
    ]


def test_parts_of_a_joined_window_that_lost_are_not_seen(
    store_client: Client, clickhouse_store: ClickHouseStore
) -> None:
    for covered, name in [(3, "whole"), (2, "part")]:
        joined = joined_window(
            batches_covered=covered, endpoints=(joined_endpoint(name),), functions=(joined_function(name),)
        )
        clickhouse_store.write_windows([joined])
    assert rows(store_client, "SELECT endpoint FROM endpoints") == [{"endpoint": "whole"}]
    assert rows(store_client, "SELECT function FROM functions") == [{"function": "whole"}]


def test_what_is_stored_again_is_seen_once(store_client: Client, clickhouse_store: ClickHouseStore) -> None:
    batches = [request_batch([Request()] * 2, seq=0), request_batch([Request()], seq=1), stack_batch([Sample("a")] * 3)]
    for again in (batches, batches[:1], batches[2:]):
        clickhouse_store.write_batches([StoredBatch(batch, 0, 0) for batch in again])
    seen = [
        store_client.query(f"SELECT count() FROM {view}").result_rows for view in ("requests", "samples", "batches")
    ]
    assert seen == [[(3,)], [(3,)], [(3,)]]


STARTED = RunStarted(
    run_id=RUN,
    service="shop",
    target="http://127.0.0.1:8080",
    started_at_us=WINDOW * WINDOW_US,
    window_us=WINDOW_US,
    partitions=4,
    engine="aiohttp",
    engine_reason="it can do it",
    plan={"stages": [{"name": "ramp", "ramp": [20, 200]}]},
)
ENDED = RunEnded(run_id=RUN, ended_at_us=WINDOW * WINDOW_US + 5, reason="finished", producers=2, note="n")
NEW = {
    "run": RUN,
    "service": "shop",
    "target": "http://127.0.0.1:8080",
    "started_at": utc(WINDOW * WINDOW_US),
    "ended_at": None,
    "reason": "",
    "verdict": "",
    "engine": "aiohttp",
    "window_us": WINDOW_US,
    "plan": '{"stages":[{"name":"ramp","ramp":[20,200]}]}',
    "note": "",
    "engine_reason": "it can do it",
    "heard_at": utc(WINDOW * WINDOW_US),
}
END = utc(WINDOW * WINDOW_US + 5)
OVER = NEW | {"ended_at": END, "heard_at": END, "reason": "finished", "note": "n"}
LIVES = {
    "under way": ([STARTED], [NEW]),
    "over": ([STARTED, ENDED], [OVER]),
    "judged": ([STARTED, ENDED, RunJudged(run_id=RUN, verdict="passed")], [OVER | {"verdict": "passed"}]),
    "told of twice": ([STARTED, STARTED, ENDED, ENDED], [OVER]),
    "not known to have begun": ([ENDED], []),
}


@pytest.mark.parametrize("null_for_missing", [0, 1], ids=["", "with join_use_nulls"])
@pytest.mark.parametrize(("events", "expected"), LIVES.values(), ids=LIVES)
def test_a_run_is_seen_as_far_as_it_has_come(
    store_client: Client,
    clickhouse_store: ClickHouseStore,
    events: list[EventData],
    expected: list[dict[str, Any]],
    null_for_missing: int,
) -> None:
    clickhouse_store.write_events(events, [1] * len(events))
    assert (
        rows(store_client, f"SELECT * EXCEPT (state) FROM runs SETTINGS join_use_nulls = {null_for_missing}")
        == expected
    )


MINUTE_US = 60_000_000
# How many minutes ago a run began, and its last window was joined; how long its windows are.
STATES: dict[str, tuple[int, int | None, int, str]] = {
    "just begun": (0, None, WINDOW_US, "live"),
    "to begin tomorrow": (-1440, None, WINDOW_US, "live"),
    "begun, and no window came": (3, None, WINDOW_US, "broken off"),
    "long under way": (600, 1, WINDOW_US, "live"),
    "killed": (600, 3, WINDOW_US, "broken off"),
    "of long windows, of which two may take their time": (600, 3, MINUTE_US, "live"),
    "killed, of long windows": (600, 5, MINUTE_US, "broken off"),
}


@pytest.mark.parametrize("case", STATES.values(), ids=STATES)
def test_a_run_whose_end_nobody_said_is_live_for_as_long_as_it_is_heard_of(
    store_client: Client, clickhouse_store: ClickHouseStore, case: tuple[int, int | None, int, str]
) -> None:
    began, joined, window_us, state = case
    now_us = time.time_ns() // 1000
    started_us = now_us - began * MINUTE_US
    started = STARTED.model_copy(update={"started_at_us": started_us, "window_us": window_us})
    clickhouse_store.write_events([started], [min(started_us, now_us)])
    heard_us = started_us
    if joined is not None:
        heard_us = now_us - joined * MINUTE_US
        for run in (RUN, "another"):
            store_client.command(
                "INSERT INTO windows_stored (run, window, joined_at) "
                f"SELECT '{run}', number, fromUnixTimestamp64Micro({heard_us} - number, 'UTC') FROM numbers(3)"
            )
    (seen,) = rows(store_client, "SELECT state, heard_at FROM runs")
    assert seen == {"state": state, "heard_at": utc(heard_us)}
    clickhouse_store.write_events([ENDED], [now_us])
    assert rows(store_client, "SELECT state FROM runs") == [{"state": "ended"}]


def test_which_runs_are_on_is_told_without_a_look_at_their_windows(
    store_client: Client, clickhouse_store: ClickHouseStore
) -> None:
    clickhouse_store.write_events([STARTED], [1])
    clickhouse_store.write_windows([joined_window()])
    plan = "\n".join(line for (line,) in store_client.query("EXPLAIN SELECT state FROM runs").result_rows)
    assert "heard_stored" in plan
    assert "windows_stored" not in plan
    assert rows(store_client, "SELECT state FROM runs") == [{"state": "live"}]


def test_stages_producers_and_findings_are_seen_in_columns(
    store_client: Client, clickhouse_store: ClickHouseStore
) -> None:
    stage = StageEntered(
        run_id=RUN, label="map[3]", stage="map", form="level", visit=2, starts_at_us=1_000_000, ends_at_us=9_000_000,
        rate_from_tps=12.5, rate_to_tps=50.0, modulate=0.9,
    )  # fmt: skip
    load = ProducerEnded(
        run_id=RUN, producer_id="l", role="load", batches_acknowledged=3, rows_acknowledged=4, batches_lost=1,
        rows_lost=2, totals=LoadTotals(scheduled=9, sent=8, completed=7, target_counted=8), note="n", died=True,
        batches_spooled=1, rows_spooled=2, clock_correction_us=-3_600_000_000, clock_residual_us=-7, clock_error_us=900,
    )  # fmt: skip
    agent = ProducerEnded(run_id=RUN, producer_id="p", role="profiler", batches_acknowledged=5, rows_acknowledged=6)
    finding = FindingMade(run_id=RUN, kind="growth", summary="sweep grows", function="sweep", evidence={"growth": 2.0})
    general = FindingMade(run_id=RUN, kind="capacity", summary="410 TPS")
    clickhouse_store.write_events([stage, load, agent, finding, general], [1] * 5)
    (seen,) = rows(store_client, "SELECT * FROM stages")
    assert seen == {
        "run": RUN, "label": "map[3]", "stage": "map", "form": "level", "visit": 2, "starts_at": utc(1_000_000),
        "ends_at": utc(9_000_000), "settle_us": 0, "rate_from_tps": 12.5, "rate_to_tps": 50.0,
        "role": "measure", "modulate": 0.9,
    }  # fmt: skip
    of_load, of_agent = rows(store_client, "SELECT * FROM producers ORDER BY producer")
    assert of_load == {
        "run": RUN, "producer": "l", "role": "load", "batches_acknowledged": 3, "rows_acknowledged": 4,
        "batches_lost": 1, "rows_lost": 2, "scheduled": 9, "sent": 8, "completed": 7, "failed": 0, "dropped": 0,
        "in_flight_at_end": 0, "target_counted": 8, "note": "n", "died": True,
        "batches_spooled": 1, "rows_spooled": 2, "clock_correction_us": -3_600_000_000, "clock_residual_us": -7,
        "clock_error_us": 900,
    }  # fmt: skip
    assert (of_agent["scheduled"], of_agent["target_counted"], of_agent["died"]) == (None, None, False)
    assert (of_agent["clock_correction_us"], of_agent["clock_residual_us"]) == (0, None)
    assert rows(store_client, "SELECT run, kind, summary, function, evidence FROM findings ORDER BY kind") == [
        {"run": RUN, "kind": "capacity", "summary": "410 TPS", "function": None, "evidence": "{}"},
        {"run": RUN, "kind": "growth", "summary": "sweep grows", "function": "sweep", "evidence": '{"growth":2}'},
    ]


def test_of_a_finding_is_seen_what_was_said_last_unless_it_was_withdrawn(
    store_client: Client, clickhouse_store: ClickHouseStore
) -> None:
    def made(finding: str, revision: int, windows: int = 9, run: str = RUN) -> FindingMade:
        summary, evidence = f"{finding} {revision} on {windows}", {"revision": revision}
        return FindingMade(
            run_id=run,
            kind="k",
            summary=summary,
            finding=finding,
            revision=revision,
            windows=windows,
            evidence=evidence,
        )

    def withdrawn(finding: str, revision: int) -> FindingWithdrawn:
        return FindingWithdrawn(run_id=RUN, kind="k", summary="gone", finding=finding, revision=revision, windows=9)

    told = [
        (made("k/a", 10, 40), 5), (made("k/a", 9), 3), (made("k/a", 2), 2),  # in any order
        (made("k/b", 1), 1), (withdrawn("k/b", 2), 2),
        (made("k/c", 1), 1), (withdrawn("k/c", 2), 2), (made("k/c", 3), 3),
        (made("k/d", 1, 20), 7), (made("k/d", 1, 30), 6),  # by two workers, one of which was killed
        (made("k/a", 1, run="another"), 1),
        (FindingsSettled(run_id=RUN, findings=["k/a"], windows=9, batches=9), 9),
    ]  # fmt: skip
    clickhouse_store.write_events([event for event, _ in told], [at_us for _, at_us in told])
    asked = f"SELECT finding, summary, evidence, windows, made_at, revised_at FROM findings WHERE run = '{RUN}'"
    assert [tuple(row.values()) for row in rows(store_client, f"{asked} ORDER BY finding")] == [
        ("k/a", "k/a 10 on 40", '{"revision":10}', 40, utc(2), utc(5)),
        ("k/c", "k/c 3 on 9", '{"revision":3}', 9, utc(1), utc(3)),
        ("k/d", "k/d 1 on 30", '{"revision":1}', 30, utc(6), utc(7)),
    ]


def test_a_dead_letter_is_seen_with_its_size(store_client: Client, clickhouse_store: ClickHouseStore) -> None:
    clickhouse_store.write_dead_letters(
        [DeadLetter("t.requests", 1, 2, "damaged", 3_000_000, 12, "run-1", 7, window=5, producer="p", seq=4)]
    )
    assert rows(store_client, "SELECT * FROM dead_letters") == [
        {"topic": "t.requests", "partition": 1, "offset": 2, "error": "damaged", "received_at": utc(3_000_000),
         "bytes": 12, "run": "run-1", "rows": 7, "window": 5, "producer": "p", "seq": 4, "kind": "requests"}
    ]  # fmt: skip


PRUNED = {
    "requests of a run": "SELECT count() FROM requests WHERE run = 'run-7'",
    "requests of a window": "SELECT max(latency_us) FROM requests WHERE run = 'run-7' AND window = {window}",
    "stacks of a run, their texts included": "SELECT stack, count() FROM samples WHERE run = 'run-7' GROUP BY stack",
    "endpoints of a run": "SELECT count() FROM endpoints WHERE run = 'run-7'",
    "functions of a run": "SELECT count() FROM functions WHERE run = 'run-7'",
    "windows of a run": "SELECT count() FROM windows WHERE run = 'run-7'",
    "findings of a run": "SELECT count() FROM findings WHERE run = 'run-7'",
}


def test_a_filter_by_run_reads_that_run_only(store_client: Client, clickhouse_store: ClickHouseStore) -> None:
    for number in range(10):
        run = f"run-{number}"
        batches = [request_batch([Request()] * 5, run=run), stack_batch([Sample(f"f{n}") for n in range(5)], run=run)]
        clickhouse_store.write_batches([StoredBatch(batch, 0, 0) for batch in batches])
        clickhouse_store.write_windows([joined_window(run=run)])
        clickhouse_store.write_events([FindingMade(run_id=run, kind="hot", summary="f is hot")], [1])
    for name, query in PRUNED.items():
        lines = store_client.query(f"EXPLAIN indexes = 1 {query.format(window=WINDOW)}").result_rows
        _, *reads = "\n".join(line for (line,) in lines).split("ReadFromMergeTree")
        assert reads, name
        for read in reads:
            assert "run in ['run-7', 'run-7']" in read, f"{name} reads all runs: {read}"
