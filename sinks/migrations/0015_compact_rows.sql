-- Columns of few different numbers as numbers of a dictionary: times of requests come on a grid (see
-- schemas/precision.py), threads and stacks are few. Exact times would be stored as well, in more bytes. The engine
-- warns of dictionaries of numbers, which help nobody who has many; the views say what is behind them: plain numbers.

ALTER TABLE requests_stored
    MODIFY COLUMN dispatch_lag_us LowCardinality(UInt32) CODEC(ZSTD(1)),
    MODIFY COLUMN write_lag_us LowCardinality(UInt32) CODEC(ZSTD(1)),
    MODIFY COLUMN latency_us LowCardinality(UInt32) CODEC(ZSTD(1)),
    MODIFY COLUMN error LowCardinality(Nullable(String)) CODEC(ZSTD(1))
SETTINGS allow_suspicious_low_cardinality_types = 1;

-- Times of samples are whole milliseconds, which is what GCD finds out.
ALTER TABLE samples_stored
    MODIFY COLUMN sampled_at DateTime64(6, 'UTC') CODEC(GCD, Delta, ZSTD(1)),
    MODIFY COLUMN weight_us LowCardinality(UInt32) CODEC(ZSTD(1)),
    MODIFY COLUMN thread_id LowCardinality(UInt64) CODEC(ZSTD(1)),
    MODIFY COLUMN stack_id LowCardinality(UInt64) CODEC(ZSTD(1)),
    MODIFY COLUMN mode LowCardinality(String) CODEC(ZSTD(1))
SETTINGS allow_suspicious_low_cardinality_types = 1;
