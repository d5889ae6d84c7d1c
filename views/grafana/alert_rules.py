"""The alert rules: errors, p99, a function that got dearer, a pipeline that falls behind.

They watch runs that are on, or ended within the time that a rule looks back, and read no more of the store than that
time: windows where it is minutes, minutes where it is an hour. Nothing is looked up by run, for the index of times says
as much, and the view of runs is not asked twice. A rule's macros give no plain values, so the views of
`views.grafana.tiers` are not for them. Rows are few: one a run, or one a function with enough samples to speak of.
"""

from sinks.sketch_sql import TIMED, quantile_ms
from views.grafana import health, hot_functions
from views.grafana.alerts import AlertRule
from views.grafana.sql import IN_RANGE, NAME

MIN_REQUESTS = 100
MIN_SAMPLES = 200
"""On either side of a comparison: then chance alone moves a cost by a tenth (one standard deviation of the ratio)."""
RECENT_S = 300
BASELINE_S = 3600
SILENT_S = 900
"""A run that said nothing for so long is none that is on: it was killed, and is no pipeline's lag."""

_RUNS = "SELECT run, service FROM runs WHERE isNull(ended_at) OR ended_at >= $__fromTime"
_RECENT = f"starts_at >= $__toTime - {RECENT_S}"

ERROR_RATE = f"""
SELECT run, service, share
FROM
(
    SELECT run, sum(failed + dropped) / sum(scheduled) AS share
    FROM windows_lately
    WHERE {IN_RANGE}
    GROUP BY run
    HAVING sum(scheduled) >= {MIN_REQUESTS}
) AS counted
INNER JOIN ({_RUNS}) AS running USING (run)
ORDER BY run
""".strip()

P99 = f"""
SELECT run, service, p99_ms
FROM
(
    SELECT run, assumeNotNull({quantile_ms(0.99)}) AS p99_ms
    FROM windows_lately
    WHERE {IN_RANGE}
    GROUP BY run
    HAVING {TIMED} >= {MIN_REQUESTS}
) AS timed
INNER JOIN ({_RUNS}) AS running USING (run)
ORDER BY run
""".strip()

FUNCTION_COST = f"""
SELECT run, service, label AS function, (now_us / now_requests) / (then_us / then_requests) AS times
FROM
(
    SELECT
        run, service, {NAME} AS label,
        sumIf(self_cpu_us, {_RECENT}) AS now_us,
        sumIf(self_cpu_us, NOT {_RECENT}) AS then_us
    FROM functions_lately
    WHERE {IN_RANGE}
    GROUP BY run, service, function, file
    HAVING sumIf(self_samples, {_RECENT}) >= {MIN_SAMPLES} AND sumIf(self_samples, NOT {_RECENT}) >= {MIN_SAMPLES}
        AND then_us > 0
) AS cost
INNER JOIN
(
    SELECT
        run,
        sumIf(watched_requests, {_RECENT}) AS now_requests,
        sumIf(watched_requests, NOT {_RECENT}) AS then_requests
    FROM minutes
    WHERE {IN_RANGE} AND watched_us > 0
    GROUP BY run
    HAVING now_requests >= {MIN_REQUESTS} AND then_requests >= {MIN_REQUESTS}
        AND now_requests / sumIf(watched_us, {_RECENT}) >= 0.8 * then_requests / sumIf(watched_us, NOT {_RECENT})
) AS ended USING (run)
ORDER BY run, function
""".strip()

PIPELINE_LAG = f"""
SELECT run, service, behind_s
FROM
(
    SELECT
        run,
        toUnixTimestamp($__toTime) - max(toUnixTimestamp64Micro(starts_at) + window_us) / 1e6 AS behind_s
    FROM windows_lately
    WHERE {IN_RANGE}
    GROUP BY run
) AS joined
INNER JOIN (SELECT run, service FROM runs WHERE isNull(ended_at)) AS running USING (run)
ORDER BY run
""".strip()

RULES = (
    AlertRule(
        uid="loadflame-error-rate",
        title="loadflame: requests fail",
        sql=ERROR_RATE,
        above=0.01,
        looks_back_s=RECENT_S,
        hold="2m",
        severity="critical",
        summary="{{ humanizePercentage $values.A.Value }} of the requests to {{ $labels.service }} failed or were "
        "dropped "
        "in the last 5 minutes (run {{ $labels.run }}).",
        description="Over 1% of the arrivals that fell due failed, or were dropped because the service had too many in "
        "flight. See which endpoint, and what the service was doing, on the dashboard.",
        dashboard=hot_functions.DASHBOARD,
        panel="Errors",
    ),
    AlertRule(
        uid="loadflame-p99",
        title="loadflame: p99 is high",
        sql=P99,
        above=500,
        looks_back_s=RECENT_S,
        hold="2m",
        severity="warning",
        summary="p99 of {{ $labels.service }} is {{ humanize $values.A.Value }} ms over the last 5 minutes "
        "(run {{ $labels.run }}).",
        description="Counted from the scheduled start, so that waiting is in it; over 500 ms. Requests that were "
        "dropped "
        "are not in it: the error rate tells of them.",
        dashboard=hot_functions.DASHBOARD,
        panel="Duration",
    ),
    AlertRule(
        uid="loadflame-function-cost",
        title="loadflame: a function got dearer",
        sql=FUNCTION_COST,
        above=1.5,
        looks_back_s=BASELINE_S + RECENT_S,
        hold="5m",
        severity="warning",
        summary="{{ $labels.function }} of {{ $labels.service }} takes {{ humanize $values.A.Value }} times the CPU "
        "per "
        "request that it took in the hour before (run {{ $labels.run }}).",
        description="The last 5 minutes against the hour before them, by minutes of the clock, of the same run, where "
        "both have "
        f"{MIN_SAMPLES} samples and the rate did not fall by over a fifth: at a lower rate fixed work looks dearer. "
        f"More "
        "load makes a function dearer that does not grow linearly; this is an observation in time, not a cause.",
        dashboard=hot_functions.DASHBOARD,
        panel="Hot functions: CPU per request",
    ),
    AlertRule(
        uid="loadflame-pipeline-lag",
        title="loadflame: the pipeline falls behind",
        sql=PIPELINE_LAG,
        above=30,
        looks_back_s=SILENT_S,
        hold="2m",
        severity="critical",
        summary="The newest joined window of run {{ $labels.run }} ({{ $labels.service }}) is "
        "{{ humanizeDuration $values.A.Value }} old, and the run is on.",
        description="Either the workers or Kafka are behind or away, or the run was killed without its last words; "
        "what "
        "the other rules say is as old. Silent after 15 minutes.",
        dashboard=health.DASHBOARD,
        panel="Lag: from a window's end to its joined record",
    ),
)
