"""Load and latency over time and by endpoint, and how far they may be trusted."""

from sinks.sketch_sql import quantiles_ms
from views.queries import HOST_CORES_SQL
from views.web.shown import RUN, SPAN, STEPS, UNIX_US, bucket, once, over, summed

_P50, _P95, _P99 = quantiles_ms(0.5, 0.95, 0.99, single="{step:UInt64} = 1")
_OF_ALL = "{endpoint:String} = ''"
_ONE_EACH = f"{_OF_ALL} AND {{step:UInt64}} = 1"
_RANKS = quantiles_ms(0.5, 0.9, 0.95, 0.99, 0.999, buckets="places", counts="counts", single=_ONE_EACH)
_RANK_NAMES = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms")
_SKETCH = "arraySort(groupArrayIf((latency, requests), requests > 0))"
ROW_BUCKETS = 12
"""So many buckets of the latency sketch make a row of the heat map, of latencies within a factor of 1.27."""

SERIES = over(
    "series",
    lambda source: (
        f"""
SELECT
    {bucket(source)} AS bucket, min({UNIX_US}(starts_at)) AS starts_us, {source.joined} AS windows,
    sum(window_us) AS window_us, {source.watched_us} AS watched_us, {source.watched_requests} AS watched_requests,
    sum(scheduled) AS scheduled, sum(sent) AS sent, sum(completed) AS completed, sum(failed) AS failed,
    sum(dropped) AS dropped, max(in_flight) AS in_flight, max(dispatch_lag_p99_us) AS dispatch_lag_p99_us,
    sum(generator_cpu_us) AS generator_cpu_us, sum(busiest_generator_us) AS busiest_generator_us,
    min(instances) AS instances, sum(covered_us) AS covered_us, sum(samples) AS samples, sum(cpu_us) AS cpu_us,
    sum(unattributed_us) AS unattributed_us, sum(busiest_thread_us) AS busiest_thread_us,
    sum(run_queue_us) AS run_queue_us, sum(agent_cpu_us) AS agent_cpu_us, sum(own_cpu_us) AS own_cpu_us,
    sum(host_cpu_us) AS host_cpu_us, {HOST_CORES_SQL} AS host_cores, {source.late} AS late,
    {source.incomplete} AS incomplete, {source.unwatched} AS unwatched,
    {_P50} AS p50_ms, {_P95} AS p95_ms, {_P99} AS p99_ms
FROM {source.windows}
GROUP BY bucket
ORDER BY bucket
"""
    ),
    STEPS,
    ("bucket", "UInt64", "which, from 0"),
    ("starts_us", "Int64", "Unix time at which its first window or minute begins"),
    ("windows", "UInt64", "how many are joined"),
    ("window_us", "UInt64", "their length together: what rates are divided by"),
    ("watched_us", "UInt64", "of it, with a profile: what CPU is divided by"),
    ("watched_requests", "UInt64", "requests that ended while there was a profile"),
    ("scheduled", "UInt64", "arrivals that fell due: offered load"),
    ("sent", "UInt64", "requests that were handed to a socket"),
    ("completed", "UInt64", "requests that were answered as asked"),
    ("failed", "UInt64", "requests that were not"),
    ("dropped", "UInt64", "arrivals that met the in-flight cap"),
    ("in_flight", "UInt64", "requests under way at a window's end, at most"),
    ("dispatch_lag_p99_us", "UInt64", "send lag: the worst window's 99th percentile, wall time"),
    ("generator_cpu_us", "UInt64", "of all load processes"),
    ("busiest_generator_us", "UInt64", "of the busiest load process of each window"),
    ("instances", "UInt64", "processes that were watched, at least"),
    ("covered_us", "UInt64", "time in which the sampler watched"),
    ("samples", "UInt64", "CPU samples"),
    ("cpu_us", "UInt64", "of the service"),
    ("unattributed_us", "UInt64", "of it, what no function could be given"),
    ("busiest_thread_us", "UInt64", "of the service's busiest thread of each window"),
    ("run_queue_us", "UInt64", "time that the service's threads waited for a core"),
    ("agent_cpu_us", "UInt64", "of the profiler"),
    ("own_cpu_us", "UInt64", "of loadflame's processes on the service's host"),
    ("host_cpu_us", "UInt64", "of everything there; 0 when not known"),
    ("host_cores", "UInt64", "how many it has; 0 when not known"),
    ("late", "UInt64", "windows that were joined again, for a batch came late"),
    ("incomplete", "UInt64", "windows closed by the grace period, without every producer's last batch"),
    ("unwatched", "UInt64", "windows without a profile"),
    ("p50_ms", "Nullable(Float64)", "median latency from the scheduled start; NULL without a request"),
    ("p95_ms", "Nullable(Float64)", "95th percentile"),
    ("p99_ms", "Nullable(Float64)", "99th percentile"),
)

UNANSWERED = over(
    "unanswered requests over time",
    lambda source: (
        f"""
SELECT {bucket(source)} AS bucket, sum(unanswered) AS unanswered
FROM {source.endpoints}
GROUP BY bucket
HAVING unanswered > 0
ORDER BY bucket
"""
    ),
    STEPS,
    ("bucket", "UInt64", "which, from 0"),
    ("unanswered", "UInt64", "requests that got no whole answer: their latency is a lower bound"),
)

# Sketches are taken apart and put together again: sumMap would take ten times as long. One look at the rows, of which
# each counts once, with the first piece of its sketch or without any.
ENDPOINTS = summed(
    "endpoints of a stretch",
    lambda source: (
        f"""
SELECT
    CAST(endpoint, 'String') AS endpoint, sum(done) AS completed, sum(broken) AS failed, sum(vain) AS unanswered,
    sum(sent) AS bytes_sent, sum(received) AS bytes_received,
    tupleElement({_SKETCH}, 1) AS buckets, tupleElement({_SKETCH}, 2) AS counts
FROM
(
    SELECT
        endpoint, latency, sum(count) AS requests, sumIf(completed, place <= 1) AS done,
        sumIf(failed, place <= 1) AS broken, sumIf(unanswered, place <= 1) AS vain,
        sumIf(bytes_sent, place <= 1) AS sent, sumIf(bytes_received, place <= 1) AS received
    FROM
    (
        SELECT
            endpoint, completed, failed, unanswered, bytes_sent, bytes_received, latency_buckets, latency_counts
        FROM {source.endpoints}
    )
    LEFT ARRAY JOIN
        latency_buckets AS latency, latency_counts AS count, arrayEnumerate(latency_buckets) AS place
    GROUP BY endpoint, latency
)
GROUP BY endpoint
ORDER BY completed + failed DESC, endpoint
"""
    ),
    SPAN,
    ("endpoint", "String", "its name"),
    ("completed", "UInt64", "requests that were answered as asked"),
    ("failed", "UInt64", "requests that were not"),
    ("unanswered", "UInt64", "of these, requests that got no whole answer"),
    ("bytes_sent", "UInt64", "of all requests"),
    ("bytes_received", "UInt64", "of all answers"),
    ("buckets", "Array(Int32)", "of the latency sketch (`schemas.sketch`), in order"),
    ("counts", "Array(UInt64)", "requests in each, for percentiles that know what is censored"),
)

# Of all endpoints the windows know the sketch already.
ENDPOINT_SERIES = over(
    "an endpoint over time",
    lambda source: (
        f"""
SELECT
    bucket, sum(done) AS completed, sum(broken) AS failed, sum(vain) AS unanswered,
    {", ".join(f"{sql} AS {name}" for sql, name in zip(_RANKS, _RANK_NAMES, strict=True))}
FROM
(
    SELECT
        {bucket(source)} AS bucket, completed AS done, failed AS broken, unanswered AS vain,
        if({_OF_ALL}, emptyArrayInt32(), latency_buckets) AS places,
        if({_OF_ALL}, emptyArrayUInt64(), latency_counts) AS counts
    FROM {source.endpoints} AND {{endpoint:String}} IN ('', endpoint)
    UNION ALL
    SELECT {bucket(source)} AS bucket, 0, 0, 0, latency_buckets, latency_counts
    FROM {source.windows} AND {_OF_ALL}
)
GROUP BY bucket
ORDER BY bucket
"""
    ),
    {**STEPS, "endpoint": ""},
    ("bucket", "UInt64", "which, from 0"),
    ("completed", "UInt64", "requests of the endpoint ('': of all) that were answered as asked"),
    ("failed", "UInt64", "requests that were not"),
    ("unanswered", "UInt64", "of these, requests that got no whole answer"),
    ("p50_ms", "Nullable(Float64)", "median latency from the scheduled start; NULL without a request"),
    ("p90_ms", "Nullable(Float64)", "90th percentile"),
    ("p95_ms", "Nullable(Float64)", "95th percentile"),
    ("p99_ms", "Nullable(Float64)", "99th percentile"),
    ("p999_ms", "Nullable(Float64)", "99.9th percentile"),
)

HEAT = over(
    "latency heat map",
    lambda source: (
        f"""
SELECT bucket, latency_row, sum(count) AS requests
FROM
(
    SELECT
        {bucket(source)} AS bucket, arrayMap(one -> toUInt32(intDiv(one, {ROW_BUCKETS})), latency_buckets) AS places,
        latency_counts
    FROM {source.endpoints} AND {{endpoint:String}} IN ('', endpoint)
)
ARRAY JOIN places AS latency_row, latency_counts AS count
GROUP BY bucket, latency_row
ORDER BY bucket, latency_row
"""
    ),
    {**STEPS, "endpoint": ""},
    ("bucket", "UInt64", "which, from 0"),
    ("latency_row", "UInt32", "row n: latencies above 1.02 ** (12 n - 1) us up to 1.02 ** (12 n + 11) us"),
    ("requests", "UInt64", "of the endpoint ('': of all) that ended in it"),
)

LETTERS = once(
    "dead letters of a run",
    f"""
SELECT CAST(topic, 'String') AS topic, partition, offset, {UNIX_US}(received_at) AS received_us, bytes, rows, error
FROM dead_letters
WHERE run = {{run:String}}
    OR (run = '' AND {UNIX_US}(received_at) BETWEEN {{from_us:Int64}} AND {{to_us:Int64}})
ORDER BY received_at, topic, partition, offset
LIMIT {{most:UInt32}}
""",
    {**RUN, "from_us": 0, "to_us": 1, "most": 100},
    ("topic", "String", "of Kafka"),
    ("partition", "UInt32", "of the topic"),
    ("offset", "UInt64", "in the partition"),
    ("received_us", "Int64", "Unix time of its arrival, by the broker's clock"),
    ("bytes", "UInt64", "its size"),
    ("rows", "UInt64", "that it brought, as far as its headers say"),
    ("error", "String", "why it could not be read"),
)

PRODUCERS = once(
    "last words of the producers of a run",
    """
SELECT
    producer, role, batches_acknowledged, rows_acknowledged, batches_lost, rows_lost, rows_spooled, died,
    clock_correction_us, note
FROM producers
WHERE run = {run:String}
ORDER BY role, producer
""",
    RUN,
    ("producer", "String", "its id"),
    ("role", "String", "load or profiler"),
    ("batches_acknowledged", "UInt64", "by Kafka"),
    ("rows_acknowledged", "UInt64", "in them"),
    ("batches_lost", "UInt64", "declared lost"),
    ("rows_lost", "UInt64", "in them"),
    ("rows_spooled", "UInt64", "that still waited on its disk as it ended"),
    ("died", "UInt8", "1: somebody else had to say its end"),
    ("clock_correction_us", "Int64", "its host's clock against Kafka's"),
    ("note", "String", "what is to be told of it"),
)

HEALTH = over(
    "health of a stretch",
    lambda source: (
        f"""
SELECT
    {source.joined} AS windows, {source.unwatched} AS unwatched, {source.late} AS late,
    {source.incomplete} AS incomplete, sum(window_us) AS window_us, {source.watched_us} AS watched_us,
    sum(covered_us) AS covered_us, sum(cpu_us) AS cpu_us, sum(unattributed_us) AS unattributed_us,
    sum(agent_cpu_us) AS agent_cpu_us, max(dispatch_lag_p99_us) AS dispatch_lag_p99_us,
    {source.watched_requests} AS watched_requests, sum(samples) AS samples
FROM {source.windows}
"""
    ),
    SPAN,
    ("windows", "UInt64", "how many are joined"),
    ("unwatched", "UInt64", "of these, without a profile"),
    ("late", "UInt64", "joined again, for a batch came late"),
    ("incomplete", "UInt64", "closed by the grace period, without every producer's last batch"),
    ("window_us", "UInt64", "their length together"),
    ("watched_us", "UInt64", "of it, with a profile"),
    ("covered_us", "UInt64", "of it, in which the sampler watched"),
    ("cpu_us", "UInt64", "of the service"),
    ("unattributed_us", "UInt64", "of it, what no function could be given"),
    ("agent_cpu_us", "UInt64", "of the profiler"),
    ("dispatch_lag_p99_us", "UInt64", "send lag: the worst window's 99th percentile, wall time"),
    ("watched_requests", "UInt64", "requests that ended while there was a profile"),
    ("samples", "UInt64", "CPU samples"),
)
