-- What was announced, and what is told by it. Kept for good: it is little.

CREATE TABLE IF NOT EXISTS events_stored
(
    type LowCardinality(String),
    run String,
    id String,
    time DateTime64(6, 'UTC'),
    data String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(time)
ORDER BY (type, run, id)
SETTINGS old_parts_lifetime = 60;

-- Whether a run is on is told here, for everybody who lists runs. A session that is killed never says that its run has
-- ended; but from a run that is on, a joined window comes at least once a window. So a run that has not ended is on for
-- as long as something is heard of it: its start, or a window that is joined. After two minutes, and two windows, of
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

-- Cores of the service's host, which bound what it can do.
CREATE OR REPLACE VIEW hosts AS
SELECT
    run,
    maxIf(JSONExtractUInt(data, 'host_cores'), type = 'loadflame.run.started.v1') AS host_cores
FROM events_stored FINAL
WHERE type = 'loadflame.run.started.v1'
GROUP BY run;

CREATE OR REPLACE VIEW stages AS
SELECT
    run,
    JSONExtractString(data, 'label') AS label,
    JSONExtractString(data, 'stage') AS stage,
    JSONExtractString(data, 'form') AS form,
    JSONExtractUInt(data, 'visit') AS visit,
    fromUnixTimestamp64Micro(JSONExtractInt(data, 'starts_at_us'), 'UTC') AS starts_at,
    fromUnixTimestamp64Micro(JSONExtractInt(data, 'ends_at_us'), 'UTC') AS ends_at,
    JSONExtractUInt(data, 'settle_us') AS settle_us,
    JSONExtractFloat(data, 'rate_from_tps') AS rate_from_tps,
    JSONExtractFloat(data, 'rate_to_tps') AS rate_to_tps,
    JSONExtractString(data, 'role') AS role,
    JSONExtractFloat(data, 'modulate') AS modulate
FROM events_stored FINAL
WHERE type = 'loadflame.stage.entered.v1';

-- A producer that died has its end said by somebody else.
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
    JSONExtractBool(data, 'died') AS died,
    JSONExtractUInt(data, 'batches_spooled') AS batches_spooled,
    JSONExtractUInt(data, 'rows_spooled') AS rows_spooled,
    JSONExtractInt(data, 'clock_correction_us') AS clock_correction_us,
    JSONExtract(data, 'clock_residual_us', 'Nullable(Int64)') AS clock_residual_us,
    JSONExtract(data, 'clock_error_us', 'Nullable(Int64)') AS clock_error_us
FROM events_stored FINAL
WHERE type = 'loadflame.producer.ended.v1';

-- Of each finding what was said last, unless it was withdrawn; made_at is when it was first told.
CREATE OR REPLACE VIEW findings AS
SELECT
    run,
    JSONExtractString(data, 'kind') AS kind,
    argMax(JSONExtractString(data, 'summary'), said) AS summary,
    JSONExtract(data, 'function', 'Nullable(String)') AS function,
    argMax(JSONExtractRaw(data, 'evidence'), said) AS evidence,
    JSONExtractString(data, 'finding') AS finding,
    max(JSONExtractUInt(data, 'revision')) AS revision,
    argMax(JSONExtractUInt(data, 'windows'), said) AS windows,
    min(time) AS made_at,
    max(time) AS revised_at
FROM
(
    SELECT type, run, time, data, (JSONExtractUInt(data, 'revision'), JSONExtractUInt(data, 'windows')) AS said
    FROM events_stored FINAL
    WHERE type IN ('loadflame.finding.made.v1', 'loadflame.finding.withdrawn.v1')
)
GROUP BY run, finding, kind, function
HAVING argMax(type, said) = 'loadflame.finding.made.v1';

-- What a run's checks said of its delivery: a run in which one is broken may not be judged.
CREATE OR REPLACE VIEW checks AS
SELECT
    run,
    JSONExtractString(outcome, 'name') AS name,
    JSONExtract(outcome, 'ok', 'Nullable(Bool)') AS ok,
    JSONExtractString(outcome, 'sentence') AS sentence
FROM events_stored FINAL
ARRAY JOIN JSONExtractArrayRaw(data, 'checks') AS outcome
WHERE type = 'loadflame.run.checked.v1';
