-- Derived from the truth, and replaced when more of the truth comes: of two records of one window the one that covers
-- more batches wins. Its rows per endpoint and per function are written first and named by its flush.

CREATE TABLE IF NOT EXISTS windows_stored
(
    run LowCardinality(String),
    window UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(ZSTD(1)),
    starts_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    joined_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    window_us UInt64 CODEC(ZSTD(1)),
    batches_covered UInt64 CODEC(ZSTD(1)),
    closed_by LowCardinality(String),
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
ORDER BY (run, window)
TTL toDateTime(joined_at) + INTERVAL 90 DAY
SETTINGS ${parts}, index_granularity = 256;

CREATE TABLE IF NOT EXISTS endpoints_stored
(
    run LowCardinality(String),
    window UInt64 CODEC(Delta, ZSTD(1)),
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
PARTITION BY toMonday(fromUnixTimestamp64Milli(toInt64(bitShiftRight(flush, 22)), 'UTC'))
PRIMARY KEY (run, window)
ORDER BY (run, window, flush, stage, endpoint)
TTL toDateTime(bitShiftRight(flush, 22) / 1000, 'UTC') + INTERVAL 90 DAY
SETTINGS ${parts}, index_granularity = 1024, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS functions_stored
(
    run LowCardinality(String),
    window UInt64 CODEC(Delta, ZSTD(1)),
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
PARTITION BY toMonday(fromUnixTimestamp64Milli(toInt64(bitShiftRight(flush, 22)), 'UTC'))
PRIMARY KEY (run, window)
ORDER BY (run, window, flush, service, function, file)
TTL toDateTime(bitShiftRight(flush, 22) / 1000, 'UTC') + INTERVAL 90 DAY
SETTINGS ${parts}, ttl_only_drop_parts = 1;

CREATE OR REPLACE VIEW windows AS
SELECT
    run, window, starts_at, joined_at, window_us, batches_covered, closed_by, scheduled, sent, dropped, in_flight,
    completed, failed, generator_cpu_us, busiest_generator_us, dispatch_lag_p99_us, instances, covered_us, samples,
    cpu_us, unattributed_us, busiest_thread_us, run_queue_us, agent_cpu_us, own_cpu_us, host_cpu_us,
    latency_buckets, latency_counts
FROM windows_stored FINAL;

CREATE OR REPLACE VIEW endpoints AS
SELECT
    run, window, starts_at, stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM endpoints_stored
WHERE flush IN (SELECT flush FROM windows_stored FINAL);

CREATE OR REPLACE VIEW functions AS
SELECT
    run, window, starts_at, service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM functions_stored
WHERE flush IN (SELECT flush FROM windows_stored FINAL);

-- Rows of a stretch of one run, as stacks_within gives them. The views without ends look up the flushes of every run in
-- the store each time.

CREATE OR REPLACE VIEW endpoints_within AS
SELECT
    run, window, starts_at, stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM endpoints_stored
WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64} AND flush IN
(
    SELECT flush FROM windows_stored FINAL
    WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
);

CREATE OR REPLACE VIEW functions_within AS
SELECT
    run, window, starts_at, service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM functions_stored
WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64} AND flush IN
(
    SELECT flush FROM windows_stored FINAL
    WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
);
