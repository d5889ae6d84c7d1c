"""The on-call dashboard: TPS versus hot function, on one time axis, and the flame graph of the chosen range."""

from sinks.sketch_sql import quantile_ms
from views.grafana.model import Annotations, Dashboard, Override, Panel, Query, Variable

HOT = 12
"""How many functions the graphs tell apart."""
PRUNED_SHARE = 1 / 2000
"""Frames under this share of the range's CPU are left out of the flame graph: too narrow to see."""

_RUN = "run = ${run:singlequote}"
_SERVICE = "service = ${service:singlequote}"
_NAME = "concat(function, ' (', file, ')')"

SERVICES = "SELECT DISTINCT service FROM runs ORDER BY service"
RUNS = f"SELECT run FROM runs WHERE {_SERVICE} ORDER BY started_at DESC LIMIT 500"

RATES = f"""
SELECT
    $__timeInterval(starts_at) AS time,
    sum(scheduled) / sum(window_us) * 1e6 AS offered,
    sum(completed + failed) / sum(window_us) * 1e6 AS achieved,
    sum(failed + dropped) / sum(window_us) * 1e6 AS "failed or dropped"
FROM windows
WHERE {_RUN} AND $__timeFilter(starts_at)
GROUP BY time
ORDER BY time
""".strip()

P99 = f"""
SELECT $__timeInterval(starts_at) AS time, {quantile_ms(0.99)} AS "p99 ms"
FROM windows
WHERE {_RUN} AND $__timeFilter(starts_at)
GROUP BY time
ORDER BY time
""".strip()

_HOTTEST = f"""
    SELECT function, file
    FROM functions
    WHERE {_RUN} AND {_SERVICE} AND $__timeFilter(starts_at)
    GROUP BY function, file
    ORDER BY sum(self_cpu_us) DESC
    LIMIT {HOT}
""".strip("\n")


def _by_function(per: str, where: str = "") -> str:
    """CPU of the hottest functions over `per`, a column of the windows; those are joined, because an interval may hold
    fewer of them than its length says.
    """
    return f"""
SELECT time, {_NAME} AS function_label, cpu_us / {per} AS cpu
FROM
(
    SELECT $__timeInterval(starts_at) AS time, function, file, sum(self_cpu_us) AS cpu_us
    FROM functions
    WHERE {_RUN} AND {_SERVICE} AND $__timeFilter(starts_at) AND (function, file) IN (
{_HOTTEST}
    )
    GROUP BY time, function, file
) AS hot
INNER JOIN
(
    SELECT $__timeInterval(starts_at) AS time, sum(window_us) AS watched_us, sum(completed + failed) AS requests
    FROM windows
    WHERE {_RUN} AND $__timeFilter(starts_at) AND instances > 0
    GROUP BY time
) AS all_windows USING (time)
{where}ORDER BY time, function_label
""".strip()


CPU_PER_SECOND = _by_function("watched_us")
CPU_PER_REQUEST = _by_function("requests", "WHERE requests > 0\n")

FLAME_GRAPH = f"""
WITH stacks AS
(
    SELECT
        if(stack = '', ['(unattributed)'],
           arrayMap(f -> replaceAll(f, char(1), ';'), splitByChar(';', replaceAll(stack, '\\\\;', char(1))))) AS frames,
        sum(weight_us) AS us
    FROM samples
    WHERE {_RUN} AND {_SERVICE} AND mode = 'cpu' AND $__timeFilter(sampled_at)
    GROUP BY frames
    UNION ALL
    SELECT CAST([], 'Array(String)') AS frames, 0 AS us
)
SELECT
    if(empty(path), 'total', path[-1]) AS label,
    toInt64(length(path)) AS level,
    toInt64(sum(us)) AS value,
    toInt64(sumIf(us, length(path) = length(frames))) AS self
FROM
(
    SELECT arrayJoin(arrayMap(depth -> arraySlice(frames, 1, depth), range(length(frames) + 1))) AS path, frames, us
    FROM stacks
)
GROUP BY path
HAVING empty(path) OR value >= {PRUNED_SHARE} * (SELECT sum(us) FROM stacks)
ORDER BY path
""".strip()

STAGES = f"""
SELECT starts_at AS time, ends_at AS timeEnd, label AS text
FROM stages
WHERE {_RUN} AND $__timeFilter(starts_at)
ORDER BY time
""".strip()

_LEGEND = {"legend": {"displayMode": "table", "placement": "right", "calcs": ["mean"]}, "tooltip": {"mode": "multi"}}

DASHBOARD = Dashboard(
    uid="loadflame-hot-functions",
    title="loadflame: TPS versus hot function",
    description="Request rate and latency above, CPU by function below, on one time axis. Drag over a time range: the "
    "flame graph is of just that range.",
    variables=(Variable("service", "Service", SERVICES), Variable("run", "Run", RUNS)),
    annotations=(Annotations("Stages", "rgba(120, 160, 220, 0.4)", Query(STAGES, "table")),),
    panels=(
        Panel(
            "Requests per second",
            "timeseries",
            "Offered: arrivals that fell due. Achieved: requests that ended. p99 counts from the scheduled start.",
            (0, 0, 24, 8),
            (Query(RATES), Query(P99)),
            unit="reqps",
            custom={"fillOpacity": 5, "lineWidth": 2, "showPoints": "never"},
            overrides=(
                Override(
                    "p99.*", {"unit": "ms", "custom.axisPlacement": "right", "custom.lineStyle": {"fill": "dash"}}
                ),
                Override("failed.*", {"color": {"mode": "fixed", "fixedColor": "red"}}),
            ),
            options=_LEGEND,
        ),
        Panel(
            "Hot functions: CPU per second",
            "timeseries",
            "Cores that each function keeps busy by itself, stacked. CPU is the kernel's; the shares are the samples'.",
            (0, 8, 24, 9),
            (Query(CPU_PER_SECOND),),
            unit="none",
            custom={"fillOpacity": 60, "lineWidth": 0, "stacking": {"mode": "normal"}, "axisLabel": "cores"},
            options=_LEGEND,
        ),
        Panel(
            "Hot functions: CPU per request",
            "timeseries",
            "Flat lines are healthy. A line that follows the request rate is the function that will stop the service.",
            (0, 17, 24, 8),
            (Query(CPU_PER_REQUEST),),
            unit="µs",
            custom={"fillOpacity": 0, "lineWidth": 2, "showPoints": "never"},
            options=_LEGEND,
        ),
        Panel(
            "Flame graph of the range",
            "flamegraph",
            "CPU samples of the chosen time range; width is time on a core.",
            (0, 25, 24, 16),
            (Query(FLAME_GRAPH, "table"),),
            unit="µs",
            overrides=(Override("value|self", {"unit": "µs"}),),
        ),
    ),
)
