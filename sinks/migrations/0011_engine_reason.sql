-- Why a run was sent by its engine.

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
    anyIf(JSONExtractString(data, 'engine_reason'), type = 'loadflame.run.started.v1') AS engine_reason
FROM events_stored FINAL
WHERE type IN ('loadflame.run.started.v1', 'loadflame.run.ended.v1', 'loadflame.run.judged.v1')
GROUP BY run
HAVING countIf(type = 'loadflame.run.started.v1') > 0;
