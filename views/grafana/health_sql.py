"""SQL of the dashboard *Pipeline health*: what of a run may be trusted."""

from views.grafana.sql import IN_RANGE, RUN

_LAG_S = "(toUnixTimestamp64Micro(joined_at) - toUnixTimestamp64Micro(starts_at) - toInt64(window_us)) / 1e6"
"""From a window's end to its joined record."""

# Batches know no time: the first and the last window of the range say which of them are read.
WINDOWS = f"""
WITH (SELECT (min(window), max(window)) FROM windows WHERE {RUN} AND {IN_RANGE}) AS here
SELECT
    count() AS "windows",
    if(count() = 0, 0, toInt64(max(window) - min(window) + 1) - toInt64(count())) AS "missing",
    countIf(instances = 0) AS "without a profile",
    countIf(closed_by = 'late') AS "joined again, late",
    (
        SELECT count()
        FROM
        (
            SELECT window, count() AS visible
            FROM batches
            WHERE {RUN} AND window BETWEEN here.1 AND here.2
            GROUP BY window
        ) AS stored
        INNER JOIN (SELECT window, batches_covered FROM windows WHERE {RUN} AND {IN_RANGE}) AS joined USING (window)
        WHERE visible > batches_covered
    ) AS "late, not joined yet"
FROM windows
WHERE {RUN} AND {IN_RANGE}
""".strip()

# Of the whole run: a producer tells its losses once, when it ends.
LOSSES = f"""
SELECT
    ifNull((SELECT sum(batches_lost) FROM producers WHERE {RUN}), 0) AS "batches lost",
    ifNull((SELECT sum(rows_lost) FROM producers WHERE {RUN}), 0) AS "rows lost",
    ifNull((SELECT sum(batches_spooled) FROM producers WHERE {RUN}), 0) AS "batches spooled",
    (SELECT count() FROM dead_letters WHERE {RUN}) AS "dead letters",
    (SELECT count() FROM dead_letters WHERE run = '' AND $__timeFilter(received_at)) AS "dead letters of nobody"
""".strip()

LAG = f"""
SELECT
    $__timeInterval(starts_at) AS time,
    quantileExact(0.5)({_LAG_S}) AS "p50",
    max({_LAG_S}) AS "slowest"
FROM windows
WHERE {RUN} AND {IN_RANGE} AND closed_by != 'late'
GROUP BY time
ORDER BY time
""".strip()

CLOSED_BY = f"""
SELECT $__timeInterval(starts_at) AS time, closed_by AS label, toInt64(count()) AS windows
FROM windows
WHERE {RUN} AND {IN_RANGE}
GROUP BY time, label
ORDER BY time, label
""".strip()

COVERAGE = f"""
SELECT
    $__timeInterval(starts_at) AS time,
    least(sumIf(covered_us, instances > 0) / sum(window_us), 1) AS "watched",
    if(sum(cpu_us) = 0, NULL, sum(unattributed_us) / sum(cpu_us)) AS "CPU that no function has"
FROM windows
WHERE {RUN} AND {IN_RANGE}
GROUP BY time
ORDER BY time
""".strip()

SENDING = f"""
SELECT $__timeInterval(starts_at) AS time, max(dispatch_lag_p99_us) / 1000 AS "sent late by, p99"
FROM windows
WHERE {RUN} AND {IN_RANGE}
GROUP BY time
ORDER BY time
""".strip()

OWN_CPU = f"""
SELECT
    $__timeInterval(starts_at) AS time,
    sum(busiest_generator_us) / sum(window_us) AS "busiest load process",
    sum(agent_cpu_us) / sum(window_us) AS "profiler",
    sum(run_queue_us) / sum(window_us) AS "service, waiting for a core"
FROM windows
WHERE {RUN} AND {IN_RANGE}
GROUP BY time
ORDER BY time
""".strip()

CHECKS = f"""
SELECT name AS "check", multiIf(isNull(ok), 'unknown', ok, 'holds', 'broken') AS "state", sentence AS "figures"
FROM checks
WHERE {RUN}
ORDER BY name
""".strip()

PRODUCERS = f"""
SELECT
    producer, role, batches_acknowledged AS "batches", batches_spooled AS "spooled", batches_lost AS "lost",
    clock_correction_us / 1000 AS "clock corrected by", clock_residual_us / 1000 AS "clock still off by",
    clock_error_us / 1000 AS "known to", if(died, 'died', 'ended') AS "end", note
FROM producers
WHERE {RUN}
ORDER BY role, producer
""".strip()

DEAD_LETTERS = """
SELECT received_at, if(run = '', '(not known)', run) AS "run", topic, partition, offset, rows, bytes, error
FROM dead_letters
WHERE dead_letters.run = ${run:singlequote} OR (dead_letters.run = '' AND $__timeFilter(received_at))
ORDER BY received_at DESC
LIMIT 200
""".strip()
