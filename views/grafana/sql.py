"""What the dashboards' SQL texts have in common: conditions by variable, and frames of flame graphs.

Variables are quoted by Grafana (`${v:singlequote}`). "All" is taken out by the data source's `$__conditionalAll`,
which runs in the browser, counts brackets without looking for quotes, and puts its text in by JavaScript's replace:
so brackets in it are balanced, and no `$` stands before a quote, a digit or an ampersand.
"""

from collections.abc import Mapping

from views.grafana.tiers import CHOSEN, POINTS, THIS, TOTALS, Range

RUN = f"run = {THIS}"
SERVICE = "service = ${service:singlequote}"
IN_RANGE = "$__timeFilter(starts_at)"
NAME = "concat(function, ' (', file, ')')"

ENDPOINT = "$__conditionalAll(endpoint IN (${endpoint:singlequote}), $endpoint)"
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
ENDPOINTS = f"SELECT DISTINCT endpoint FROM {CHOSEN.rows('endpoints', POINTS)} ORDER BY endpoint"
FUNCTIONS = f"""
SELECT {NAME} AS label
FROM {CHOSEN.rows("functions", POINTS)}
WHERE {SERVICE}
GROUP BY function, file
ORDER BY sum(self_cpu_us) DESC, label
LIMIT 500
""".strip()

PRUNED_SHARE = 1 / 1000
"""Frames under this share of a flame graph's width are left out: 1.5 pixels on a wide screen. A differential one is as
wide as both sides together.
"""


def flame_graph() -> str:
    """CPU of the range in nanoseconds, as the flame graph panel wants it: depth first, one root at level 0 also when
    there is nothing.
    """
    return _nodes(
        _by_stack("sum(cpu_us) AS us", CHOSEN),
        f"= {THIS}",
        {"": "us * 1000"},
    )


def differential(beside: Range) -> str:
    """CPU per request of two sides, in nanoseconds: `value` and `self` of the one that is beside the chosen range,
    `valueRight` and `selfRight` of the chosen range.

    Per request, because the panel draws a frame as wide as both sides together: more load must not look like more
    cost. Requests are those of windows with a profile, as their CPU is.
    """
    sides = {"before_ns": "is_beside", "after_ns": "NOT is_beside"}
    figures = (
        f"sumIf(cpu_us, {side}) * 1000 / greatest(maxIf(requests, {side}), 1) AS {ns}" for ns, side in sides.items()
    )
    return _nodes(_by_stack(", ".join(figures), beside), f"IN {beside.runs}", {"": "before_ns", "Right": "after_ns"})


def requests(beside: Range) -> str:
    """SQL of the requests that ended while there was a profile, at least 1: in the chosen range, and beside it."""
    return f"""
    (
        SELECT
            (
                greatest(sumIf(watched_requests, NOT is_beside), 1), greatest(sumIf(watched_requests, is_beside), 1),
                greatest(sumIf(watched_us, NOT is_beside), 1)
            )
        FROM {beside.rows("load", TOTALS)}
    )
""".strip()


def _by_stack(figures: str, of: Range) -> str:
    return f"""
                    SELECT stack_id, {figures}
                    FROM {of.rows("stacks", TOTALS)}
                    WHERE {SERVICE}
                    GROUP BY stack_id
""".strip("\n")


def _nodes(by_stack: str, runs: str, sides: Mapping[str, str]) -> str:
    """The nodes of a flame graph in preorder, from rows of `stack_id` and what it weighs on each of the `sides`, in ns:
    `value` and `self`, each with the name of the side behind it.

    All stacks are put into one row and taken out of it again: that adds them up, and leaves one without a path, which
    is the root, when there is none. Until nodes are known that are wide enough to be seen they are numbers (`path_ids`,
    see `stacks_stored`); only those left are given their labels, each from a stack that goes through it, and are put in
    the order of the labels that lead to them. Char 0 ends a label before all that it could go on with.
    """
    weights = [f"ns{side}" for side in sides]
    told = ", ".join(f"{ns} AS {one}" for one, ns in zip(weights, sides.values(), strict=True))
    gathered = ", ".join(f"groupArray({one}) AS every_{one}" for one in weights)
    width = " + ".join(f"sum({one})" for one in weights)
    taken_out = ", ".join(f"every_{one} AS {one}" for one in weights)
    figures = ", ".join(f"value{side}, self{side}" for side in sides)
    summed = ", ".join(
        f"toInt64(sum(ns{side})) AS value{side}, toInt64(sumIf(ns{side}, depth = deep)) AS self{side}" for side in sides
    )
    return f"""
SELECT
    multiIf(level = 0, 'total', empty(frames), '(unattributed)', frames[level]) AS label, level, {figures}
FROM
(
    SELECT any(stack_id) AS stack_id, toInt64(any(depth) - 1) AS level, {summed}
    FROM
    (
        SELECT stack_id, arrayPushFront(below, 0) AS path, length(path) AS deep, whole, {", ".join(weights)}
        FROM
        (
            SELECT groupArray(stack_id) AS every_stack, groupArray(below) AS every_below, {width} AS whole, {gathered}
            FROM
            (
                SELECT
                    stack_id, if(empty(path_ids), [cityHash64('(unattributed)', toUInt32(1))], path_ids) AS below,
                    {told}
                FROM
                (
{by_stack}
                ) AS weighed
                LEFT ANY JOIN (SELECT stack_id, path_ids FROM stack_texts WHERE run {runs}) AS paths USING (stack_id)
            )
        )
        LEFT ARRAY JOIN every_stack AS stack_id, every_below AS below, {taken_out}
    )
    ARRAY JOIN path AS path_id, arrayEnumerate(path) AS depth
    GROUP BY path_id
    HAVING level = 0 OR ({width} > 0 AND {width} >= {PRUNED_SHARE} * any(whole))
) AS node
LEFT ANY JOIN (SELECT stack_id, frames FROM stack_texts WHERE run {runs}) AS texts USING (stack_id)
ORDER BY if(empty(frames) AND level > 0, label, arrayStringConcat(arraySlice(frames, 1, level), char(0))), level
""".strip()
