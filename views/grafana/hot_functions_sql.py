"""SQL of the dashboard *TPS versus hot function*."""

from sinks.sketch_sql import TIMED, quantiles_ms
from views.grafana.sql import ENDPOINT, FUNCTION, NAME, RUN, SERVICE, requests
from views.grafana.tiers import BEFORE, CHOSEN, POINTS, TOTALS

HOT = 12
"""How many functions the graphs tell apart; the rest is one."""

RATES = f"""
SELECT
    $__timeInterval(at) AS time,
    sum(scheduled) / sum(window_us) * 1e6 AS offered,
    sum(completed + failed) / sum(window_us) * 1e6 AS achieved,
    sum(failed + dropped) / sum(window_us) * 1e6 AS "failed or dropped"
FROM {CHOSEN.rows("load", POINTS)}
GROUP BY time
ORDER BY time
""".strip()

TPS = f"""
SELECT $__timeInterval(at) AS time, sum(completed + failed) / sum(window_us) * 1e6 AS "TPS"
FROM {CHOSEN.rows("load", POINTS)}
GROUP BY time
ORDER BY time
""".strip()

ERRORS = f"""
SELECT $__timeInterval(at) AS time, endpoint AS label, sum(failed) / sum(completed + failed) AS errors
FROM {CHOSEN.rows("endpoints", POINTS)}
WHERE {ENDPOINT}
GROUP BY time, label
HAVING sum(completed + failed) > 0
ORDER BY time, label
""".strip()

# An interval has often but one sketch, which is then read as it stands.
_P50_MS, _P99_MS = quantiles_ms(0.5, 0.99, alone="alone")
LATENCY = f"""
SELECT $__timeInterval(at) AS time, {_P50_MS} AS "p50", {_P99_MS} AS "p99"
FROM
(
    SELECT at, latency_buckets, latency_counts, count() OVER (PARTITION BY $__timeInterval(at)) = 1 AS alone
    FROM {CHOSEN.rows("sketches", POINTS)}
    WHERE {ENDPOINT}
)
GROUP BY time
HAVING {TIMED} > 0
ORDER BY time
""".strip()


def _by_function(per: str, where: str = "") -> str:
    """CPU of the hottest functions, and of all others together, over `per`, a column of the windows; those are joined,
    because an interval may hold fewer of them than its length says.

    One look at the rows: those of a function are kept together until it is known which are the hottest.
    """
    return f"""
SELECT time, if(place > {HOT}, 'all other functions', {NAME}) AS label, cpu_us / {per} AS cpu
FROM
(
    SELECT
        time, place, any(function) AS function, any(file) AS file, sum(spent_us) AS cpu_us
    FROM
    (
        SELECT
            function, file, times, series,
            least(row_number() OVER (ORDER BY own_us DESC, function, file), {HOT + 1}) AS place
        FROM
        (
            SELECT
                function, file, sum(self_cpu_us) AS own_us, groupArray($__timeInterval(at)) AS times,
                groupArray(self_cpu_us) AS series
            FROM {CHOSEN.rows("functions", POINTS)}
            WHERE {SERVICE} AND {FUNCTION}
            GROUP BY function, file
        )
    )
    ARRAY JOIN times AS time, series AS spent_us
    GROUP BY time, place
) AS hot
INNER JOIN
(
    SELECT $__timeInterval(at) AS time, sum(watched_us) AS watched_us, sum(watched_requests) AS requests
    FROM {CHOSEN.rows("load", POINTS)}
    GROUP BY time
    HAVING watched_us > 0
) AS watched USING (time)
{where}ORDER BY time, label
""".strip()


CPU_PER_SECOND = _by_function("watched_us")
CPU_PER_REQUEST = _by_function("requests", "WHERE requests > 0\n")

FUNCTIONS = f"""
WITH
    {requests(BEFORE)} AS ended,
    ended.1 AS requests,
    ended.2 AS earlier,
    ended.3 AS watched_us
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
        function, file, sumIf(self_cpu_us, NOT is_beside) AS now_us, sumIf(total_cpu_us, NOT is_beside) AS now_total_us,
        sumIf(self_cpu_us, is_beside) AS before_us, sumIf(self_samples, NOT is_beside) AS samples
    FROM {BEFORE.rows("functions", TOTALS)}
    WHERE {SERVICE} AND {FUNCTION}
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
