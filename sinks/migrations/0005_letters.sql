-- What could not be read, and what of it was sent again. Kept for good, as events are.

-- The time of arrival is the broker's, which is the same at every reading, and tells two lives of a topic apart. Of
-- which batch of which run a letter is, its headers say as far as they can be read ('' for a producer: they cannot).
CREATE TABLE IF NOT EXISTS dead_letters_stored
(
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    received_at DateTime64(6, 'UTC'),
    error String CODEC(ZSTD(1)),
    bytes UInt64,
    run String,
    rows UInt64,
    window UInt64,
    producer String,
    seq UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, received_at)
SETTINGS ${parts};

-- What was sent again, so that nobody does it twice by accident.
CREATE TABLE IF NOT EXISTS replays_stored
(
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    received_at DateTime64(6, 'UTC'),
    replayed_at DateTime64(6, 'UTC'),
    to_offset UInt64
)
ENGINE = ReplacingMergeTree(replayed_at)
ORDER BY (topic, partition, offset, received_at)
SETTINGS ${parts};

CREATE OR REPLACE VIEW dead_letters AS
SELECT
    topic, partition, offset, error, received_at, bytes, run, rows, window, producer, seq,
    splitByChar('.', topic)[-1] AS kind
FROM dead_letters_stored FINAL;

CREATE OR REPLACE VIEW replays AS
SELECT topic, partition, offset, received_at, replayed_at, to_offset
FROM replays_stored FINAL;
