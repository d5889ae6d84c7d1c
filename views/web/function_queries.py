"""Functions and stacks: CPU over time, over the load, and as a flame graph."""

from typing import Any

from views.web.shown import SOURCES, SPAN, STEPS, Shown, Source, bucket, once, over
from views.web.span import Span, Tier

_OTHER, _NOWHERE = 1 << 30, (1 << 30) + 1
# One look at the rows: those of a function are kept together until it is known which are the hottest, and go by its
# place from there on, for numbers are grouped sooner than names. What the others took is reckoned from the windows.
HOT = over(
    "hot functions over time",
    lambda source: (
        f"""
SELECT
    multiIf(place = {_NOWHERE}, 'unattributed', place = {_OTHER}, 'other', 'function') AS kind,
    CAST(name, 'String') AS function, CAST(path, 'String') AS file, all_us, tupleElement(points, 1) AS buckets,
    tupleElement(points, 2) AS self_us, tupleElement(points, 3) AS total_us
FROM
(
    SELECT
        place, max(name_here) AS name, max(path_here) AS path, toUInt64(sum(us)) AS all_us,
        arraySort(groupArray((bucket, toUInt64(us), toUInt64(if(place < {_OTHER}, with_us, us))))) AS points
    FROM
    (
        SELECT
            tupleElement(part, 1) AS place, bucket, max(tupleElement(part, 2)) AS name_here,
            max(tupleElement(part, 3)) AS path_here, greatest(sum(tupleElement(part, 4)), 0) AS us,
            sum(tupleElement(part, 5)) AS with_us
        FROM
        (
            SELECT
                tupleElement(point, 1) AS bucket,
                arrayJoin([
                    (toUInt32(place), function, file, toInt64(tupleElement(point, 2)), tupleElement(point, 3)),
                    (toUInt32({_OTHER}), '', '', -toInt64(tupleElement(point, 2)), toUInt64(0))
                ]) AS part
            FROM
            (
                SELECT rowNumberInAllBlocks() AS place, function, file, series
                FROM
                (
                    SELECT
                        function, file, groupArray(({bucket(source)}, self_cpu_us, total_cpu_us)) AS series
                    FROM {source.functions}
                    GROUP BY function, file
                    ORDER BY sum(self_cpu_us) DESC, function, file
                    LIMIT {{most:UInt32}}
                )
            )
            ARRAY JOIN series AS point
            UNION ALL
            SELECT
                bucket,
                arrayJoin([
                    (toUInt32({_OTHER}), '', '', all_us - nowhere_us, toUInt64(0)),
                    (toUInt32({_NOWHERE}), '', '', nowhere_us, toUInt64(0))
                ]) AS part
            FROM
            (
                SELECT
                    {bucket(source)} AS bucket, toInt64(sum(one.cpu_us)) AS all_us,
                    toInt64(sum(one.unattributed_us)) AS nowhere_us
                FROM {source.windows}
                GROUP BY bucket
            )
        )
        GROUP BY place, bucket
        HAVING us > 0 OR place < {_OTHER}
    )
    GROUP BY place
)
ORDER BY kind, all_us DESC, function, file
"""
    ),
    {**STEPS, "most": 12},
    ("kind", "String", "function, other (all that are not the hottest) or unattributed"),
    ("function", "String", "its name; '' of other and unattributed"),
    ("file", "String", "its file"),
    ("all_us", "UInt64", "by itself, in the whole stretch"),
    ("buckets", "Array(UInt64)", "where it was seen, in order"),
    ("self_us", "Array(UInt64)", "by itself, in each"),
    ("total_us", "Array(UInt64)", "with what it called; of other and unattributed as self_us"),
)

FUNCTION = over(
    "a function against the load",
    lambda source: (
        f"""
SELECT
    bucket, starts_us, requests * 1e6 / watched_us AS achieved_tps, self / watched_us AS self_cores,
    total / watched_us AS total_cores, if(requests = 0, NULL, self / requests) AS self_us_per_request,
    if(requests = 0, NULL, total / requests) AS total_us_per_request, seen AS samples
FROM
(
    SELECT
        {bucket(source)} AS bucket, min(toUnixTimestamp64Micro(starts_at)) AS starts_us,
        {source.watched_requests} AS requests, {source.watched_us} AS watched_us
    FROM {source.windows}
    GROUP BY bucket
    HAVING watched_us > 0
) AS load
LEFT JOIN
(
    SELECT
        {bucket(source)} AS bucket, sum(self_cpu_us) AS self, sum(total_cpu_us) AS total, sum(total_samples) AS seen
    FROM {source.functions} AND function = {{function:String}} AND file = {{file:String}}
    GROUP BY bucket
) AS spent USING (bucket)
ORDER BY bucket
"""
    ),
    {**STEPS, "function": "sweep", "file": "shop.py"},
    ("bucket", "UInt64", "which, from 0; those without a profile are missing"),
    ("starts_us", "Int64", "Unix time at which its first window or minute begins"),
    ("achieved_tps", "Float64", "requests that ended, per second"),
    ("self_cores", "Float64", "CPU seconds per second by itself"),
    ("total_cores", "Float64", "with what it called"),
    ("self_us_per_request", "Nullable(Float64)", "CPU by itself per request; NULL when none ended"),
    ("total_us_per_request", "Nullable(Float64)", "with what it called"),
    ("samples", "UInt64", "in which it was on the stack"),
)

FUNCTIONS = over(
    "table of functions",
    lambda source: (
        f"""
SELECT
    CAST(function, 'String') AS function, CAST(file, 'String') AS file, self_us, total_us,
    self_us / cpu_us AS self_share, total_us / cpu_us AS total_share, self_us / requests AS self_us_per_request,
    total_us / requests AS total_us_per_request, self_samples, total_samples,
    tupleElement(points, 1) AS buckets, tupleElement(points, 2) AS bucket_self_us,
    tupleElement(points, 3) AS bucket_total_us, tupleElement(points, 4) AS bucket_samples
FROM
(
    SELECT
        function, file, sum(self) AS self_us, sum(total) AS total_us, sum(self_seen) AS self_samples,
        sum(seen) AS total_samples, arraySort(groupArray((bucket, self, total, seen))) AS points
    FROM
    (
        SELECT
            function, file, {bucket(source)} AS bucket, sum(self_cpu_us) AS self, sum(total_cpu_us) AS total,
            sum(self_samples) AS self_seen, sum(total_samples) AS seen
        FROM {source.functions}
        GROUP BY function, file, bucket
    )
    GROUP BY function, file
) AS functions
CROSS JOIN
(
    SELECT greatest(sum(one.cpu_us), 1) AS cpu_us, greatest({source.watched_requests}, 1) AS requests
    FROM {source.windows}
) AS whole
ORDER BY self_us DESC, function, file
"""
    ),
    {**STEPS, "step": 10},
    ("function", "String", "its name"),
    ("file", "String", "its file"),
    ("self_us", "UInt64", "CPU by itself"),
    ("total_us", "UInt64", "with what it called"),
    ("self_share", "Float64", "of the service's CPU, 0 to 1"),
    ("total_share", "Float64", "of the service's CPU, 0 to 1"),
    ("self_us_per_request", "Float64", "CPU by itself per request that ended while there was a profile"),
    ("total_us_per_request", "Float64", "with what it called"),
    ("self_samples", "UInt64", "in which it ran"),
    ("total_samples", "UInt64", "in which it was on the stack"),
    ("buckets", "Array(UInt64)", "sparkline and growth: where it was seen, in order (take a step of a few dozen)"),
    ("bucket_self_us", "Array(UInt64)", "CPU by itself in each"),
    ("bucket_total_us", "Array(UInt64)", "with what it called"),
    ("bucket_samples", "Array(UInt64)", "in which it was on the stack"),
)


def _weighed(source: Source, run: str, suffix: str) -> str:
    """CPU and samples of a stretch by stack. `suffix` tells the parameters of two stretches apart."""
    rows = source.stacks.replace("{run:", f"{{{run}:")
    for name in ("first", "last"):
        rows = rows.replace(f"{{{name}:", f"{{{name}{suffix}:")
    return f"SELECT stack_id, sum(cpu_us) AS us, sum(samples) AS seen FROM {rows} GROUP BY stack_id"


FLAME = over(
    "flame graph of a stretch",
    lambda source: (
        f"""
SELECT stack, self_us, seen AS samples
FROM
(
    SELECT stack_id, sum(us) AS self_us, sum(seen) AS seen
    FROM ({_weighed(source, "run", "")})
    GROUP BY stack_id
    HAVING self_us > 0 AND self_us >= {{least_us:UInt64}}
) AS weighed
LEFT ANY JOIN (SELECT stack_id, stack FROM stack_texts WHERE run = {{run:String}}) AS texts USING (stack_id)
ORDER BY self_us DESC, stack
"""
    ),
    {**SPAN, "least_us": 0},
    ("stack", "String", "folded, root first (`schemas.stacks`); '' is CPU that no function was given"),
    ("self_us", "UInt64", "CPU of this very stack; the greatest first, those under `least_us` left out"),
    ("samples", "UInt64", "that it rests on"),
)


def _difference(before: Source, after: Source) -> Shown:
    return once(
        f"flame graphs of two stretches by {before.unit} and {after.unit}",
        f"""
SELECT stack, before_us, after_us, before_samples, after_samples
FROM
(
    SELECT
        stack_id, sumIf(us, is_after = 0) AS before_us, sumIf(us, is_after = 1) AS after_us,
        sumIf(seen, is_after = 0) AS before_samples, sumIf(seen, is_after = 1) AS after_samples
    FROM
    (
        SELECT *, 0 AS is_after FROM ({_weighed(before, "run", "")})
        UNION ALL
        SELECT *, 1 AS is_after FROM ({_weighed(after, "other_run", "_after")})
    )
    GROUP BY stack_id
    HAVING before_us + after_us > 0 AND before_us + after_us >= {{least_us:UInt64}}
) AS weighed
LEFT ANY JOIN
(
    SELECT stack_id, stack
    FROM stack_texts
    WHERE run IN ({{run:String}}, {{other_run:String}})
) AS texts USING (stack_id)
ORDER BY before_us + after_us DESC, stack
""",
        {**SPAN, "other_run": "run-1", "first_after": 1_790_000_000, "last_after": 1_790_000_600, "least_us": 0},
        ("stack", "String", "folded, root first; '' is CPU that no function was given"),
        ("before_us", "UInt64", "CPU of this very stack in the stretch `first` to `last` of `run`"),
        ("after_us", "UInt64", "in the stretch `first_after` to `last_after` of `other_run`"),
        ("before_samples", "UInt64", "that it rests on"),
        ("after_samples", "UInt64", "that it rests on"),
    )


_DIFFERENCES = {
    (before.unit + "s", after.unit + "s"): _difference(before, after) for before in SOURCES for after in SOURCES
}
DIFFERENCES = tuple(_DIFFERENCES.values())


def difference(before: Tier, after: Tier) -> Shown:
    """The text that lays two stretches side by side. Per request: divide by `watched_requests` of HEALTH of each."""
    return _DIFFERENCES[before, after]


def difference_parameters(run: str, span: Span, other_run: str, after: Span, least_us: int = 0) -> dict[str, Any]:
    """Parameters of `difference`."""
    both = {"run": run, "other_run": other_run, "first": span.first, "last": span.last}
    return {**both, "first_after": after.first, "last_after": after.last, "least_us": least_us}
