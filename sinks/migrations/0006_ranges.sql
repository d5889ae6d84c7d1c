-- What a run did in a range of time, for readers that know times and no windows, as Grafana does: by windows over short
-- ranges, by minutes over long ones. Both have the same columns and the same sums, and the side that does not answer
-- reads nothing, not even the flushes: the conditions are constants of the query. For example
-- `functions_over(run = 'r', from_s = 1790000000, to_s = 1790000900, raw_s = 1800, before = 0, later_us = 0)`:
--
--   from_s, to_s    the range, both ends included, in seconds since the Unix epoch. Windows that begin in it are in it,
--                   and minutes of which it has a part.
--   raw_s           the longest range that windows answer for, in seconds
--   before          1: the range before it instead, as long, up to where it begins
--   later_us        the range and `at` are on a clock that is so much ahead of the run's: 10 s after
--                   one run began is on the other's clock 10 s after that one began; 0 but for a run beside another
--
-- All are plain values, which Grafana can put in; few servers take an expression for a parameter.

CREATE OR REPLACE VIEW load_over AS
WITH
    {to_s:Int64} - {from_s:Int64} > {raw_s:Int64} AS is_long,
    fromUnixTimestamp64Micro(
        ({from_s:Int64} - {before:UInt8} * ({to_s:Int64} - {from_s:Int64})) * 1000000 - {later_us:Int64}, 'UTC'
    ) AS since,
    fromUnixTimestamp64Micro(
        if({before:UInt8} = 0, {to_s:Int64} * 1000000, ({from_s:Int64} - is_long * ({from_s:Int64} % 60)) * 1000000 - 1)
        - {later_us:Int64}, 'UTC'
    ) AS until
SELECT
    run, addMicroseconds(starts_at, {later_us:Int64}) AS at,
    window_us, if(instances > 0, window_us, 0) AS watched_us,
    if(instances > 0, completed + failed, 0) AS watched_requests,
    scheduled, sent, dropped, completed, failed, cpu_us, unattributed_us, latency_buckets, latency_counts
FROM windows_stored FINAL
WHERE run = {run:String} AND NOT is_long AND starts_at >= since AND starts_at <= until
UNION ALL
SELECT
    run, addMicroseconds(starts_at, {later_us:Int64}) AS at,
    window_us, watched_us, watched_requests, scheduled, sent, dropped, completed, failed, cpu_us, unattributed_us,
    latency_buckets, latency_counts
FROM minutes_stored FINAL
WHERE run = {run:String} AND is_long AND starts_at >= toStartOfMinute(since) AND starts_at <= until;

CREATE OR REPLACE VIEW endpoints_over AS
WITH
    {to_s:Int64} - {from_s:Int64} > {raw_s:Int64} AS is_long,
    fromUnixTimestamp64Micro(
        ({from_s:Int64} - {before:UInt8} * ({to_s:Int64} - {from_s:Int64})) * 1000000 - {later_us:Int64}, 'UTC'
    ) AS since,
    fromUnixTimestamp64Micro(
        if({before:UInt8} = 0, {to_s:Int64} * 1000000, ({from_s:Int64} - is_long * ({from_s:Int64} % 60)) * 1000000 - 1)
        - {later_us:Int64}, 'UTC'
    ) AS until
SELECT
    run, addMicroseconds(starts_at, {later_us:Int64}) AS at,
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM endpoints_stored
WHERE run = {run:String} AND NOT is_long AND starts_at >= since AND starts_at <= until
    AND flush IN
    (
        SELECT flush FROM windows_stored FINAL
        WHERE run = {run:String} AND NOT is_long AND starts_at >= since AND starts_at <= until
    )
UNION ALL
SELECT
    run, addMicroseconds(starts_at, {later_us:Int64}) AS at,
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM minute_endpoints_stored
WHERE run = {run:String} AND is_long AND starts_at >= toStartOfMinute(since) AND starts_at <= until
    AND flush IN
    (
        SELECT flush FROM minutes_stored FINAL
        WHERE run = {run:String} AND is_long AND starts_at >= toStartOfMinute(since) AND starts_at <= until
    );

CREATE OR REPLACE VIEW functions_over AS
WITH
    {to_s:Int64} - {from_s:Int64} > {raw_s:Int64} AS is_long,
    fromUnixTimestamp64Micro(
        ({from_s:Int64} - {before:UInt8} * ({to_s:Int64} - {from_s:Int64})) * 1000000 - {later_us:Int64}, 'UTC'
    ) AS since,
    fromUnixTimestamp64Micro(
        if({before:UInt8} = 0, {to_s:Int64} * 1000000, ({from_s:Int64} - is_long * ({from_s:Int64} % 60)) * 1000000 - 1)
        - {later_us:Int64}, 'UTC'
    ) AS until
SELECT
    run, addMicroseconds(starts_at, {later_us:Int64}) AS at,
    service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM functions_stored
WHERE run = {run:String} AND NOT is_long AND starts_at >= since AND starts_at <= until
    AND flush IN
    (
        SELECT flush FROM windows_stored FINAL
        WHERE run = {run:String} AND NOT is_long AND starts_at >= since AND starts_at <= until
    )
UNION ALL
SELECT
    run, addMicroseconds(starts_at, {later_us:Int64}) AS at,
    service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM minute_functions_stored
WHERE run = {run:String} AND is_long AND starts_at >= toStartOfMinute(since) AND starts_at <= until
    AND flush IN
    (
        SELECT flush FROM minutes_stored FINAL
        WHERE run = {run:String} AND is_long AND starts_at >= toStartOfMinute(since) AND starts_at <= until
    );

-- As stacks_within. Samples are sorted by window, and not by the time at which it begins.
CREATE OR REPLACE VIEW stacks_over AS
WITH
    {to_s:Int64} - {from_s:Int64} > {raw_s:Int64} AS is_long,
    fromUnixTimestamp64Micro(
        ({from_s:Int64} - {before:UInt8} * ({to_s:Int64} - {from_s:Int64})) * 1000000 - {later_us:Int64}, 'UTC'
    ) AS since,
    fromUnixTimestamp64Micro(
        if({before:UInt8} = 0, {to_s:Int64} * 1000000, ({from_s:Int64} - is_long * ({from_s:Int64} % 60)) * 1000000 - 1)
        - {later_us:Int64}, 'UTC'
    ) AS until,
    within AS
    (
        SELECT window FROM windows_stored
        WHERE run = {run:String} AND NOT is_long AND starts_at >= since AND starts_at <= until
    )
SELECT
    {run:String} AS run, service, stack_id, count AS samples,
    if(all_us = 0, 0, intDiv(2 * process_us * weight_us + all_us, 2 * all_us)) AS cpu_us
FROM
(
    SELECT flush, toUInt64(stack_id) AS stack_id, count() AS count, sum(weight_us) AS weight_us
    FROM samples_stored
    WHERE mode = 'cpu' AND run = {run:String} AND NOT is_long AND window IN within
    GROUP BY flush, stack_id
) AS seen
INNER JOIN
(
    SELECT
        flush,
        max(service) OVER (PARTITION BY window, producer, instance) AS service,
        sum(batch_us) OVER (PARTITION BY window, producer, instance) AS process_us,
        sum(seen_us) OVER (PARTITION BY window, producer, instance) AS all_us
    FROM
    (
        SELECT flush, window, producer, instance, batches_stored.service AS service, cpu_us AS batch_us
        FROM batches_stored FINAL
        WHERE topic = 'stacks' AND instance != '' AND run = {run:String} AND NOT is_long AND window IN within
    ) AS batch
    LEFT JOIN
    (
        SELECT flush, sum(weight_us) AS seen_us
        FROM samples_stored
        WHERE mode = 'cpu' AND run = {run:String} AND NOT is_long AND window IN within
        GROUP BY flush
    ) AS brought USING (flush)
) AS process USING (flush)
UNION ALL
SELECT run, service, stack_id, samples, cpu_us
FROM minute_stacks_stored
WHERE run = {run:String} AND is_long
    AND minute >= intDiv(toUnixTimestamp(since), 60) AND minute <= intDiv(toUnixTimestamp(until), 60)
    AND flush IN
    (
        SELECT flush FROM minutes_stored FINAL
        WHERE run = {run:String} AND is_long AND starts_at >= toStartOfMinute(since) AND starts_at <= until
    );
