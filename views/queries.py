"""Every SQL text by which reports read the store. They see views only, and values travel as parameters."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from schemas.censoring import UNANSWERED_SQL
from sinks.errors import store_errors
from sinks.sketch_sql import quantiles_ms, row_quantile_ms


@dataclass(frozen=True, slots=True)
class Query:
    """A named text; `parameters` are the names it needs, with a value for trying it out."""

    name: str
    sql: str
    parameters: dict[str, Any]


_RUN: dict[str, Any] = {"run": "run-1"}
_WITHIN: dict[str, Any] = {"first": 1_790_000_000, "last": 1_790_000_000}
_BLOCKS: dict[str, Any] = {"run": "run-1", "starts": [1_790_000_000, 1_790_000_001], "numbers": [0, -1], **_WITHIN}
_ALL_OF_IT = f"(run = {{run:String}}, first = 0, last = {2**64 - 1})"
_UNIX_US = "toUnixTimestamp64Micro"
_P50_MS, _P99_MS = quantiles_ms(0.5, 0.99)

RUN = Query(
    "run",
    "SELECT run, service, target, started_at, ended_at, reason, verdict, engine, window_us, plan, note, engine_reason, "
    "state, heard_at FROM runs WHERE run = {run:String}",
    _RUN,
)
HOST_CORES_SQL = "ifNull((SELECT max(host_cores) FROM hosts WHERE run = {run:String}), 0)"
"""How many cores the service's host has, within a question about a run; 0 when not known."""
HOST = Query("host", "SELECT host_cores FROM hosts WHERE run = {run:String}", _RUN)
RUNS = Query(
    "runs",
    "SELECT run, service, started_at, ended_at, verdict, state FROM runs "
    "ORDER BY started_at DESC, run DESC LIMIT {most:UInt32}",
    {"most": 5},
)
STAGES = Query(
    "stages",
    f"SELECT label, stage, form, visit, {_UNIX_US}(starts_at) AS starts_us, {_UNIX_US}(ends_at) AS ends_us, "
    "rate_from_tps, rate_to_tps, settle_us, role, modulate FROM stages WHERE run = {run:String} "
    "ORDER BY starts_us, label",
    _RUN,
)
PRODUCERS = Query(
    "producers",
    "SELECT role, batches_acknowledged, rows_acknowledged, batches_lost, rows_lost, scheduled, sent, completed, "
    "failed, dropped, in_flight_at_end, target_counted, note, died, "
    "clock_correction_us, clock_residual_us, clock_error_us FROM producers "
    "WHERE run = {run:String} ORDER BY producer",
    _RUN,
)
JOINED = Query(
    "joined windows",
    "SELECT count() AS windows, sum(batches_covered) AS batches FROM windows WHERE run = {run:String}",
    _RUN,
)
CHECKS = Query("checks", "SELECT name, ok, sentence FROM checks WHERE run = {run:String} ORDER BY name", _RUN)
WINDOWS = Query(
    "windows",
    f"SELECT window, {_UNIX_US}(starts_at) AS starts_us, window_us, closed_by, scheduled, sent, completed, failed, "
    "dropped, in_flight, dispatch_lag_p99_us, generator_cpu_us, busiest_generator_us, instances, covered_us, samples, "
    "cpu_us, unattributed_us, busiest_thread_us, run_queue_us, agent_cpu_us, own_cpu_us, host_cpu_us, "
    f"{HOST_CORES_SQL} AS host_cores, "
    f"1000 * {row_quantile_ms(0.5)} AS p50_us, 1000 * {row_quantile_ms(0.99)} AS p99_us "
    "FROM windows WHERE run = {run:String} ORDER BY window",
    _RUN,
)
# Sketches are taken apart and put together again: sumMap would take ten times as long.
ENDPOINTS = Query(
    "endpoints",
    "SELECT stage, endpoint, completed, failed, in_vain, sent_bytes, received_bytes, "
    "tupleElement(sketch, 1) AS buckets, tupleElement(sketch, 2) AS counts FROM ("
    "SELECT stage, endpoint, sum(completed) AS completed, sum(failed) AS failed, sum(unanswered) AS in_vain, "
    "sum(bytes_sent) AS sent_bytes, sum(bytes_received) AS received_bytes "
    "FROM endpoints_summed(run = {run:String}) GROUP BY stage, endpoint) AS told LEFT JOIN ("
    "SELECT stage, endpoint, arraySort(groupArray((latency, requests))) AS sketch FROM ("
    "SELECT stage, endpoint, latency, sum(count) AS requests FROM ("
    "SELECT stage, endpoint, latency_buckets, latency_counts FROM endpoints_summed(run = {run:String})) "
    "ARRAY JOIN latency_buckets AS latency, latency_counts AS count GROUP BY stage, endpoint, latency"
    ") GROUP BY stage, endpoint) AS drawn USING (stage, endpoint) ORDER BY stage, endpoint",
    _RUN,
)
ENDPOINT_WINDOWS = Query(
    "windows of an endpoint",
    "SELECT window, sum(completed) AS completed, sum(failed) AS failed, "
    "sum(unanswered) AS in_vain, sumMap(latency_buckets, latency_counts) AS sketch, "
    "tupleElement(sketch, 1) AS buckets, tupleElement(sketch, 2) AS counts "
    "FROM endpoints WHERE run = {run:String} AND stage IN {stages:Array(String)} "
    "AND {endpoint:String} IN ('', endpoint) GROUP BY window ORDER BY window",
    {**_RUN, "stages": ["steady"], "endpoint": ""},
)
FAILED = Query(
    "failed requests",
    # By error; where no answer came also by bucket of the sketch, as the answers are: its latency is how long it was
    # waited for. Those that nobody timed have no bucket.
    "SELECT stage, endpoint, ifNull(requests_within.error, '') AS error, "
    f"if(ifNull({UNANSWERED_SQL}, false) AND isNotNull(latency_us), "
    "toInt32(ceil(log(greatest(latency_us, 1)) / log({gamma:Float64}) - 1e-9)), NULL) AS bucket, count() AS requests "
    f"FROM requests_within{_ALL_OF_IT} WHERE (isNotNull(requests_within.error) AND requests_within.error != '') "
    "OR status = 0 GROUP BY stage, endpoint, error, bucket ORDER BY stage, endpoint, error, bucket",
    {**_RUN, "gamma": 1.02},
)
SEND_LAG = Query(
    "send lag",
    # Lags are on a grid: few are different.
    "SELECT quantileExactWeightedOrNull(0.99)(lag_us, requests) / 1000 AS p99_ms FROM ("
    f"SELECT dispatch_lag_us AS lag_us, count() AS requests FROM requests_within{_ALL_OF_IT} GROUP BY lag_us)",
    _RUN,
)
BATCHES = Query(
    "batches",
    "SELECT sum(rows) AS stored, sum(scheduled) AS scheduled, sum(sent) AS sent, sum(dropped) AS dropped, "
    "max(engine) AS engine FROM batches WHERE topic = 'requests' AND run = {run:String}",
    _RUN,
)
INSTANCES = Query(
    "instances",
    "SELECT instance, any(pid) AS pid, anyLast(backend) AS backend, anyLast(timing) AS timing, "
    "max(threads) AS threads, sum(cpu_us) AS cpu_us, sum(busiest_thread_us) AS busiest_thread_us, "
    "max(rss_bytes) AS rss_bytes FROM batches WHERE topic = 'stacks' AND run = {run:String} AND instance != '' "
    "GROUP BY instance ORDER BY cpu_us DESC, instance",
    _RUN,
)
DEAD_LETTERS = Query(
    "dead letters",
    # Of this run those count which `sinks.letters` finds; here are those that say of no run that they are its own.
    f"SELECT count() AS letters FROM dead_letters WHERE run = '' AND {_UNIX_US}(received_at) "
    "BETWEEN {from_us:Int64} AND {to_us:Int64}",
    {"from_us": 0, "to_us": 1},
)

# Windows are mapped to blocks in the store (see `views.placing`), so that an hour of windows comes back as a few dozen
# columns.
_OF_BLOCK = "transform(roundDown(toUInt64(window), {starts:Array(UInt64)}), {starts:Array(UInt64)}, "
_OF_BLOCK += "{numbers:Array(Int32)}, toInt32(-1))"
_IN_BLOCKS = "(run = {run:String}, first = {first:UInt64}, last = {last:UInt64})"
BLOCKS, OF_BLOCK, IN_BLOCKS = _BLOCKS, _OF_BLOCK, _IN_BLOCKS  # for who has queries of its own

FUNCTIONS = Query(
    "functions",
    "SELECT function, file, groupArray(block) AS blocks, groupArray(self_us) AS self_us, "
    "groupArray(total_us) AS total_us, sum(seen) AS samples FROM ("
    f"SELECT function, file, {_OF_BLOCK} AS block, sum(self_cpu_us) AS self_us, sum(total_cpu_us) AS total_us, "
    f"sum(total_samples) AS seen FROM functions_within{_IN_BLOCKS} WHERE block >= 0 GROUP BY function, file, block"
    ") GROUP BY function, file ORDER BY arraySum(self_us) DESC, function, file",
    _BLOCKS,
)
MIX = Query(
    "mix of requests",
    "SELECT endpoint, groupArray(block) AS blocks, groupArray(done) AS requests FROM ("
    f"SELECT endpoint, {_OF_BLOCK} AS block, sum(completed) AS done FROM endpoints_within{_IN_BLOCKS} "
    "WHERE block >= 0 GROUP BY endpoint, block) GROUP BY endpoint ORDER BY endpoint",
    _BLOCKS,
)
STACKS = Query(
    "stacks",
    "SELECT stack, blocks, samples FROM ("
    "SELECT stack_id, groupArray(block) AS blocks, groupArray(seen) AS samples FROM ("
    f"SELECT stack_id, {_OF_BLOCK} AS block, count() AS seen FROM samples_within{_IN_BLOCKS} "
    "WHERE mode = 'cpu' AND block >= 0 GROUP BY stack_id, block) GROUP BY stack_id) AS counted "
    "LEFT ANY JOIN (SELECT stack_id, stack FROM stack_texts WHERE run = {run:String}) AS texts USING (stack_id) "
    "ORDER BY stack",
    _BLOCKS,
)

_SOME_MINUTES = "run = {run:String} AND minute BETWEEN {first:UInt64} AND {last:UInt64}"
_MINUTES: dict[str, Any] = {"run": "run-1", "first": 29_800_000, "last": 29_800_060}

MINUTES = Query(
    "minutes",
    "SELECT minute, sum(window_us) AS window_us, sum(watched_us) AS watched_us, "
    "sum(watched_requests) AS watched_requests, sum(failed) AS failed, sum(cpu_us) AS cpu_us, "
    f"1000 * {_P50_MS} AS p50_us, 1000 * {_P99_MS} AS p99_us "
    f"FROM minutes WHERE {_SOME_MINUTES} GROUP BY minute ORDER BY minute",
    _MINUTES,
)
MINUTE_FUNCTIONS = Query(
    "functions of minutes",
    # Names are few and rows are many: one row a function comes back.
    "SELECT function, file, groupArray(minute) AS minutes, groupArray(us) AS self_us, sum(us) AS own_us FROM ("
    "SELECT function, file, minute, sum(self_cpu_us) AS us FROM minute_functions "
    f"WHERE {_SOME_MINUTES} GROUP BY function, file, minute"
    ") GROUP BY function, file QUALIFY own_us >= {least:Float64} * sum(own_us) OVER () ORDER BY function, file",
    {**_MINUTES, "least": 0.01},
)
RESIDENT = Query(
    "memory of a service",
    "SELECT instance, groupArray(at) AS minutes, groupArray(rss) AS rss_bytes FROM ("
    "SELECT instance, intDiv(window * {window_us:UInt64}, 60000000) AS at, avg(rss_bytes) AS rss FROM batches "
    "WHERE topic = 'stacks' AND run = {run:String} AND instance != '' AND rss_bytes > 0 AND window BETWEEN "
    "intDiv({first:UInt64} * 60000000, {window_us:UInt64}) AND "
    "intDiv(({last:UInt64} + 1) * 60000000, {window_us:UInt64}) GROUP BY instance, at"
    ") GROUP BY instance ORDER BY instance",
    {**_MINUTES, "window_us": 1_000_000},
)

ALL: tuple[Query, ...] = (
    RUN,
    HOST,
    RUNS,
    STAGES,
    PRODUCERS,
    JOINED,
    CHECKS,
    WINDOWS,
    ENDPOINTS,
    ENDPOINT_WINDOWS,
    FAILED,
    SEND_LAG,
    BATCHES,
    INSTANCES,
    DEAD_LETTERS,
    FUNCTIONS,
    MIX,
    STACKS,
    MINUTES,
    MINUTE_FUNCTIONS,
    RESIDENT,
)


def fetch(client: Client, query: Query, **parameters: Any) -> pa.Table:
    """Run a query. Blocks; raises StoreError when the store does not answer."""
    with store_errors(f"read the {query.name} of a run"):
        return client.query_arrow(query.sql, parameters=parameters, use_strings=True)
