"""What the dashboards' SQL texts have in common: conditions by variable, and frames of flame graphs.

Variables are quoted by Grafana (`${v:singlequote}`). "All" is taken out by the data source's `$__conditionalAll`,
which runs in the browser, counts brackets without looking for quotes, and puts its text in by JavaScript's replace:
so brackets in it are balanced, and no `$` stands before a quote, a digit or an ampersand.
"""

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

PRUNED_SHARE = 1 / 2000
"""Frames under this share of the range's CPU are left out of a flame graph: too narrow to see."""

_FRAMES = (
    "arrayPushFront(multiIf(stack = '', [], position(stack, char(92)) = 0, splitByChar(';', stack), "
    "arrayMap(f -> replaceAll(replaceAll(f, char(1), ';'), char(2), char(92)), splitByChar(';', replaceAll(replaceAll("
    "stack, concat(char(92), char(92)), char(2)), concat(char(92), ';'), char(1))))), 'total')"
)
"""Frame labels of a folded stack below one root: `schemas.stacks.unfold` in SQL, and as there most need no mending."""


def flame_graph() -> str:
    """CPU of the range in nanoseconds, as the flame graph panel wants it: depth first, one root at level 0 also when
    there is nothing.
    """
    return f"""
SELECT
    any(label) AS label,
    toInt64(any(depth) - 1) AS level,
    toInt64(sum(ns)) AS value,
    toInt64(sumIf(ns, leaf)) AS self
FROM
(
{_nodes(_texts("us * 1000 AS ns", _by_stack("sum(cpu_us) AS us", CHOSEN), f"= {THIS}"), "ns")}
)
GROUP BY path_id
HAVING level = 0 OR sum(ns) >= {PRUNED_SHARE} * any(whole_ns)
ORDER BY min(place), level
""".strip()


def differential(beside: Range) -> str:
    """CPU per request of two sides, in nanoseconds: `value` and `self` of the one that is beside the chosen range,
    `valueRight` and `selfRight` of the chosen range.

    Per request, because the panel draws a frame as wide as both sides together: more load must not look like more
    cost. Requests are those of windows with a profile, as their CPU is.
    """
    per_request = "ifNull(before_us * 1000 / ended.2, 0) AS before_ns, ifNull(after_us * 1000 / ended.1, 0) AS after_ns"
    by_stack = _by_stack("sumIf(cpu_us, is_beside) AS before_us, sumIf(cpu_us, NOT is_beside) AS after_us", beside)
    stacks = _texts(per_request, by_stack, f"IN {beside.runs}")
    return f"""
WITH
    {requests(beside)} AS ended
SELECT
    any(label) AS label,
    toInt64(any(depth) - 1) AS level,
    toInt64(sum(before_ns)) AS value,
    toInt64(sumIf(before_ns, leaf)) AS self,
    toInt64(sum(after_ns)) AS valueRight,
    toInt64(sumIf(after_ns, leaf)) AS selfRight
FROM
(
{_nodes(stacks, "before_ns", "after_ns")}
)
GROUP BY path_id
HAVING level = 0
    OR (sum(before_ns) > 0 AND sum(before_ns) >= {PRUNED_SHARE} * any(whole_before_ns))
    OR (sum(after_ns) > 0 AND sum(after_ns) >= {PRUNED_SHARE} * any(whole_after_ns))
ORDER BY min(place), level
""".strip()


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


def _texts(figures: str, by_stack: str, runs: str) -> str:
    """Stacks with their text."""
    return f"""
                SELECT if(stack = '', '(unattributed)', stack) AS stack, {figures}
                FROM
                (
{by_stack}
                ) AS weighed
                LEFT ANY JOIN (SELECT stack_id, stack FROM stack_texts WHERE run {runs}) AS texts USING (stack_id)
""".strip("\n")


def _nodes(stacks: str, *figures: str) -> str:
    """One row for every frame of every stack, with the id of its path from the root; of each figure also its whole.

    Preorder: stacks are numbered in the order of their texts, each with the mark that ends a frame behind it, so that
    those below a node stand together, whatever its name goes on with elsewhere. A node stands at the first stack that
    goes through it, below its ancestors, which begin there or earlier. All stacks are put into one row and taken out of
    it again: that numbers them, adds them up, and leaves one without a name, which is the root, when there is none.
    They are told apart into frames last of all, for lists are dear to move. A path's id is a sum of hashes of its
    frames and their depths, so that it takes one addition a frame: grouping by the paths themselves took ten times as
    long on 5,000 stacks.
    """
    names = ", ".join(f"{one}, whole_{one}" for one in figures)
    gathered = ", ".join(f"groupArray({one}) AS every_{one}, sum({one}) AS whole_{one}" for one in figures)
    taken_out = ", ".join(f"every_{one} AS {one}" for one in figures)
    return f"""
    SELECT label, depth, path_id, place, depth = deep AS leaf, {names}
    FROM
    (
        SELECT {_FRAMES} AS frames, length(frames) AS deep, place, {names}
        FROM
        (
            SELECT groupArray(stack) AS every_stack, {gathered}
            FROM
            (
{stacks}
                ORDER BY concat(stack, ';')
            )
        )
        LEFT ARRAY JOIN every_stack AS stack, arrayEnumerate(every_stack) AS place, {taken_out}
    )
    ARRAY JOIN
        frames AS label,
        arrayEnumerate(frames) AS depth,
        arrayCumSum(arrayMap((frame, at) -> cityHash64(frame, at), frames, arrayEnumerate(frames))) AS path_id
""".strip("\n")
