-- Whether a run is on is told here, for everybody who lists runs. A session that is killed never says that its run has
-- ended; but from a run that is on, a joined window comes at least once a window. So a run that has not ended is on for
-- as long as something is heard of it: an event, or a window that is joined. After two minutes, and two windows, of
-- silence it is broken off, until something is heard again: a pipeline that was away for longer looks the same.
-- Windows are looked at of runs that have not ended only, which are few, and pruned by run.
CREATE OR REPLACE VIEW runs AS
SELECT
    run,
    anyIf(JSONExtractString(data, 'service'), type = 'loadflame.run.started.v1') AS service,
    anyIf(JSONExtractString(data, 'target'), type = 'loadflame.run.started.v1') AS target,
    fromUnixTimestamp64Micro(
        maxIf(JSONExtractInt(data, 'started_at_us'), type = 'loadflame.run.started.v1'), 'UTC'
    ) AS started_at,
    if(
        countIf(type = 'loadflame.run.ended.v1') = 0,
        NULL,
        fromUnixTimestamp64Micro(maxIf(JSONExtractInt(data, 'ended_at_us'), type = 'loadflame.run.ended.v1'), 'UTC')
    ) AS ended_at,
    anyIf(JSONExtractString(data, 'reason'), type = 'loadflame.run.ended.v1') AS reason,
    anyIf(JSONExtractString(data, 'verdict'), type = 'loadflame.run.judged.v1') AS verdict,
    anyIf(JSONExtractString(data, 'engine'), type = 'loadflame.run.started.v1') AS engine,
    maxIf(JSONExtractUInt(data, 'window_us'), type = 'loadflame.run.started.v1') AS window_us,
    anyIf(JSONExtractRaw(data, 'plan'), type = 'loadflame.run.started.v1') AS plan,
    anyIf(JSONExtractString(data, 'note'), type = 'loadflame.run.ended.v1') AS note,
    anyIf(JSONExtractString(data, 'engine_reason'), type = 'loadflame.run.started.v1') AS engine_reason,
    ifNull(ended_at, greatest(started_at, max(heard))) AS heard_at,
    multiIf(
        isNotNull(ended_at), 'ended',
        addMicroseconds(heard_at, 120000000 + 2 * window_us) < now64(6, 'UTC'), 'broken off',
        'live'
    ) AS state
FROM
(
    SELECT type, run, time AS heard, data
    FROM events_stored FINAL
    WHERE type IN ('loadflame.run.started.v1', 'loadflame.run.ended.v1', 'loadflame.run.judged.v1')
    UNION ALL
    SELECT '' AS type, CAST(run, 'String') AS run, max(joined_at) AS heard, '' AS data
    FROM windows_stored
    WHERE run IN
    (
        SELECT run
        FROM events_stored
        WHERE type IN ('loadflame.run.started.v1', 'loadflame.run.ended.v1')
        GROUP BY run
        HAVING countIf(type = 'loadflame.run.ended.v1') = 0
    )
    GROUP BY run
)
GROUP BY run
HAVING countIf(type = 'loadflame.run.started.v1') > 0;
