"""Every SQL text behind the page. They see views only, and values travel as parameters.

A bucket is `step` windows, counted from window `first`; a range is the windows from `first` to `last`, both included.
"""

from typing import Any

from sinks.sketch_sql import quantile_ms
from views.queries import Query

_RANGE: dict[str, Any] = {"run": "run-1", "first": 0, "last": 4_000_000_000_000}
_BUCKETS: dict[str, Any] = {**_RANGE, "step": 1}
_IN_RANGE = "run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}"
_BUCKET = "intDiv(toUInt64(window) - {first:UInt64}, {step:UInt64})"
_US = "toUnixTimestamp64Micro"
_SUMMED = (
    *("window_us", "scheduled", "sent", "completed", "failed", "dropped", "generator_cpu_us", "busiest_generator_us"),
    *("covered_us", "samples", "cpu_us", "unattributed_us", "busiest_thread_us", "run_queue_us", "agent_cpu_us"),
    *("own_cpu_us", "host_cpu_us"),
)

RUN_LIST = Query(
    "list of runs",
    "SELECT run, service, target, intDiv(toUnixTimestamp64Micro(started_at), 1000) AS started_ms, "
    "if(isNull(ended_at), NULL, intDiv(toUnixTimestamp64Micro(assumeNotNull(ended_at)), 1000)) AS ended_ms, verdict, "
    "seen.seconds AS seconds, seen.requests AS requests, seen.failed AS failed, seen.tps AS tps, "
    "seen.p99_ms AS p99_ms, seen.cores AS cores FROM ("
    "SELECT * FROM runs ORDER BY started_at DESC, run DESC LIMIT {most:UInt32}"
    ") AS listed LEFT JOIN ("
    "SELECT run, sum(w.window_us) / 1e6 AS seconds, sum(w.completed + w.failed) AS requests, sum(w.failed) AS failed, "
    f"max(w.completed / w.window_us) * 1e6 AS tps, {quantile_ms(0.99)} AS p99_ms, "
    "if(max(w.instances) = 0, NULL, sumIf(w.cpu_us, w.instances > 0) / sumIf(w.window_us, w.instances > 0)) AS cores "
    "FROM windows AS w WHERE run IN (SELECT run FROM runs ORDER BY started_at DESC, run DESC LIMIT {most:UInt32}) "
    "AND scheduled > 0 GROUP BY run"
    ") AS seen USING (run) ORDER BY started_ms DESC, run DESC",
    {"most": 5},
)
REACH = Query(
    "reach",
    "SELECT min(window) AS first, max(window) AS last, count() AS windows FROM windows WHERE run = {run:String}",
    {"run": "run-1"},
)
ENDPOINT_NAMES = Query(
    "names of endpoints",
    "SELECT endpoint FROM endpoints WHERE run = {run:String} GROUP BY endpoint ORDER BY sum(completed + failed) DESC, "
    "endpoint",
    {"run": "run-1"},
)
SERIES = Query(
    "series",
    f"SELECT {_BUCKET.replace('window', 'w.window')} AS bucket, min(w.window) AS window, "
    f"min({_US}(w.starts_at)) AS starts_us, "
    + "".join(f"sum(w.{name}) AS {name}, " for name in _SUMMED)
    + "".join(f"max(w.{name}) AS {name}, " for name in ("in_flight", "dispatch_lag_p99_us"))
    + "min(w.instances) AS instances, sumIf(w.window_us, w.instances > 0) AS watched_us, "
    "countIf(w.closed_by = 'late') AS late, countIf(w.closed_by = 'grace') AS incomplete, "
    + ", ".join(
        f"1000 * {quantile_ms(q)} AS {name}" for name, q in {"p50_us": 0.5, "p95_us": 0.95, "p99_us": 0.99}.items()
    )
    + " FROM windows AS w WHERE w.run = {run:String} AND w.window BETWEEN {first:UInt64} AND {last:UInt64} "
    "GROUP BY bucket ORDER BY bucket",
    _BUCKETS,
)
UNANSWERED = Query(
    "unanswered by bucket",
    f"SELECT {_BUCKET} AS bucket, sum(unanswered) AS unanswered FROM endpoints WHERE {_IN_RANGE} "
    "GROUP BY bucket HAVING unanswered > 0 ORDER BY bucket",
    _BUCKETS,
)
HOT = Query(
    "hot functions",
    "SELECT function, file, sum(self_us) AS all_us, groupArray(bucket) AS buckets, groupArray(self_us) AS self, "
    "groupArray(total_us) AS total FROM ("
    f"SELECT function, file, {_BUCKET} AS bucket, sum(self_cpu_us) AS self_us, sum(total_cpu_us) AS total_us "
    f"FROM functions WHERE {_IN_RANGE} GROUP BY function, file, bucket"
    ") GROUP BY function, file ORDER BY all_us DESC, function, file LIMIT {most:UInt32}",
    {**_BUCKETS, "most": 12},
)
FUNCTION = Query(
    "a function by window",
    "SELECT window, sum(total_cpu_us) AS total_us FROM functions "
    f"WHERE {_IN_RANGE} AND function = {{function:String}} AND file = {{file:String}} GROUP BY window ORDER BY window",
    {**_RANGE, "function": "f", "file": "a.py"},
)
# CPU is the kernel's, of each instance in each window, and goes to stacks by the time their samples stand for.
_WEIGHTS = (
    f"SELECT stack_id, any(stack) AS text, window, instance, sum(weight_us) AS us, count() AS seen FROM samples "
    f"WHERE {_IN_RANGE} AND mode = 'cpu' GROUP BY stack_id, window, instance"
)
_CPU = (
    "SELECT window, instance, sum(cpu_us) AS cpu_us FROM batches "
    f"WHERE topic = 'stacks' AND {_IN_RANGE} AND instance != '' GROUP BY window, instance"
)
STACKS = Query(
    "stacks of a range",
    "SELECT any(text) AS stack, {bucket} AS bucket, sum(cpu_us * us / greatest(all_us, 1)) AS cpu_us, "
    "sum(seen) AS samples FROM ("
    "SELECT *, sum(us) OVER (PARTITION BY window, instance) AS all_us FROM "
    f"({_WEIGHTS}) AS seen INNER JOIN ({_CPU}) AS spent USING (window, instance)"
    ") GROUP BY stack_id, bucket ORDER BY stack, bucket".replace("{bucket}", _BUCKET),
    _BUCKETS,
)
TOTALS = Query(
    "totals of a range",
    "SELECT sum(w.window_us) / 1e6 AS seconds, sum(w.completed + w.failed) AS requests, sum(w.cpu_us) AS cpu_us, "
    f"sum(w.unattributed_us) AS unattributed_us FROM windows AS w WHERE {_IN_RANGE} AND instances > 0",
    _RANGE,
)
LATENCY = Query(
    "latency by bucket",
    f"SELECT endpoint, {_BUCKET} AS bucket, sum(completed) AS completed, sum(failed) AS failed, "
    "sum(unanswered) AS unanswered, sumMap(latency_buckets, latency_counts) AS sketch, "
    "tupleElement(sketch, 1) AS buckets, tupleElement(sketch, 2) AS counts "
    f"FROM endpoints WHERE {_IN_RANGE} GROUP BY endpoint, bucket ORDER BY endpoint, bucket",
    _BUCKETS,
)
DROPPED = Query("dropped of a range", f"SELECT sum(dropped) AS dropped FROM windows WHERE {_IN_RANGE}", _RANGE)
_CELL = (
    f"{_IN_RANGE} AND {{endpoint:String}} IN ('', endpoint) AND latency_us > {{low_us:Float64}} "
    "AND latency_us <= {high_us:Float64}"
)
REQUESTS = Query(
    "requests of a cell",
    f"SELECT {_US}(completed_at) AS ended_us, endpoint, stage, latency_us, dispatch_lag_us, status, error, "
    f"count() OVER () AS found FROM requests WHERE {_CELL} "
    "ORDER BY latency_us DESC, ended_us LIMIT {most:UInt32}",
    {**_RANGE, "endpoint": "", "low_us": 0.0, "high_us": 1e12, "most": 100},
)
LETTERS = Query(
    "dead letters of a run",
    f"SELECT topic, partition, offset, {_US}(received_at) AS received_us, bytes, error FROM dead_letters "
    f"WHERE run = {{run:String}} OR (run = '' AND {_US}(received_at) BETWEEN {{from_us:Int64}} AND {{to_us:Int64}}) "
    "ORDER BY received_at, topic, partition, offset LIMIT {most:UInt32}",
    {"run": "run-1", "from_us": 0, "to_us": 1, "most": 100},
)
PRODUCERS = Query(
    "last words",
    "SELECT role, batches_acknowledged, rows_acknowledged, rows_lost, rows_spooled, died, clock_correction_us, note "
    "FROM producers WHERE run = {run:String} ORDER BY role, producer",
    {"run": "run-1"},
)
