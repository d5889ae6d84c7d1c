-- The truth: batches, and the rows that they brought.
--
-- Rows are written first, then one row of batches_stored that names their `flush` (milliseconds << 22 | 22 random
-- bits, another one for every batch and every attempt). Only named rows are visible (see 0004_views.sql), so however
-- often a batch is stored it counts once. Time to live is counted from the write (the upper bits of the flush), not
-- from the time of the request: data that is replayed lives as long as data that came live.

CREATE TABLE IF NOT EXISTS batches_stored
(
    topic LowCardinality(String),
    run LowCardinality(String),
    window UInt64 CODEC(Delta, ZSTD(1)),
    producer LowCardinality(String),
    seq UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(ZSTD(1)),
    rows UInt64 CODEC(ZSTD(1)),
    final Bool,
    goodbye Bool,
    partitions UInt64,
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    engine LowCardinality(String),
    scheduled UInt64 CODEC(ZSTD(1)),
    sent UInt64 CODEC(ZSTD(1)),
    dropped UInt64 CODEC(ZSTD(1)),
    in_flight UInt64 CODEC(ZSTD(1)),
    generator_cpu_us UInt64 CODEC(ZSTD(1)),
    service LowCardinality(String),
    instance LowCardinality(String),
    pid UInt64 CODEC(ZSTD(1)),
    backend LowCardinality(String),
    timing LowCardinality(String),
    cpu_us UInt64 CODEC(ZSTD(1)),
    busiest_thread_us UInt64 CODEC(ZSTD(1)),
    run_queue_us UInt64 CODEC(ZSTD(1)),
    rss_bytes UInt64 CODEC(ZSTD(1)),
    threads UInt64 CODEC(ZSTD(1)),
    covered_us UInt64 CODEC(ZSTD(1)),
    period_us UInt64 CODEC(ZSTD(1)),
    agent_cpu_us UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(flush)
ORDER BY (topic, run, window, producer, seq);

-- Sorted by flush within a window, so that the flush costs nothing; by endpoint next, so that its sizes are alike.
CREATE TABLE IF NOT EXISTS requests_stored
(
    run LowCardinality(String),
    window UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(Delta, ZSTD(1)),
    stage LowCardinality(String),
    endpoint LowCardinality(String),
    scheduled_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    dispatch_lag_us UInt32 CODEC(T64, ZSTD(1)),
    write_lag_us UInt32 CODEC(T64, ZSTD(1)),
    latency_us UInt32 CODEC(T64, ZSTD(1)),
    status UInt16 CODEC(ZSTD(1)),
    error LowCardinality(Nullable(String)),
    bytes_sent UInt64 CODEC(T64, ZSTD(1)),
    bytes_received UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(fromUnixTimestamp64Milli(toInt64(bitShiftRight(flush, 22)), 'UTC'))
PRIMARY KEY (run, window)
ORDER BY (run, window, flush, stage, endpoint, scheduled_at)
TTL toDateTime(bitShiftRight(flush, 22) / 1000, 'UTC') + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS samples_stored
(
    run LowCardinality(String),
    window UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(Delta, ZSTD(1)),
    service LowCardinality(String),
    instance LowCardinality(String),
    sampled_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    weight_us UInt32 CODEC(T64, ZSTD(1)),
    thread_id UInt64 CODEC(ZSTD(1)),
    stack_id UInt64 CODEC(ZSTD(1)),
    mode LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toDate(fromUnixTimestamp64Milli(toInt64(bitShiftRight(flush, 22)), 'UTC'))
PRIMARY KEY (run, window)
ORDER BY (run, window, flush, sampled_at)
TTL toDateTime(bitShiftRight(flush, 22) / 1000, 'UTC') + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1;

-- Text of each stack of a run, sent again on every new day, so that it outlives the samples that refer to it.
CREATE TABLE IF NOT EXISTS stacks_stored
(
    run LowCardinality(String),
    stack_id UInt64,
    stack String CODEC(ZSTD(3)),
    seen_on Date
)
ENGINE = ReplacingMergeTree(seen_on)
ORDER BY (run, stack_id)
TTL seen_on + INTERVAL 9 DAY;
