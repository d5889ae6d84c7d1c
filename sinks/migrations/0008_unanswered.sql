-- How many of an endpoint's requests got no whole answer, so that a window's percentile is known to lie among them also
-- when the requests themselves have outlived their time.

ALTER TABLE endpoints_stored
    ADD COLUMN IF NOT EXISTS unanswered UInt64 CODEC(ZSTD(1)) AFTER failed;

CREATE OR REPLACE VIEW endpoints AS
SELECT
    run, window, starts_at, stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM endpoints_stored
WHERE flush IN (SELECT flush FROM windows_stored FINAL);
