"""What the page asks besides: figures of the list, names, stacks by bucket, and the requests behind a cell."""

from sinks.sketch_sql import quantile_ms
from views.web.shown import SPAN, STEPS, UNIX_US, bucket, once, over

RUN_FIGURES = once(
    "figures of some runs",
    f"""
SELECT
    run, sum(one.window_us) / 1e6 AS seconds, sum(one.completed + one.failed) AS requests, sum(one.failed) AS failed,
    max(one.completed / one.window_us) * 1e6 AS tps, {quantile_ms(0.99)} AS p99_ms,
    if(max(one.instances) = 0, NULL, sumIf(one.cpu_us, one.instances > 0) / sumIf(one.window_us, one.instances > 0))
        AS cores
FROM windows AS one
WHERE run IN {{runs:Array(String)}} AND scheduled > 0
GROUP BY run
ORDER BY run
""",
    {"runs": ["run-1"]},
    ("run", "LowCardinality(String)", "its id"),
    ("seconds", "Float64", "windows in which arrivals fell due, together"),
    ("requests", "UInt64", "that ended in them"),
    ("failed", "UInt64", "of these"),
    ("tps", "Float64", "answered per second in the best window"),
    ("p99_ms", "Nullable(Float64)", "latency from the scheduled start"),
    ("cores", "Nullable(Float64)", "CPU per second while there was a profile"),
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
    ("latency_us", "UInt32", "from the scheduled start"),
    ("dispatch_lag_us", "UInt32", "how late it was sent"),
    ("status", "UInt16", "of the answer; 0 of none"),
    ("error", "Nullable(String)", "what went wrong"),
    ("found", "UInt64", "requests of the cell in all"),
)
