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
SETTINGS ${parts};

-- Events as they were told.
CREATE OR REPLACE VIEW events AS
SELECT type, run, id, time, data
FROM events_stored FINAL;

-- When a window of a run was joined last, which the engine keeps itself whenever windows come: of all attempts at a
-- window, whatever became of them. Asked of the windows, it took longer than all else that is told of runs. Kept for
-- good: it is little.
CREATE TABLE IF NOT EXISTS heard_stored
(
    run String,
    heard_at SimpleAggregateFunction(max, DateTime64(6, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY run
SETTINGS ${parts};

CREATE MATERIALIZED VIEW IF NOT EXISTS heard_of_windows TO heard_stored AS
SELECT CAST(run, 'String') AS run, max(joined_at) AS heard_at
FROM windows_stored
GROUP BY run;

-- Whether a run is on is told here, for everybody who lists runs. A session that is killed never says that its run has
-- ended; but from a run that is on, a joined window comes at least once a window. So a run that has not ended is on for
-- as long as something is heard of it: its start, or a window that is joined. After two minutes, and two windows, of
-- silence it is broken off, until something is heard again: a pipeline that was away for longer looks the same.
-- The JSON of an event is read once, all that is told of it at a time: reading it is the dear part.
CREATE OR REPLACE VIEW runs AS
WITH
    JSONExtract(
        data,
        'Tuple(service String, target String, engine String, engine_reason String, reason String, note String,
            verdict String, started_at_us Int64, ended_at_us Int64, window_us UInt64)'
    ) AS said,
    type = 'loadflame.run.started.v1' AS is_start,
    type = 'loadflame.run.ended.v1' AS is_end
SELECT
    run,
    anyIf(said.service, is_start) AS service,
    anyIf(said.target, is_start) AS target,
    fromUnixTimestamp64Micro(maxIf(said.started_at_us, is_start), 'UTC') AS started_at,
    if(countIf(is_end) = 0, NULL, fromUnixTimestamp64Micro(maxIf(said.ended_at_us, is_end), 'UTC')) AS ended_at,
    anyIf(said.reason, is_end) AS reason,
    anyIf(said.verdict, type = 'loadflame.run.judged.v1') AS verdict,
    anyIf(said.engine, is_start) AS engine,
    maxIf(said.window_us, is_start) AS window_us,
    anyIf(JSONExtractRaw(data, 'plan'), is_start) AS plan,
    anyIf(said.note, is_end) AS note,
    anyIf(said.engine_reason, is_start) AS engine_reason,
    ifNull(ended_at, greatest(started_at, max(time))) AS heard_at,
    multiIf(
        isNotNull(ended_at), 'ended',
        addMicroseconds(heard_at, 120000000 + 2 * window_us) < now64(6, 'UTC'), 'broken off',
        'live'
    ) AS state
FROM
(
    SELECT type, run, time, data
    FROM events_stored FINAL
    WHERE type IN ('loadflame.run.started.v1', 'loadflame.run.ended.v1', 'loadflame.run.judged.v1')
    UNION ALL
    SELECT '' AS type, run, heard_at AS time, '' AS data
    FROM heard_stored
)
GROUP BY run
HAVING countIf(is_start) > 0;

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
