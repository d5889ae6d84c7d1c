"""SQL of the dashboard *TPS versus hot function*."""

from sinks.sketch_sql import TIMED, quantiles_ms
from views.grafana.sql import ALL_ENDPOINTS, BEFORE, ENDPOINT, FUNCTION, IN_RANGE, NAME, RUN, SERVICE

HOT = 12
"""How many functions the graphs tell apart; the rest is one."""

RATES = f"""
SELECT
    $__timeInterval(starts_at) AS time,
    sum(scheduled) / sum(window_us) * 1e6 AS offered,
    sum(completed + failed) / sum(window_us) * 1e6 AS achieved,
    sum(failed + dropped) / sum(window_us) * 1e6 AS "failed or dropped"
FROM windows
WHERE {RUN} AND {IN_RANGE}
GROUP BY time
ORDER BY time
""".strip()

TPS = f"""
SELECT $__timeInterval(starts_at) AS time, sum(completed + failed) / sum(window_us) * 1e6 AS "TPS"
FROM windows
WHERE {RUN} AND {IN_RANGE}
GROUP BY time
ORDER BY time
""".strip()

ERRORS = f"""
SELECT $__timeInterval(starts_at) AS time, endpoint AS label, sum(failed) / sum(completed + failed) AS errors
FROM endpoints
WHERE {RUN} AND {IN_RANGE} AND {ENDPOINT}
GROUP BY time, label
HAVING sum(completed + failed) > 0
ORDER BY time, label
""".strip()

# Of all endpoints the window knows the sketch already: a row to read instead of one an endpoint.
_P50_MS, _P99_MS = quantiles_ms(0.5, 0.99)
LATENCY = f"""
SELECT $__timeInterval(starts_at) AS time, {_P50_MS} AS "p50", {_P99_MS} AS "p99"
FROM
(
    SELECT starts_at, latency_buckets, latency_counts
    FROM windows
    WHERE {RUN} AND {IN_RANGE} AND {ALL_ENDPOINTS}
    UNION ALL
    SELECT starts_at, latency_buckets, latency_counts
    FROM endpoints
    WHERE {RUN} AND {IN_RANGE} AND NOT ({ALL_ENDPOINTS}) AND {ENDPOINT}
)
GROUP BY time
HAVING {TIMED} > 0
ORDER BY time
""".strip()


def _by_function(per: str, where: str = "") -> str:
    """CPU of the hottest functions, and of all others together, over `per`, a column of the windows; those are joined,
    because an interval may hold fewer of them than its length says.
    """
    return f"""
WITH hottest AS
(
    SELECT function, file
    FROM functions
    WHERE {RUN} AND {SERVICE} AND {IN_RANGE} AND {FUNCTION}
    GROUP BY function, file
    ORDER BY sum(self_cpu_us) DESC, function, file
    LIMIT {HOT}
)
SELECT time, if(name = '', 'all other functions', concat(name, ' (', of_file, ')')) AS label, cpu_us / {per} AS cpu
FROM
(
    SELECT
        $__timeInterval(starts_at) AS time,
        if((function, file) IN (hottest), toString(function), '') AS name,
        if(name = '', '', toString(file)) AS of_file,
        sum(self_cpu_us) AS cpu_us
    FROM functions
    WHERE {RUN} AND {SERVICE} AND {IN_RANGE} AND {FUNCTION}
    GROUP BY time, name, of_file
) AS hot
INNER JOIN
(
    SELECT $__timeInterval(starts_at) AS time, sum(window_us) AS watched_us, sum(completed + failed) AS requests
    FROM windows
    WHERE {RUN} AND {IN_RANGE} AND instances > 0
    GROUP BY time
) AS watched USING (time)
{where}ORDER BY time, label
""".strip()


CPU_PER_SECOND = _by_function("watched_us")
CPU_PER_REQUEST = _by_function("requests", "WHERE requests > 0\n")

FUNCTIONS = f"""
WITH
    (SELECT greatest(sum(completed + failed), 1) FROM windows WHERE {RUN} AND {IN_RANGE} AND instances > 0) AS requests,
    (SELECT greatest(sum(completed + failed), 1) FROM windows WHERE {RUN} AND {BEFORE} AND instances > 0) AS earlier,
    (SELECT greatest(sum(window_us), 1) FROM windows WHERE {RUN} AND {IN_RANGE} AND instances > 0) AS watched_us
SELECT
    {NAME} AS "function",
    ifNull(now_us / watched_us, 0) AS "cores",
    now_us / greatest(sum(now_us) OVER (), 1) AS "share",
    ifNull(now_us / requests, 0) AS "CPU per request",
    ifNull(now_total_us / requests, 0) AS "with callees",
    ifNull(before_us / earlier, 0) AS "in the range before",
    if(before_us > 0, "CPU per request" / "in the range before", NULL) AS "times as much",
    samples
FROM
(
    SELECT
        function, file,
        sumIf(self_cpu_us, {IN_RANGE}) AS now_us,
        sumIf(total_cpu_us, {IN_RANGE}) AS now_total_us,
        sumIf(self_cpu_us, {BEFORE}) AS before_us,
        sumIf(self_samples, {IN_RANGE}) AS samples
    FROM functions
    WHERE {RUN} AND {SERVICE} AND (({IN_RANGE}) OR ({BEFORE})) AND {FUNCTION}
    GROUP BY function, file
)
WHERE now_us > 0
ORDER BY now_us DESC, function, file
LIMIT 200
""".strip()

STAGES = f"""
SELECT starts_at AS time, ends_at AS timeEnd, label AS text, concat(form, ',', role) AS tags
FROM stages
WHERE {RUN} AND starts_at <= $__toTime AND ends_at >= $__fromTime
ORDER BY time
""".strip()

ENDS = f"""
SELECT
    heard_at AS time,
    concat(
        'Run ', if(reason = '', state, reason), if(verdict = '', '', concat(': ', verdict)),
        if(note = '', '', concat('. ', note))
    ) AS text,
    verdict AS tags
FROM runs
WHERE {RUN} AND state != 'live' AND heard_at >= $__fromTime AND heard_at <= $__toTime
ORDER BY time
""".strip()

# A finding is of a whole run: it stands where it was first told, and of a run from the past where that ended.
FINDINGS = f"""
SELECT time, concat(kind, ': ', summary) AS text, kind AS tags
FROM
(
    SELECT run, service, kind, summary, least(made_at, ifNull(ended_at, made_at)) AS time
    FROM findings
    INNER JOIN runs USING (run)
    WHERE {RUN}
)
WHERE time >= $__fromTime AND time <= $__toTime
ORDER BY time, text
""".strip()
