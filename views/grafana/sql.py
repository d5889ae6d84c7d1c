"""What the dashboards' SQL texts have in common: conditions by variable, and frames of flame graphs.

Variables are quoted by Grafana (`${v:singlequote}`). "All" is taken out by the data source's `$__conditionalAll`,
which runs in the browser, counts brackets without looking for quotes, and puts its text in by JavaScript's replace:
so brackets in it are balanced, and no `$` stands before a quote, a digit or an ampersand.
"""

from views.grafana.tiers import CHOSEN, THIS, TOTALS_RAW_S, Side

RUN = f"run = {THIS}"
SERVICE = "service = ${service:singlequote}"
IN_RANGE = "$__timeFilter(starts_at)"
NAME = "concat(function, ' (', file, ')')"

ENDPOINT = "$__conditionalAll(endpoint IN (${endpoint:singlequote}), $endpoint)"
ALL_ENDPOINTS = "$__conditionalAll(1=0, $endpoint)"
# The name alone first: it is a dictionary's, and leaves few rows to put a label together for.
FUNCTION = (
    "$__conditionalAll(function IN (SELECT arrayJoin(arrayMap(label -> substring(label, 1, length(label) "
    "- position(reverse(label), char(40, 32)) - 1), [${function:singlequote}]))) "
    f"AND {NAME} IN (${{function:singlequote}}), $function)"
)


SERVICES = "SELECT DISTINCT service FROM runs ORDER BY service"
RUN_AND_LABEL = (
    "run, concat(run, ' · ', formatDateTime(started_at, '%F %R'), "
    "if(verdict = '' AND state = 'ended', '', concat(' · ', if(verdict = '', state, verdict)))) AS label"
)
RUNS = f"""
SELECT {RUN_AND_LABEL}
FROM runs
WHERE {SERVICE}
ORDER BY started_at DESC
LIMIT 500
""".strip()
ENDPOINTS = f"SELECT DISTINCT endpoint FROM {CHOSEN.over('endpoints')} ORDER BY endpoint"
FUNCTIONS = f"""
SELECT {NAME} AS label
FROM {CHOSEN.over("functions")}
WHERE {SERVICE}
GROUP BY function, file
ORDER BY sum(self_cpu_us) DESC, label
LIMIT 500
""".strip()

PRUNED_SHARE = 1 / 2000
"""Frames under this share of the range's CPU are left out of a flame graph: too narrow to see."""

_FRAMES = (
    "arrayPushFront(multiIf(stack = '', ['(unattributed)'], position(stack, char(92)) = 0, splitByChar(';', stack), "
    "arrayMap(f -> replaceAll(replaceAll(f, char(1), ';'), char(2), char(92)), splitByChar(';', replaceAll(replaceAll("
    "stack, concat(char(92), char(92)), char(2)), concat(char(92), ';'), char(1))))), 'total')"
)
"""Frame labels of a folded stack below one root: `schemas.stacks.unfold` in SQL, and as there most need no mending."""
_ROOT = "['total'] AS frames"


def flame_graph() -> str:
    """CPU of the range in nanoseconds, as the flame graph panel wants it: depth first, one root at level 0 also when
    there is nothing.
    """
    return f"""
WITH
    stacks AS
    (
        SELECT {_FRAMES} AS frames, us * 1000 AS ns
        FROM
        (
{_by_stack("sum(cpu_us) AS us", CHOSEN.over("stacks", TOTALS_RAW_S))}
        ) AS weighed
        LEFT ANY JOIN (SELECT stack_id, stack FROM stack_texts WHERE {RUN}) AS texts USING (stack_id)
        UNION ALL
        SELECT {_ROOT}, 0 AS ns
    )
SELECT
    any(label) AS label,
    toInt64(any(depth) - 1) AS level,
    toInt64(sum(ns)) AS value,
    toInt64(sumIf(ns, leaf)) AS self
FROM
(
{_nodes("ns")}
)
GROUP BY path_id
HAVING level = 0 OR sum(ns) >= {PRUNED_SHARE} * any(whole_ns)
ORDER BY min(place), level
""".strip()


def differential(before: Side, after: Side) -> str:
    """CPU per request of two sides, in nanoseconds: `value` and `self` of the side before, `valueRight` and
    `selfRight` of the one after.

    Per request, because the panel draws a frame as wide as both sides together: more load must not look like more
    cost. Requests are those of windows with a profile, as their CPU is.
    """
    sides = "\n            UNION ALL\n".join((
        _by_stack("sum(cpu_us) AS before_us, 0 AS after_us", before.over("stacks", TOTALS_RAW_S)),
        _by_stack("0 AS before_us, sum(cpu_us) AS after_us", after.over("stacks", TOTALS_RAW_S)),
    ))  # fmt: skip
    return f"""
WITH
    stacks AS
    (
        SELECT
            {_FRAMES} AS frames,
            ifNull(before_us * 1000 / {requests(before)}, 0) AS before_ns,
            ifNull(after_us * 1000 / {requests(after)}, 0) AS after_ns
        FROM
        (
            SELECT stack_id, sum(before_us) AS before_us, sum(after_us) AS after_us
            FROM
            (
{sides}
            )
            GROUP BY stack_id
        ) AS weighed
        LEFT ANY JOIN
        (
            SELECT stack_id, stack
            FROM stack_texts
            WHERE run IN ({before.run}, {after.run})
        ) AS texts USING (stack_id)
        UNION ALL
        SELECT {_ROOT}, 0. AS before_ns, 0. AS after_ns
    )
SELECT
    any(label) AS label,
    toInt64(any(depth) - 1) AS level,
    toInt64(sum(before_ns)) AS value,
    toInt64(sumIf(before_ns, leaf)) AS self,
    toInt64(sum(after_ns)) AS valueRight,
    toInt64(sumIf(after_ns, leaf)) AS selfRight
FROM
(
{_nodes("before_ns", "after_ns")}
)
GROUP BY path_id
HAVING level = 0
    OR (sum(before_ns) > 0 AND sum(before_ns) >= {PRUNED_SHARE} * any(whole_before_ns))
    OR (sum(after_ns) > 0 AND sum(after_ns) >= {PRUNED_SHARE} * any(whole_after_ns))
ORDER BY min(place), level
""".strip()


def requests(side: Side) -> str:
    """SQL of the requests that ended while there was a profile, at least 1."""
    return f"(SELECT greatest(sum(watched_requests), 1) FROM {side.over('load', TOTALS_RAW_S)})"


def _by_stack(figures: str, rows: str) -> str:
    return f"""
            SELECT stack_id, {figures}
            FROM {rows}
            WHERE {SERVICE}
            GROUP BY stack_id
""".strip("\n")


def _nodes(*figures: str) -> str:
    """One row for every frame of every stack, with the id of its path from the root; of each figure also its whole.

    Preorder: stacks are numbered in the order of their frames (as one text each: arrays take longer to compare); a node
    stands at the first stack that goes through it, below its ancestors, which begin there or earlier. A path's id is a
    sum of hashes of its frames and their depths, so that it takes one addition a frame: grouping by the paths
    themselves took ten times as long on 5,000 stacks.
    """
    wholes = ", ".join(f"{one}, sum({one}) OVER () AS whole_{one}" for one in figures)
    names = ", ".join(f"{one}, whole_{one}" for one in figures)
    return f"""
    SELECT label, depth, path_id, place, depth = length(frames) AS leaf, {names}
    FROM
    (
        SELECT frames, row_number() OVER (ORDER BY arrayStringConcat(frames, char(0))) AS place, {wholes}
        FROM stacks
    )
    ARRAY JOIN
        frames AS label,
        arrayEnumerate(frames) AS depth,
        arrayCumSum(arrayMap((frame, at) -> cityHash64(frame, at), frames, arrayEnumerate(frames))) AS path_id
""".strip("\n")
