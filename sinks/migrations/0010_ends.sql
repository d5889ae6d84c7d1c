-- Which producers died, so that somebody else said their end for them; and what is to be told of a run's own end.

CREATE OR REPLACE VIEW producers AS
SELECT
    run,
    JSONExtractString(data, 'producer_id') AS producer,
    JSONExtractString(data, 'role') AS role,
    JSONExtractUInt(data, 'batches_acknowledged') AS batches_acknowledged,
    JSONExtractUInt(data, 'rows_acknowledged') AS rows_acknowledged,
    JSONExtractUInt(data, 'batches_lost') AS batches_lost,
    JSONExtractUInt(data, 'rows_lost') AS rows_lost,
    JSONExtract(data, 'totals', 'scheduled', 'Nullable(UInt64)') AS scheduled,
    JSONExtract(data, 'totals', 'sent', 'Nullable(UInt64)') AS sent,
    JSONExtract(data, 'totals', 'completed', 'Nullable(UInt64)') AS completed,
    JSONExtract(data, 'totals', 'failed', 'Nullable(UInt64)') AS failed,
    JSONExtract(data, 'totals', 'dropped', 'Nullable(UInt64)') AS dropped,
    JSONExtract(data, 'totals', 'in_flight_at_end', 'Nullable(UInt64)') AS in_flight_at_end,
    JSONExtract(data, 'totals', 'target_counted', 'Nullable(UInt64)') AS target_counted,
    JSONExtractString(data, 'note') AS note,
    JSONExtractBool(data, 'died') AS died
FROM events_stored FINAL
WHERE type = 'loadflame.producer.ended.v1';

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
    anyIf(JSONExtractString(data, 'note'), type = 'loadflame.run.ended.v1') AS note
FROM events_stored FINAL
WHERE type IN ('loadflame.run.started.v1', 'loadflame.run.ended.v1', 'loadflame.run.judged.v1')
GROUP BY run
HAVING countIf(type = 'loadflame.run.started.v1') > 0;
