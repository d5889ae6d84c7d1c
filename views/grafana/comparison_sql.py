"""SQL of the dashboard *Run comparison*: one run beside another, by the time since each began.

The time axis is that of the run in question (`run`); the other's (`baseline`) is moved onto it, so that the chosen
range is of both.
"""

from typing import Literal

from sinks.sketch_sql import TIMED, quantile_ms, quantiles_ms
from views.grafana.sql import (
    ENDPOINT,
    FUNCTION,
    NAME,
    RUN,
    RUN_AND_LABEL,
    SERVICE,
    differential,
    requests,
)
from views.grafana.tiers import BASELINE, OTHER, POINTS, THIS, TOTALS, Tier

_BASELINE = f"run = {OTHER}"
BASELINES = f"""
SELECT {RUN_AND_LABEL}
FROM runs
WHERE {SERVICE} AND run != {THIS}
ORDER BY started_at DESC
LIMIT 500
""".strip()
# Asked once for two runs and not in every query: each would parse the events of all runs for it.
LATER_US = f"""
SELECT toString(if(count() = 2, maxIf(started_us, {RUN}) - maxIf(started_us, {_BASELINE}), 0)) AS later
FROM (SELECT run, toUnixTimestamp64Micro(started_at) AS started_us FROM runs WHERE {RUN} OR {_BASELINE})
""".strip()
"""How much later the run began than its baseline, in us; negative when it began before."""


def _both(columns: str, what: Literal["load", "endpoints", "sketches"], where: str = "1=1", tier: Tier = POINTS) -> str:
    """Rows of both runs in the range, with `at` (on the axis of the run) and `side`."""
    side = "if(is_beside, 'baseline', 'this run') AS side"
    return f"    SELECT at, {side}, {columns}\n    FROM {BASELINE.rows(what, tier)}\n    WHERE {where}"


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


RATES = _over_time("sum(ended) / sum(window_us) * 1e6", _both("completed + failed AS ended, window_us", "load"))
ERRORS = _over_time(
    "sum(failed) / sum(ended)",
    _both("failed, completed + failed AS ended", "endpoints", ENDPOINT),
    "HAVING sum(ended) > 0\n",
)
_SKETCHES = "latency_buckets, latency_counts"
_ALONE = "count() OVER (PARTITION BY $__timeInterval(at), is_beside) = 1 AS alone"
LATENCY = _over_time(
    quantiles_ms(0.99, alone="alone")[0], _both(f"{_SKETCHES}, {_ALONE}", "sketches", ENDPOINT), f"HAVING {TIMED} > 0\n"
)

RUNS = f"""
SELECT
    if({RUN}, 'this run', 'baseline') AS "side", run, service, target, started_at, ended_at,
    multiIf(verdict != '', verdict, reason != '', reason, state) AS "verdict", engine,
    toInt64(toUnixTimestamp64Milli(started_at)) AS from_ms,
    toInt64(toUnixTimestamp64Milli(if(state = 'live', now64(6, 'UTC'), heard_at))) AS to_ms
FROM runs
WHERE {RUN} OR {_BASELINE}
ORDER BY side DESC
""".strip()


FUNCTIONS = f"""
WITH
    {requests(BASELINE)} AS ended,
    ended.1 AS requests_now,
    ended.2 AS requests_then
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
        function, file, sumIf(self_cpu_us, is_beside) AS then_us, sumIf(self_cpu_us, NOT is_beside) AS now_us,
        sumIf(self_samples, is_beside) AS then_samples, sumIf(self_samples, NOT is_beside) AS now_samples
    FROM {BASELINE.rows("functions", TOTALS)}
    WHERE {SERVICE} AND {FUNCTION}
    GROUP BY function, file
)
WHERE then_us + now_us > 0
ORDER BY abs("difference") DESC, function, file
LIMIT 200
""".strip()

ENDPOINTS = f"""
WITH
    (
        SELECT (greatest(sumIf(window_us, is_beside), 1), greatest(sumIf(window_us, NOT is_beside), 1))
        FROM {BASELINE.rows("load", TOTALS)}
    ) AS length_us
SELECT
    endpoint AS "endpoint",
    ifNull(sumIf(ended, side = 'baseline') * 1e6 / any(length_us.1), 0) AS "TPS, baseline",
    ifNull(sumIf(ended, side = 'this run') * 1e6 / any(length_us.2), 0) AS "TPS, this run",
    anyIf(p99, side = 'baseline') AS "p99, baseline",
    anyIf(p99, side = 'this run') AS "p99, this run",
    if("p99, baseline" > 0, "p99, this run" / "p99, baseline", NULL) AS "p99, ratio",
    if(sumIf(ended, side = 'baseline') = 0, NULL, sumIf(broken, side = 'baseline') / sumIf(ended, side = 'baseline'))
        AS "errors, baseline",
    if(sumIf(ended, side = 'this run') = 0, NULL, sumIf(broken, side = 'this run') / sumIf(ended, side = 'this run'))
        AS "errors, this run"
FROM
(
    SELECT endpoint, side, sum(completed + failed) AS ended, sum(failed) AS broken, {quantile_ms(0.99)} AS p99
    FROM
    (
    {_both(f"endpoint, completed, failed, {_SKETCHES}", "endpoints", ENDPOINT, TOTALS)}
    )
    GROUP BY endpoint, side
)
GROUP BY endpoint
ORDER BY "endpoint"
""".strip()

DIFFERENTIAL = differential(BASELINE)
