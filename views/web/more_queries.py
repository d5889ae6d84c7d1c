"""What the page asks besides: figures of the list, names, stacks by bucket, and the requests behind a cell."""

from sinks.sketch_sql import quantile_ms
from views.web.shown import RUN, SPAN, STEPS, UNIX_US, bucket, once, over

# The list is asked for every second or two, and sketches are the dear part of it: minutes have a sixtieth of them. They
# answer for runs of which they have all windows; of one that is on, the newest may be 20 s behind, so that windows
# answer until it has been on for five minutes, which RUN_P99 asks for.
RUN_FIGURES = once(
    "figures of some runs",
    f"""
SELECT run, seconds, requests, failed, tps, p99_ms, cores, visible > covered AND minutes <= 5 AS is_young
FROM
(
    SELECT
        run, sum(one.batches_covered) AS visible, sumIf(one.window_us, one.scheduled > 0) / 1e6 AS seconds,
        sumIf(one.completed + one.failed, one.scheduled > 0) AS requests,
        sumIf(one.failed, one.scheduled > 0) AS failed,
        maxIf(one.completed / one.window_us, one.scheduled > 0) * 1e6 AS tps,
        if(
            maxIf(one.instances, one.scheduled > 0) = 0, NULL,
            sumIf(one.cpu_us, one.instances > 0 AND one.scheduled > 0)
                / sumIf(one.window_us, one.instances > 0 AND one.scheduled > 0)
        ) AS cores
    FROM windows AS one
    WHERE run IN {{runs:Array(String)}}
    GROUP BY run
    HAVING countIf(one.scheduled > 0) > 0
) AS counted
LEFT JOIN
(
    SELECT run, {quantile_ms(0.99)} AS p99_ms, sum(batches_covered) AS covered, count() AS minutes
    FROM minutes
    WHERE run IN {{runs:Array(String)}}
    GROUP BY run
) AS timed USING (run)
ORDER BY run
""",
    {"runs": ["run-1"]},
    ("run", "LowCardinality(String)", "its id"),
    ("seconds", "Float64", "windows in which arrivals fell due, together"),
    ("requests", "UInt64", "that ended in them"),
    ("failed", "UInt64", "of these"),
    ("tps", "Float64", "answered per second in the best window"),
    ("p99_ms", "Nullable(Float64)", "latency of all its requests from the scheduled start, as minutes say"),
    ("cores", "Nullable(Float64)", "CPU per second while there was a profile"),
    ("is_young", "UInt8", "1: minutes do not have all of it, and it is so short that this tells"),
)
RUN_P99 = once(
    "p99 of some runs by window",
    f"""
SELECT run, {quantile_ms(0.99)} AS p99_ms
FROM windows
WHERE run IN {{runs:Array(String)}}
GROUP BY run
ORDER BY run
""",
    {"runs": ["run-1"]},
    ("run", "LowCardinality(String)", "its id"),
    ("p99_ms", "Nullable(Float64)", "latency of all its requests from the scheduled start"),
)
ENDPOINT_NAMES = over(
    "names of endpoints",
    lambda source: (
        f"""
SELECT CAST(endpoint, 'String') AS endpoint, sum(completed + failed) AS requests
FROM {source.endpoints}
GROUP BY endpoint
ORDER BY requests DESC, endpoint
"""
    ),
    SPAN,
    ("endpoint", "String", "its name"),
    ("requests", "UInt64", "that ended"),
)
STACKS = over(
    "stacks over time",
    lambda source: (
        f"""
SELECT stack, bucket, self_us, seen AS samples
FROM
(
    SELECT stack_id, {bucket(source)} AS bucket, sum(cpu_us) AS self_us, sum(samples) AS seen
    FROM {source.stacks}
    GROUP BY stack_id, bucket
) AS weighed
LEFT JOIN (SELECT stack_id, stack FROM stack_texts WHERE run = {{run:String}}) AS texts USING (stack_id)
ORDER BY stack, bucket
"""
    ),
    STEPS,
    ("stack", "String", "folded, root first; '' is CPU that no function was given"),
    ("bucket", "UInt64", "which, from 0"),
    ("self_us", "UInt64", "CPU of this very stack in it"),
    ("samples", "UInt64", "that it rests on"),
)
REQUESTS = once(
    "requests of a cell",
    f"""
SELECT
    {UNIX_US}(completed_at) AS ended_us, CAST(endpoint, 'String') AS endpoint, CAST(stage, 'String') AS stage,
    latency_us, dispatch_lag_us, status, CAST(error, 'Nullable(String)') AS error, count() OVER () AS found
FROM requests
WHERE run = {{run:String}} AND window BETWEEN {{first:UInt64}} AND {{last:UInt64}}
    AND {{endpoint:String}} IN ('', endpoint) AND latency_us > {{low_us:Float64}} AND latency_us <= {{high_us:Float64}}
ORDER BY latency_us DESC, ended_us
LIMIT {{most:UInt32}}
""",
    {**SPAN, "endpoint": "", "low_us": 0.0, "high_us": 1e12, "most": 100},
    ("ended_us", "Int64", "Unix time at which it was over"),
    ("endpoint", "String", "its name"),
    ("stage", "String", "of the plan"),
    ("latency_us", "Nullable(UInt32)", "from the scheduled start; those that nobody timed are not among them"),
    ("dispatch_lag_us", "UInt32", "how late it was sent"),
    ("status", "UInt16", "of the answer; 0 of none"),
    ("error", "Nullable(String)", "what went wrong"),
    ("found", "UInt64", "requests of the cell in all"),
)
# What a report is made from, each in a number that changes with it: so that one is made again when it would differ, and
# only then. Batches are not among them: whatever is stored is joined, or its window is joined again. When a run was
# heard of is told by its windows.
_TOLD = ("run.started", "run.ended", "run.judged", "run.checked", "stage.entered", "producer.ended")
_TYPES = ", ".join(f"'loadflame.{kind}.v1'" for kind in _TOLD)
_PARTS = {
    "events": f"SELECT groupBitXor(cityHash64(id, data)) FROM events WHERE type IN ({_TYPES}) AND run = {{run:String}}",
    "windows": "SELECT cityHash64(count(), sum(batches_covered), max(joined_at)) FROM windows "
               "WHERE run = {run:String}",
    "minutes": "SELECT cityHash64(count(), sum(batches_covered)) FROM minutes WHERE run = {run:String}",
    "letters": "SELECT count() FROM dead_letters WHERE run IN ('', {run:String})",
    "live": "SELECT countIf(state = 'live') FROM runs WHERE run = {run:String}",
}  # fmt: skip
KNOWN = once(
    "what is known of a run",
    f"SELECT {', '.join(f'assumeNotNull(({sql})) AS {part}' for part, sql in _PARTS.items())}",
    RUN,
    *((part, "UInt64", "the same for as long as nothing of it changes") for part in _PARTS if part != "live"),
    ("live", "UInt64", "1 while it is on"),
)
