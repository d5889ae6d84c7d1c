-- What readers see: no flush ids to filter by, no FINAL to remember. Every view may be filtered by run, which is the
-- first column of every order and therefore prunes.

CREATE OR REPLACE VIEW batches AS
SELECT
    topic, run, window, producer, seq, flush, rows, final, goodbye, partitions, partition, offset, stored_at,
    engine, scheduled, sent, dropped, in_flight, generator_cpu_us,
    service, instance, pid, backend, timing, cpu_us, busiest_thread_us, run_queue_us, rss_bytes, threads, covered_us,
    period_us, agent_cpu_us
FROM batches_stored FINAL;

CREATE OR REPLACE VIEW requests AS
SELECT
    run, window, scheduled_at, addMicroseconds(scheduled_at, latency_us) AS completed_at, dispatch_lag_us,
    write_lag_us, latency_us, status, error, endpoint, bytes_sent, bytes_received, stage
FROM requests_stored
WHERE flush IN (SELECT flush FROM batches_stored FINAL WHERE topic = 'requests');

CREATE OR REPLACE VIEW samples AS
SELECT
    run, window, service, instance, sampled_at, weight_us, thread_id, stack_id, stack, mode
FROM
(
    SELECT run, window, service, instance, sampled_at, weight_us, thread_id, stack_id, mode
    FROM samples_stored
    WHERE flush IN (SELECT flush FROM batches_stored FINAL WHERE topic = 'stacks')
) AS visible
LEFT ANY JOIN stacks_stored AS text USING (run, stack_id);

CREATE OR REPLACE VIEW windows AS
SELECT
    run, window, starts_at, joined_at, window_us, batches_covered, closed_by, scheduled, sent, dropped, in_flight,
    completed, failed, generator_cpu_us, dispatch_lag_p99_us, instances, covered_us, samples, cpu_us, unattributed_us,
    busiest_thread_us, run_queue_us, agent_cpu_us, latency_buckets, latency_counts
FROM windows_stored FINAL;

CREATE OR REPLACE VIEW endpoints AS
SELECT
    run, window, starts_at, stage, endpoint, completed, failed, bytes_sent, bytes_received, latency_buckets,
    latency_counts
FROM endpoints_stored
WHERE flush IN (SELECT flush FROM windows_stored FINAL);

CREATE OR REPLACE VIEW functions AS
SELECT
    run, window, starts_at, service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM functions_stored
WHERE flush IN (SELECT flush FROM windows_stored FINAL);

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
    anyIf(JSONExtractRaw(data, 'plan'), type = 'loadflame.run.started.v1') AS plan
FROM events_stored FINAL
WHERE type IN ('loadflame.run.started.v1', 'loadflame.run.ended.v1', 'loadflame.run.judged.v1')
GROUP BY run
HAVING countIf(type = 'loadflame.run.started.v1') > 0;

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
    JSONExtractFloat(data, 'rate_to_tps') AS rate_to_tps
FROM events_stored FINAL
WHERE type = 'loadflame.stage.entered.v1';

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
    JSONExtractString(data, 'note') AS note
FROM events_stored FINAL
WHERE type = 'loadflame.producer.ended.v1';

CREATE OR REPLACE VIEW findings AS
SELECT
    run,
    JSONExtractString(data, 'kind') AS kind,
    JSONExtractString(data, 'summary') AS summary,
    JSONExtract(data, 'function', 'Nullable(String)') AS function,
    JSONExtractRaw(data, 'evidence') AS evidence
FROM events_stored FINAL
WHERE type = 'loadflame.finding.made.v1';

CREATE OR REPLACE VIEW dead_letters AS
SELECT topic, partition, offset, error, received_at, bytes
FROM dead_letters_stored FINAL;
