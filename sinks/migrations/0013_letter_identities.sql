-- Of which batch a dead letter is, as far as its headers say ('' for a producer: they do not). A batch that was sent
-- twice is missing once, and one that was replayed, and is visible since, is not missing at all.

ALTER TABLE dead_letters_stored ADD COLUMN IF NOT EXISTS window UInt64;
ALTER TABLE dead_letters_stored ADD COLUMN IF NOT EXISTS producer String;
ALTER TABLE dead_letters_stored ADD COLUMN IF NOT EXISTS seq UInt64;

CREATE OR REPLACE VIEW dead_letters AS
SELECT
    topic, partition, offset, error, received_at, bytes, run, rows, window, producer, seq,
    splitByChar('.', topic)[-1] AS kind
FROM dead_letters_stored FINAL;

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
ORDER BY (topic, partition, offset, received_at);

CREATE OR REPLACE VIEW replays AS
SELECT topic, partition, offset, received_at, replayed_at, to_offset
FROM replays_stored FINAL;
