-- What was announced, and what could not be read. Both are kept for good: they are few, and small.

CREATE TABLE IF NOT EXISTS events_stored
(
    type LowCardinality(String),
    run String,
    id String,
    time DateTime64(6, 'UTC'),
    data String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(time)
ORDER BY (type, run, id);

-- The time of arrival is the broker's, which is the same at every reading, and tells two lives of a topic apart.
CREATE TABLE IF NOT EXISTS dead_letters_stored
(
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    received_at DateTime64(6, 'UTC'),
    error String CODEC(ZSTD(1)),
    bytes UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, received_at);
