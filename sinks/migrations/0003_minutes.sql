-- Minutes of the Unix clock, made from the visible windows that begin in them, and made again when one of these changes:
-- of two records of one minute the one whose windows cover more batches wins, as with windows. They outlive windows.

CREATE TABLE IF NOT EXISTS minutes_stored
(
    run LowCardinality(String),
    minute UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(ZSTD(1)),
    starts_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    made_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    windows UInt64 CODEC(ZSTD(1)),
    batches_covered UInt64 CODEC(ZSTD(1)),
    late UInt64 CODEC(ZSTD(1)),
    incomplete UInt64 CODEC(ZSTD(1)),
    window_us UInt64 CODEC(ZSTD(1)),
    unwatched UInt64 CODEC(ZSTD(1)),
    watched_us UInt64 CODEC(ZSTD(1)),
    watched_requests UInt64 CODEC(ZSTD(1)),
    scheduled UInt64 CODEC(ZSTD(1)),
    sent UInt64 CODEC(ZSTD(1)),
    dropped UInt64 CODEC(ZSTD(1)),
    in_flight UInt64 CODEC(ZSTD(1)),
    completed UInt64 CODEC(ZSTD(1)),
    failed UInt64 CODEC(ZSTD(1)),
    generator_cpu_us UInt64 CODEC(ZSTD(1)),
    busiest_generator_us UInt64 CODEC(ZSTD(1)),
    dispatch_lag_p99_us UInt64 CODEC(ZSTD(1)),
    instances UInt64 CODEC(ZSTD(1)),
    covered_us UInt64 CODEC(ZSTD(1)),
    samples UInt64 CODEC(ZSTD(1)),
    cpu_us UInt64 CODEC(ZSTD(1)),
    unattributed_us UInt64 CODEC(ZSTD(1)),
    busiest_thread_us UInt64 CODEC(ZSTD(1)),
    run_queue_us UInt64 CODEC(ZSTD(1)),
    agent_cpu_us UInt64 CODEC(ZSTD(1)),
    own_cpu_us UInt64 CODEC(ZSTD(1)),
    host_cpu_us UInt64 CODEC(ZSTD(1)),
    latency_buckets Array(Int32) CODEC(ZSTD(1)),
    latency_counts Array(UInt64) CODEC(ZSTD(1)),
    INDEX by_time starts_at TYPE minmax
)
ENGINE = ReplacingMergeTree(batches_covered)
ORDER BY (run, minute)
TTL toDateTime(made_at) + INTERVAL 400 DAY
SETTINGS ${parts}, index_granularity = 64;

CREATE TABLE IF NOT EXISTS minute_endpoints_stored
(
    run LowCardinality(String),
    minute UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(Delta, ZSTD(1)),
    starts_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    stage LowCardinality(String),
    endpoint LowCardinality(String),
    completed UInt64 CODEC(ZSTD(1)),
    failed UInt64 CODEC(ZSTD(1)),
    unanswered UInt64 CODEC(ZSTD(1)),
    bytes_sent UInt64 CODEC(ZSTD(1)),
    bytes_received UInt64 CODEC(ZSTD(1)),
    latency_buckets Array(Int32) CODEC(ZSTD(1)),
    latency_counts Array(UInt64) CODEC(ZSTD(1)),
    INDEX by_time starts_at TYPE minmax
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(toInt64(bitShiftRight(flush, 22)), 'UTC'))
PRIMARY KEY (run, minute)
ORDER BY (run, minute, flush, stage, endpoint)
TTL toDateTime(bitShiftRight(flush, 22) / 1000, 'UTC') + INTERVAL 400 DAY
SETTINGS ${parts}, index_granularity = 256, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS minute_functions_stored
(
    run LowCardinality(String),
    minute UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(Delta, ZSTD(1)),
    starts_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    service LowCardinality(String),
    function LowCardinality(String),
    file LowCardinality(String),
    self_samples UInt64 CODEC(T64, ZSTD(1)),
    total_samples UInt64 CODEC(T64, ZSTD(1)),
    self_cpu_us UInt64 CODEC(T64, ZSTD(1)),
    total_cpu_us UInt64 CODEC(T64, ZSTD(1)),
    INDEX by_time starts_at TYPE minmax
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(toInt64(bitShiftRight(flush, 22)), 'UTC'))
PRIMARY KEY (run, minute)
ORDER BY (run, minute, flush, service, function, file)
TTL toDateTime(bitShiftRight(flush, 22) / 1000, 'UTC') + INTERVAL 400 DAY
SETTINGS ${parts}, ttl_only_drop_parts = 1;

-- Stacks are few, as in samples_stored, and their ids are all but all that there is to store and to group by.
CREATE TABLE IF NOT EXISTS minute_stacks_stored
(
    run LowCardinality(String),
    minute UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(Delta, ZSTD(1)),
    service LowCardinality(String),
    stack_id LowCardinality(UInt64) CODEC(ZSTD(1)),
    samples UInt64 CODEC(T64, ZSTD(1)),
    cpu_us UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(toInt64(bitShiftRight(flush, 22)), 'UTC'))
PRIMARY KEY (run, minute)
ORDER BY (run, minute, flush, service, stack_id)
TTL toDateTime(bitShiftRight(flush, 22) / 1000, 'UTC') + INTERVAL 400 DAY
SETTINGS ${parts}, ttl_only_drop_parts = 1, allow_suspicious_low_cardinality_types = 1;

CREATE OR REPLACE VIEW minutes AS
SELECT
    run, minute, starts_at, made_at, windows, batches_covered, late, incomplete, unwatched, window_us, watched_us,
    watched_requests, scheduled, sent, dropped, in_flight, completed, failed, generator_cpu_us, busiest_generator_us,
    dispatch_lag_p99_us, instances, covered_us, samples, cpu_us, unattributed_us, busiest_thread_us, run_queue_us,
    agent_cpu_us, own_cpu_us, host_cpu_us, latency_buckets, latency_counts
FROM minutes_stored FINAL;

CREATE OR REPLACE VIEW minute_endpoints AS
SELECT
    run, minute, starts_at, stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM minute_endpoints_stored
WHERE flush IN (SELECT flush FROM minutes_stored FINAL);

CREATE OR REPLACE VIEW minute_functions AS
SELECT
    run, minute, starts_at, service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM minute_functions_stored
WHERE flush IN (SELECT flush FROM minutes_stored FINAL);

CREATE OR REPLACE VIEW minute_stacks AS
SELECT run, minute, service, stack_id, samples, cpu_us
FROM minute_stacks_stored
WHERE flush IN (SELECT flush FROM minutes_stored FINAL);
