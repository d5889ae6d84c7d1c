-- The truth: batches, and the rows that they brought.
--
-- Rows are written first, then one row of batches_stored that names their `flush` (milliseconds << 22 | 22 random
-- bits, another one for every batch and every attempt). Only named rows are visible through the views, so however
-- often a batch is stored it counts once. Time to live is counted from the write (the upper bits of the flush), not
-- from the time of the request: data that is replayed lives as long as data that came live.
--
-- `${parts}` are settings that all tables have (`sinks/migrate.py`).
--
-- Readers see views only: no flush ids to filter by, no FINAL to remember. Every view may be filtered by run, which is
-- the first column of every order and therefore prunes.

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
    agent_cpu_us UInt64 CODEC(ZSTD(1)),
    own_cpu_us UInt64 CODEC(ZSTD(1)),
    host_cpu_us UInt64 CODEC(ZSTD(1)),
    sampled_us UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(flush)
ORDER BY (topic, run, window, producer, seq)
SETTINGS ${parts};

-- Sorted by flush within a window, so that the flush costs nothing. A flush is of one batch, of which the writer sends
-- the rows by endpoint and time, so that neighbours are alike: the store keeps their order and compares nothing.
-- A part of less than a million rows is one file and not one for each column: files cost more than bytes. Parts are
-- merged when there are twelve alike and not five: half as often is each row written again.
-- Columns of few different numbers are numbers of a dictionary: times of requests come on a grid (see
-- schemas/precision.py), threads and stacks are few. Exact times would be stored as well, in more bytes. The engine
-- warns of dictionaries of numbers, which help nobody who has many; the views say what is behind them: plain numbers.
CREATE TABLE IF NOT EXISTS requests_stored
(
    run LowCardinality(String),
    window UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(Delta, ZSTD(1)),
    stage LowCardinality(String),
    endpoint LowCardinality(String),
    scheduled_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    dispatch_lag_us LowCardinality(UInt32) CODEC(ZSTD(1)),
    write_lag_us LowCardinality(UInt32) CODEC(ZSTD(1)),
    latency_us LowCardinality(UInt32) CODEC(ZSTD(1)),
    status UInt16 CODEC(ZSTD(1)),
    error LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    bytes_sent UInt64 CODEC(T64, ZSTD(1)),
    bytes_received UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(fromUnixTimestamp64Milli(toInt64(bitShiftRight(flush, 22)), 'UTC'))
PRIMARY KEY (run, window)
ORDER BY (run, window, flush)
TTL toDateTime(bitShiftRight(flush, 22) / 1000, 'UTC') + INTERVAL 7 DAY
SETTINGS ${parts}, ttl_only_drop_parts = 1, merge_selector_base = 12, allow_suspicious_low_cardinality_types = 1,
    min_bytes_for_wide_part = 67108864;

-- Times of samples are whole milliseconds, which is what GCD finds out, and weights whole steps (schemas/precision.py).
CREATE TABLE IF NOT EXISTS samples_stored
(
    run LowCardinality(String),
    window UInt64 CODEC(Delta, ZSTD(1)),
    flush UInt64 CODEC(Delta, ZSTD(1)),
    service LowCardinality(String),
    instance LowCardinality(String),
    sampled_at DateTime64(6, 'UTC') CODEC(GCD, Delta, T64, ZSTD(1)),
    weight_us LowCardinality(UInt32) CODEC(ZSTD(1)),
    thread_id LowCardinality(UInt64) CODEC(ZSTD(1)),
    stack_id LowCardinality(UInt64) CODEC(ZSTD(1)),
    mode LowCardinality(String) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(fromUnixTimestamp64Milli(toInt64(bitShiftRight(flush, 22)), 'UTC'))
PRIMARY KEY (run, window)
ORDER BY (run, window, flush, sampled_at)
TTL toDateTime(bitShiftRight(flush, 22) / 1000, 'UTC') + INTERVAL 7 DAY
SETTINGS ${parts}, ttl_only_drop_parts = 1, merge_selector_base = 12, allow_suspicious_low_cardinality_types = 1;

-- Text of each stack of a run, sent again on every new day, so that it outlives whatever refers to it: samples, and
-- minutes for longer. `frames` are its labels, as `schemas.stacks.unfold` has them (most need no mending), told apart
-- once, when a stack is first seen, and not whenever a graph is drawn. `frame_hashes` are of a label and its depth; the
-- sum of those up to a frame is the node of a flame graph at which it stands: one addition a frame, and of the hashes
-- there are few, where the sums would be as many as nodes.
CREATE TABLE IF NOT EXISTS stacks_stored
(
    run LowCardinality(String),
    stack_id UInt64,
    stack String CODEC(ZSTD(3)),
    seen_on Date,
    frames Array(LowCardinality(String)) MATERIALIZED multiIf(
        stack = '', [],
        position(stack, char(92)) = 0, splitByChar(';', stack),
        arrayMap(
            label -> replaceAll(replaceAll(label, char(1), ';'), char(2), char(92)),
            splitByChar(
                ';',
                replaceAll(replaceAll(stack, concat(char(92), char(92)), char(2)), concat(char(92), ';'), char(1))
            )
        )
    ) CODEC(ZSTD(3)),
    frame_hashes Array(LowCardinality(UInt64)) MATERIALIZED arrayMap(
        (label, depth) -> cityHash64(label, depth), frames, arrayEnumerate(frames)
    ) CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(seen_on)
ORDER BY (run, stack_id)
TTL seen_on + INTERVAL 402 DAY
SETTINGS ${parts}, index_granularity = 1024, allow_suspicious_low_cardinality_types = 1;

CREATE OR REPLACE VIEW batches AS
SELECT
    topic, run, window, producer, seq, flush, rows, final, goodbye, partitions, partition, offset, stored_at,
    engine, scheduled, sent, dropped, in_flight, generator_cpu_us,
    service, instance, pid, backend, timing, cpu_us, busiest_thread_us, run_queue_us, rss_bytes, threads, covered_us,
    period_us, agent_cpu_us, own_cpu_us, host_cpu_us
FROM batches_stored FINAL;

-- Requests of all attempts at storing them, for the two views below.
--
-- Requests that nobody timed have no latency: NULL, never a number that somebody could take for one. What is stored for
-- it is the greatest number of the column (see schemas/precision.py), and `scheduled_at` is then when they ended.
CREATE OR REPLACE VIEW requests_of_attempts AS
SELECT
    run, window, flush, scheduled_at,
    addMicroseconds(
        scheduled_at, if(requests_stored.latency_us = 4294967295, 0, requests_stored.latency_us)
    ) AS completed_at,
    CAST(dispatch_lag_us, 'UInt32') AS dispatch_lag_us, CAST(write_lag_us, 'UInt32') AS write_lag_us,
    nullIf(CAST(requests_stored.latency_us, 'UInt32'), 4294967295) AS latency_us,
    status, error, endpoint, bytes_sent, bytes_received, stage
FROM requests_stored;

CREATE OR REPLACE VIEW requests AS
SELECT * EXCEPT flush
FROM requests_of_attempts
WHERE flush IN (SELECT flush FROM batches_stored FINAL WHERE topic = 'requests');

-- The same of a stretch of one run, of which the reader names both ends: `requests_within(run = ..., first = ...,
-- last = ...)` with indexes of windows. The view without ends looks up the flushes of every run in the store each time.
CREATE OR REPLACE VIEW requests_within AS
SELECT * EXCEPT flush
FROM requests_of_attempts
WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64} AND flush IN
(
    SELECT flush FROM batches_stored FINAL
    WHERE topic = 'requests' AND run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
);

CREATE OR REPLACE VIEW samples AS
SELECT
    run, window, service, instance, sampled_at, CAST(weight_us, 'UInt32') AS weight_us,
    CAST(thread_id, 'UInt64') AS thread_id, CAST(stack_id, 'UInt64') AS stack_id, stack, mode
FROM
(
    SELECT run, window, service, instance, sampled_at, weight_us, thread_id, stack_id, mode
    FROM samples_stored
    WHERE flush IN (SELECT flush FROM batches_stored FINAL WHERE topic = 'stacks')
) AS visible
LEFT ANY JOIN stacks_stored AS text USING (run, stack_id);

-- A text may come more than once, always the same: join it by ANY.
CREATE OR REPLACE VIEW stack_texts AS
SELECT run, stack_id, stack, frames, arrayCumSum(arrayMap(one -> toUInt64(one), frame_hashes)) AS path_ids
FROM stacks_stored;

-- Of which process each visible batch of stacks is: an instance that an agent watched in a window, in as many batches
-- as it takes. `process_us` is its CPU by the kernel, `all_us` the time that all its samples on a CPU stand for, which
-- batches say of their rows (`sampled_us`).
-- Grouped, not by window functions: below those, servers of before July 2026 push no condition on run and window.
CREATE OR REPLACE VIEW processes AS
SELECT flush, run, window, producer, instance, service, process_us, all_us
FROM
(
    SELECT
        run, window, producer, instance, max(one.service) AS service, sum(one.cpu_us) AS process_us,
        sum(one.sampled_us) AS all_us, groupArray(one.flush) AS flushes
    FROM batches_stored AS one FINAL
    WHERE topic = 'stacks' AND instance != ''
    GROUP BY run, window, producer, instance
)
ARRAY JOIN flushes AS flush;

-- CPU by stack in a stretch of one run, of which the reader names both ends: `stacks_within(run = ..., first = ...,
-- last = ...)` with indexes of windows. The kernel's figure for a process in a window goes to its stacks by the time
-- that their samples stand for, rounded to whole us for each batch: so it can be made again to the last us, in any
-- order.
CREATE OR REPLACE VIEW stacks_within AS
SELECT
    {run:String} AS run, window, service, stack_id, count AS samples,
    if(all_us = 0, 0, intDiv(2 * process_us * weight_us + all_us, 2 * all_us)) AS cpu_us
FROM
(
    SELECT flush, toUInt64(stack_id) AS stack_id, count() AS count, sum(weight_us) AS weight_us
    FROM samples_stored
    WHERE mode = 'cpu' AND run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
    GROUP BY flush, stack_id
) AS seen
INNER JOIN
(
    SELECT flush, window, service, process_us, all_us
    FROM processes
    WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
) AS process USING (flush);
