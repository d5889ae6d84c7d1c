"""Functions and stacks: CPU over time, over the load, and as a flame graph."""

from views.web.shown import SPAN, STEPS, bucket, over, summed

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
                bucket,
                arrayJoin([
                    (toUInt32(place), function, file, toInt64(spent_us), with_its_us),
                    (toUInt32({_OTHER}), '', '', -toInt64(spent_us), toUInt64(0))
                ]) AS part
            FROM
            (
                SELECT rowNumberInAllBlocks() AS place, function, file, at, self, total
                FROM
                (
                    SELECT
                        function, file, groupArray({bucket(source)}) AS at, groupArray(self_cpu_us) AS self,
                        groupArray(total_cpu_us) AS total
                    FROM {source.functions}
                    GROUP BY function, file
                    ORDER BY sum(self_cpu_us) DESC, function, file
                    LIMIT {{most:UInt32}}
                )
            )
            ARRAY JOIN at AS bucket, self AS spent_us, total AS with_its_us
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

FLAME = summed(
    "flame graph of a stretch",
    lambda source: (
        f"""
SELECT stack, self_us, seen AS samples
FROM
(
    SELECT stack_id, sum(cpu_us) AS self_us, sum(samples) AS seen
    FROM {source.stacks}
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
