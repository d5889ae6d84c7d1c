"""SQL of the dashboard *Run comparison*: one run beside another, by the time since each began.

The time axis is that of the run in question (`run`); the other's (`baseline`) is moved onto it, so that the chosen
range is of both.
"""

from sinks.sketch_sql import TIMED, quantile_ms
from views.grafana.sql import (
    ALL_ENDPOINTS,
    ENDPOINT,
    FUNCTION,
    IN_RANGE,
    NAME,
    RUN,
    RUN_AND_LABEL,
    SERVICE,
    differential,
)

BASELINE = "run = ${baseline:singlequote}"
BASELINES = f"""
SELECT {RUN_AND_LABEL}
FROM runs
WHERE {SERVICE} AND run != ${{run:singlequote}}
ORDER BY started_at DESC
LIMIT 500
""".strip()

_LATER_US = (
    f"ifNull((SELECT toUnixTimestamp64Micro(any(started_at)) FROM runs WHERE {RUN}) "
    f"- (SELECT toUnixTimestamp64Micro(any(started_at)) FROM runs WHERE {BASELINE}), 0)"
)
"""How much later the run began than its baseline, in microseconds; negative when it began before."""
_THEN = (
    f"starts_at >= addMicroseconds(toDateTime64($__fromTime, 6, 'UTC'), -({_LATER_US})) "
    f"AND starts_at <= addMicroseconds(toDateTime64($__toTime, 6, 'UTC'), -({_LATER_US}))"
)
"""The chosen range of the run, on the baseline's own clock."""


def _both(columns: str, view: str, where: str = "1=1") -> str:
    """Rows of both runs in the range, with `at` (on the axis of the run) and `side`."""
    return f"""
    SELECT starts_at AS at, 'this run' AS side, {columns}
    FROM {view}
    WHERE {RUN} AND {IN_RANGE} AND {where}
    UNION ALL
    SELECT addMicroseconds(starts_at, {_LATER_US}) AS at, 'baseline' AS side, {columns}
    FROM {view}
    WHERE {BASELINE} AND {_THEN} AND {where}
""".strip("\n")


def _over_time(value: str, rows: str, having: str = "") -> str:
    return f"""
SELECT $__timeInterval(at) AS time, side AS label, {value} AS value
FROM
(
{rows}
)
GROUP BY time, label
{having}ORDER BY time, label
""".strip()


RATES = _over_time("sum(ended) / sum(window_us) * 1e6", _both("completed + failed AS ended, window_us", "windows"))
ERRORS = _over_time(
    "sum(failed) / sum(ended)",
    _both("failed, completed + failed AS ended", "endpoints", ENDPOINT),
    "HAVING sum(ended) > 0\n",
)
_SKETCHES = "latency_buckets, latency_counts"
LATENCY = f"""
SELECT $__timeInterval(at) AS time, side AS label, {quantile_ms(0.99)} AS value
FROM
(
{_both(_SKETCHES, "windows", ALL_ENDPOINTS)}
UNION ALL
{_both(_SKETCHES, "endpoints", f"NOT ({ALL_ENDPOINTS}) AND {ENDPOINT}")}
)
GROUP BY time, label
HAVING {TIMED} > 0
ORDER BY time, label
""".strip()

RUNS = f"""
SELECT
    if({RUN}, 'this run', 'baseline') AS "side", run, service, target, started_at, ended_at,
    multiIf(verdict != '', verdict, reason != '', reason, state) AS "verdict", engine,
    toInt64(toUnixTimestamp64Milli(started_at)) AS from_ms,
    toInt64(toUnixTimestamp64Milli(if(state = 'live', now64(6, 'UTC'), heard_at))) AS to_ms
FROM runs
WHERE {RUN} OR {BASELINE}
ORDER BY side DESC
""".strip()


def _of_windows(figure: str, run: str, windows: str) -> str:
    """A sum over the windows of one side, at least 1."""
    return f"(SELECT greatest({figure}, 1) FROM windows WHERE {run} AND {windows})"


def _cpu(run: str, windows: str, columns: str) -> str:
    return f"""
        SELECT function, file, {columns}
        FROM functions
        WHERE {run} AND {SERVICE} AND {windows} AND {FUNCTION}
        GROUP BY function, file
""".strip("\n")


_NOW, _BEFORE = (RUN, IN_RANGE), (BASELINE, _THEN)
_PROFILED = "sumIf(completed + failed, instances > 0)"

FUNCTIONS = f"""
WITH
    {_of_windows(_PROFILED, *_BEFORE)} AS requests_then,
    {_of_windows(_PROFILED, *_NOW)} AS requests_now
SELECT
    {NAME} AS "function",
    ifNull(then_us / requests_then, 0) AS "baseline",
    ifNull(now_us / requests_now, 0) AS "this run",
    "this run" - "baseline" AS "difference",
    if("baseline" > 0, "this run" / "baseline", NULL) AS "ratio",
    then_samples AS "samples, baseline",
    now_samples AS "samples, this run"
FROM
(
    SELECT
        function, file, sum(then_us) AS then_us, sum(now_us) AS now_us, sum(then_samples) AS then_samples,
        sum(now_samples) AS now_samples
    FROM
    (
{_cpu(*_BEFORE, "sum(self_cpu_us) AS then_us, 0 AS now_us, sum(self_samples) AS then_samples, 0 AS now_samples")}
        UNION ALL
{_cpu(*_NOW, "0 AS then_us, sum(self_cpu_us) AS now_us, 0 AS then_samples, sum(self_samples) AS now_samples")}
    )
    GROUP BY function, file
)
WHERE then_us + now_us > 0
ORDER BY abs("difference") DESC, function, file
LIMIT 200
""".strip()

ENDPOINTS = f"""
WITH
    {_of_windows("sum(window_us)", *_BEFORE)} AS then_us,
    {_of_windows("sum(window_us)", *_NOW)} AS now_us
SELECT
    endpoint AS "endpoint",
    ifNull(sumIf(ended, side = 'baseline') * 1e6 / any(then_us), 0) AS "TPS, baseline",
    ifNull(sumIf(ended, side = 'this run') * 1e6 / any(now_us), 0) AS "TPS, this run",
    anyIf(p99, side = 'baseline') AS "p99, baseline",
    anyIf(p99, side = 'this run') AS "p99, this run",
    if("p99, baseline" > 0, "p99, this run" / "p99, baseline", NULL) AS "p99, ratio",
    if(sumIf(ended, side = 'baseline') = 0, NULL, sumIf(broken, side = 'baseline') / sumIf(ended, side = 'baseline'))
        AS "errors, baseline",
    if(sumIf(ended, side = 'this run') = 0, NULL, sumIf(broken, side = 'this run') / sumIf(ended, side = 'this run'))
        AS "errors, this run"
FROM
(
    SELECT endpoint, side, sum(completed + failed) AS ended, sum(failed) AS broken
    FROM
    (
    {_both("endpoint, completed, failed", "endpoints", ENDPOINT)}
    )
    GROUP BY endpoint, side
) AS counted
LEFT JOIN
(
    SELECT endpoint, side, {quantile_ms(0.99)} AS p99
    FROM
    (
    {_both(f"endpoint, {_SKETCHES}", "endpoints", ENDPOINT)}
    )
    GROUP BY endpoint, side
    HAVING {TIMED} > 0
) AS timed USING (endpoint, side)
GROUP BY endpoint
ORDER BY "endpoint"
""".strip()

DIFFERENTIAL = differential(_BEFORE, _NOW)
