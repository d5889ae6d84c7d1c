-- Rows of a stretch of one run, as endpoints_within gives them: samples with the id of their stack, of which
-- stack_texts has the text.
CREATE OR REPLACE VIEW samples_within AS
SELECT
    run, window, service, instance, sampled_at, CAST(weight_us, 'UInt32') AS weight_us,
    CAST(thread_id, 'UInt64') AS thread_id, CAST(stack_id, 'UInt64') AS stack_id, mode
FROM samples_stored
WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64} AND flush IN
(
    SELECT flush FROM batches_stored FINAL
    WHERE topic = 'stacks' AND run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
);

-- For sums over a stretch of one run: of whole minutes in it the minutes, and windows beside them only. As
-- endpoints_within and stacks_within, with `first` and `last`, but `from_minute` to `to_minute` answer for the windows
-- `inner_first` to `inner_last`, which are those that begin in them. Whoever asks has seen to it that these minutes have
-- all of their windows (see views/web/summed.py).
CREATE OR REPLACE VIEW endpoints_summed_within AS
SELECT
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received, latency_buckets, latency_counts
FROM minute_endpoints_stored
WHERE run = {run:String} AND minute BETWEEN {from_minute:UInt64} AND {to_minute:UInt64} AND flush IN
(
    SELECT flush FROM minutes_stored FINAL
    WHERE run = {run:String} AND minute BETWEEN {from_minute:UInt64} AND {to_minute:UInt64}
)
UNION ALL
SELECT
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received, latency_buckets, latency_counts
FROM endpoints_stored
WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
    AND window NOT BETWEEN {inner_first:UInt64} AND {inner_last:UInt64} AND flush IN
    (
        SELECT flush FROM windows_stored FINAL
        WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
            AND window NOT BETWEEN {inner_first:UInt64} AND {inner_last:UInt64}
    );

CREATE OR REPLACE VIEW stacks_summed_within AS
SELECT service, toUInt64(stack_id) AS stack_id, samples, cpu_us
FROM minute_stacks_stored
WHERE run = {run:String} AND minute BETWEEN {from_minute:UInt64} AND {to_minute:UInt64} AND flush IN
(
    SELECT flush FROM minutes_stored FINAL
    WHERE run = {run:String} AND minute BETWEEN {from_minute:UInt64} AND {to_minute:UInt64}
)
UNION ALL
SELECT
    service, stack_id, count AS samples,
    if(all_us = 0, 0, intDiv(2 * process_us * weight_us + all_us, 2 * all_us)) AS cpu_us
FROM
(
    SELECT flush, toUInt64(stack_id) AS stack_id, count() AS count, sum(weight_us) AS weight_us
    FROM samples_stored
    WHERE mode = 'cpu' AND run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
        AND window NOT BETWEEN {inner_first:UInt64} AND {inner_last:UInt64}
    GROUP BY flush, stack_id
) AS seen
INNER JOIN
(
    SELECT flush, service, process_us, all_us
    FROM processes
    WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
        AND window NOT BETWEEN {inner_first:UInt64} AND {inner_last:UInt64}
) AS process USING (flush);

-- From which window to which there is anything of a run: the order of the table says it, without its rows.
CREATE OR REPLACE VIEW spans AS
SELECT run, min(window) AS first, max(window) AS last
FROM windows_stored
GROUP BY run;

-- What a run did in a range of time, for readers that know times and no windows, as Grafana does: by windows over short
-- ranges (`..._by_window`), by minutes over long ones (`..._by_minute`); the sums are the same. A view has one of them,
-- and as few words as can be, for all that stands in it is planned at each look, which may take longer than reading:
-- with both behind a condition a flame graph took twice as long. For example
-- `functions_over_by_window(run = 'r', from_s = 1790000000, to_s = 1790000900)`:
--
--   from_s, to_s    the range, both ends included, in seconds since the Unix epoch. Windows that begin in it are in it,
--                   and minutes of which it has a part.
--
-- Both are plain values, which Grafana can put in; few servers take an expression for a parameter. Windows are read by
-- FINAL: their table is kept in small steps (`index_granularity`), so that little else is merged with their sketches. To
-- name the flushes that count in a subquery, as rows of endpoints and functions need it, takes twice as long: that is
-- one look at a table more to be planned.
CREATE OR REPLACE VIEW load_over_by_window AS
SELECT
    run, starts_at AS at,
    window_us, if(instances > 0, window_us, 0) AS watched_us,
    if(instances > 0, completed + failed, 0) AS watched_requests,
    scheduled, sent, dropped, completed, failed, cpu_us, unattributed_us, latency_buckets, latency_counts
FROM windows_stored FINAL
WHERE run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
    AND starts_at <= toDateTime({to_s:Int64}, 'UTC');

CREATE OR REPLACE VIEW load_over_by_minute AS
SELECT
    run, starts_at AS at,
    window_us, watched_us, watched_requests, scheduled, sent, dropped, completed, failed, cpu_us,
    unattributed_us, latency_buckets, latency_counts
FROM minutes_stored FINAL
WHERE run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60);

CREATE OR REPLACE VIEW endpoints_over_by_window AS
SELECT
    run, starts_at AS at,
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM endpoints_stored
WHERE run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
    AND starts_at <= toDateTime({to_s:Int64}, 'UTC')
    AND flush IN
    (
        SELECT flush FROM windows_stored FINAL
        WHERE run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
            AND starts_at <= toDateTime({to_s:Int64}, 'UTC')
    );

CREATE OR REPLACE VIEW endpoints_over_by_minute AS
SELECT
    run, starts_at AS at,
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM minute_endpoints_stored
WHERE run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    AND flush IN
    (
        SELECT flush FROM minutes_stored FINAL
        WHERE run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    );

CREATE OR REPLACE VIEW functions_over_by_window AS
SELECT
    run, starts_at AS at,
    service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM functions_stored
WHERE run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
    AND starts_at <= toDateTime({to_s:Int64}, 'UTC')
    AND flush IN
    (
        SELECT flush FROM windows_stored FINAL
        WHERE run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
            AND starts_at <= toDateTime({to_s:Int64}, 'UTC')
    );

CREATE OR REPLACE VIEW functions_over_by_minute AS
SELECT
    run, starts_at AS at,
    service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM minute_functions_stored
WHERE run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    AND flush IN
    (
        SELECT flush FROM minutes_stored FINAL
        WHERE run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    );

-- As stacks_within. Samples are sorted by window, and not by the time at which it begins.
CREATE OR REPLACE VIEW stacks_over_by_window AS
WITH
    (
        SELECT (min(window), max(window))
        FROM windows_stored
        WHERE run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
            AND starts_at <= toDateTime({to_s:Int64}, 'UTC')
    ) AS here
SELECT
    run, service, stack_id, count AS samples,
    if(all_us = 0, 0, intDiv(2 * process_us * weight_us + all_us, 2 * all_us)) AS cpu_us
FROM
(
    SELECT flush, toUInt64(stack_id) AS stack_id, count() AS count, sum(weight_us) AS weight_us
    FROM samples_stored
    WHERE mode = 'cpu'
        AND run = {run:String} AND window BETWEEN here.1 AND here.2
    GROUP BY flush, stack_id
) AS seen
INNER JOIN
(
    SELECT flush, run, window, service, process_us, all_us
    FROM processes
    WHERE run = {run:String} AND window BETWEEN here.1 AND here.2
) AS process USING (flush);

CREATE OR REPLACE VIEW stacks_over_by_minute AS
SELECT run, service, stack_id, samples, cpu_us
FROM minute_stacks_stored
WHERE run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    AND flush IN
    (
        SELECT flush FROM minutes_stored FINAL
        WHERE run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    );

-- The same, and with it the range before it, as long, up to where it begins, whose rows have is_beside = 1. No minute
-- is in both. Rows of stacks have the `requests` of their side that ended while there was a profile, as `load_...` adds
-- them up: so a graph of CPU per request asks one view, and half of what it takes is planning.
CREATE OR REPLACE VIEW load_before_by_window AS
SELECT
    run, starts_at < toDateTime({from_s:Int64}, 'UTC') AS is_beside, starts_at AS at,
    window_us, if(instances > 0, window_us, 0) AS watched_us,
    if(instances > 0, completed + failed, 0) AS watched_requests,
    scheduled, sent, dropped, completed, failed, cpu_us, unattributed_us, latency_buckets, latency_counts
FROM windows_stored FINAL
WHERE run = {run:String} AND starts_at >= toDateTime(2 * {from_s:Int64} - {to_s:Int64}, 'UTC')
    AND starts_at <= toDateTime({to_s:Int64}, 'UTC');

CREATE OR REPLACE VIEW load_before_by_minute AS
SELECT
    run, minute < intDiv({from_s:Int64}, 60) AS is_beside, starts_at AS at,
    window_us, watched_us, watched_requests, scheduled, sent, dropped, completed, failed, cpu_us,
    unattributed_us, latency_buckets, latency_counts
FROM minutes_stored FINAL
WHERE run = {run:String}
    AND minute BETWEEN intDiv(2 * {from_s:Int64} - {to_s:Int64}, 60) AND intDiv({to_s:Int64}, 60);

CREATE OR REPLACE VIEW functions_before_by_window AS
SELECT
    run, starts_at < toDateTime({from_s:Int64}, 'UTC') AS is_beside, starts_at AS at,
    service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM functions_stored
WHERE run = {run:String} AND starts_at >= toDateTime(2 * {from_s:Int64} - {to_s:Int64}, 'UTC')
    AND starts_at <= toDateTime({to_s:Int64}, 'UTC')
    AND flush IN
    (
        SELECT flush FROM windows_stored FINAL
        WHERE run = {run:String} AND starts_at >= toDateTime(2 * {from_s:Int64} - {to_s:Int64}, 'UTC')
            AND starts_at <= toDateTime({to_s:Int64}, 'UTC')
    );

CREATE OR REPLACE VIEW functions_before_by_minute AS
SELECT
    run, minute < intDiv({from_s:Int64}, 60) AS is_beside, starts_at AS at,
    service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM minute_functions_stored
WHERE run = {run:String}
    AND minute BETWEEN intDiv(2 * {from_s:Int64} - {to_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    AND flush IN
    (
        SELECT flush FROM minutes_stored FINAL
        WHERE run = {run:String}
            AND minute BETWEEN intDiv(2 * {from_s:Int64} - {to_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    );

CREATE OR REPLACE VIEW stacks_before_by_window AS
WITH
    (
        SELECT
            (
                min(window), max(window), maxIf(window, starts_at < toDateTime({from_s:Int64}, 'UTC')),
                sumIf(completed + failed, instances > 0 AND starts_at >= toDateTime({from_s:Int64}, 'UTC')),
                sumIf(completed + failed, instances > 0 AND starts_at < toDateTime({from_s:Int64}, 'UTC'))
            )
        FROM windows_stored FINAL
        WHERE run = {run:String} AND starts_at >= toDateTime(2 * {from_s:Int64} - {to_s:Int64}, 'UTC')
            AND starts_at <= toDateTime({to_s:Int64}, 'UTC')
    ) AS here
SELECT
    run, window <= here.3 AS is_beside, service, stack_id, count AS samples,
    if(all_us = 0, 0, intDiv(2 * process_us * weight_us + all_us, 2 * all_us)) AS cpu_us,
    if(is_beside, here.5, here.4) AS requests
FROM
(
    SELECT flush, toUInt64(stack_id) AS stack_id, count() AS count, sum(weight_us) AS weight_us
    FROM samples_stored
    WHERE mode = 'cpu'
        AND run = {run:String} AND window BETWEEN here.1 AND here.2
    GROUP BY flush, stack_id
) AS seen
INNER JOIN
(
    SELECT flush, run, window, service, process_us, all_us
    FROM processes
    WHERE run = {run:String} AND window BETWEEN here.1 AND here.2
) AS process USING (flush);

CREATE OR REPLACE VIEW stacks_before_by_minute AS
WITH
    (
        SELECT
            (
                groupArray(flush), sumIf(watched_requests, minute >= intDiv({from_s:Int64}, 60)),
                sumIf(watched_requests, minute < intDiv({from_s:Int64}, 60))
            )
        FROM minutes_stored FINAL
        WHERE run = {run:String}
            AND minute BETWEEN intDiv(2 * {from_s:Int64} - {to_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    ) AS counted
SELECT
    run, minute < intDiv({from_s:Int64}, 60) AS is_beside, service, stack_id, samples, cpu_us,
    if(is_beside, counted.3, counted.2) AS requests
FROM minute_stacks_stored
WHERE run = {run:String}
    AND minute BETWEEN intDiv(2 * {from_s:Int64} - {to_s:Int64}, 60) AND intDiv({to_s:Int64}, 60)
    AND flush IN counted.1;

-- The same, and with it what another run did, whose rows have is_beside = 1. Also
--
--   other           the other run; '' is none, and so is the run itself
--   later_us        the range and `at` are on a clock that is so much ahead of the other run's: 10 s after one run
--                   began is on it 10 s after the other began
CREATE OR REPLACE VIEW load_beside_by_window AS
SELECT
    run, run != {run:String} AS is_beside,
    addMicroseconds(starts_at, is_beside * {later_us:Int64}) AS at,
    window_us, if(instances > 0, window_us, 0) AS watched_us,
    if(instances > 0, completed + failed, 0) AS watched_requests,
    scheduled, sent, dropped, completed, failed, cpu_us, unattributed_us, latency_buckets, latency_counts
FROM windows_stored FINAL
WHERE
    (run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
        AND starts_at <= toDateTime({to_s:Int64}, 'UTC'))
    OR (run = {other:String} AND {other:String} != {run:String}
        AND starts_at >= fromUnixTimestamp64Micro({from_s:Int64} * 1000000 - {later_us:Int64}, 'UTC')
        AND starts_at <= fromUnixTimestamp64Micro({to_s:Int64} * 1000000 - {later_us:Int64}, 'UTC'));

CREATE OR REPLACE VIEW load_beside_by_minute AS
SELECT
    run, run != {run:String} AS is_beside,
    addMicroseconds(starts_at, is_beside * {later_us:Int64}) AS at,
    window_us, watched_us, watched_requests, scheduled, sent, dropped, completed, failed, cpu_us,
    unattributed_us, latency_buckets, latency_counts
FROM minutes_stored FINAL
WHERE
    (
        (run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60))
        OR (run = {other:String} AND {other:String} != {run:String}
            AND minute BETWEEN intDiv({from_s:Int64} * 1000000 - {later_us:Int64}, 60000000)
                AND intDiv({to_s:Int64} * 1000000 - {later_us:Int64}, 60000000))
    );

CREATE OR REPLACE VIEW endpoints_beside_by_window AS
SELECT
    run, run != {run:String} AS is_beside,
    addMicroseconds(starts_at, is_beside * {later_us:Int64}) AS at,
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM endpoints_stored
WHERE
    (
        (run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
            AND starts_at <= toDateTime({to_s:Int64}, 'UTC'))
        OR (run = {other:String} AND {other:String} != {run:String}
            AND starts_at >= fromUnixTimestamp64Micro({from_s:Int64} * 1000000 - {later_us:Int64}, 'UTC')
            AND starts_at <= fromUnixTimestamp64Micro({to_s:Int64} * 1000000 - {later_us:Int64}, 'UTC'))
    )
    AND flush IN
    (
        SELECT flush FROM windows_stored FINAL
        WHERE
            (
                (run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
                    AND starts_at <= toDateTime({to_s:Int64}, 'UTC'))
                OR (run = {other:String} AND {other:String} != {run:String}
                    AND starts_at >= fromUnixTimestamp64Micro({from_s:Int64} * 1000000 - {later_us:Int64}, 'UTC')
                    AND starts_at <= fromUnixTimestamp64Micro({to_s:Int64} * 1000000 - {later_us:Int64}, 'UTC'))
            )
    );

CREATE OR REPLACE VIEW endpoints_beside_by_minute AS
SELECT
    run, run != {run:String} AS is_beside,
    addMicroseconds(starts_at, is_beside * {later_us:Int64}) AS at,
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received,
    latency_buckets, latency_counts
FROM minute_endpoints_stored
WHERE
    (
        (run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60))
        OR (run = {other:String} AND {other:String} != {run:String}
            AND minute BETWEEN intDiv({from_s:Int64} * 1000000 - {later_us:Int64}, 60000000)
                AND intDiv({to_s:Int64} * 1000000 - {later_us:Int64}, 60000000))
    )
    AND flush IN
    (
        SELECT flush FROM minutes_stored FINAL
        WHERE
            (
                (run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60))
                OR (run = {other:String} AND {other:String} != {run:String}
                    AND minute BETWEEN intDiv({from_s:Int64} * 1000000 - {later_us:Int64}, 60000000)
                        AND intDiv({to_s:Int64} * 1000000 - {later_us:Int64}, 60000000))
            )
    );

CREATE OR REPLACE VIEW functions_beside_by_window AS
SELECT
    run, run != {run:String} AS is_beside,
    addMicroseconds(starts_at, is_beside * {later_us:Int64}) AS at,
    service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM functions_stored
WHERE
    (
        (run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
            AND starts_at <= toDateTime({to_s:Int64}, 'UTC'))
        OR (run = {other:String} AND {other:String} != {run:String}
            AND starts_at >= fromUnixTimestamp64Micro({from_s:Int64} * 1000000 - {later_us:Int64}, 'UTC')
            AND starts_at <= fromUnixTimestamp64Micro({to_s:Int64} * 1000000 - {later_us:Int64}, 'UTC'))
    )
    AND flush IN
    (
        SELECT flush FROM windows_stored FINAL
        WHERE
            (
                (run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
                    AND starts_at <= toDateTime({to_s:Int64}, 'UTC'))
                OR (run = {other:String} AND {other:String} != {run:String}
                    AND starts_at >= fromUnixTimestamp64Micro({from_s:Int64} * 1000000 - {later_us:Int64}, 'UTC')
                    AND starts_at <= fromUnixTimestamp64Micro({to_s:Int64} * 1000000 - {later_us:Int64}, 'UTC'))
            )
    );

CREATE OR REPLACE VIEW functions_beside_by_minute AS
SELECT
    run, run != {run:String} AS is_beside,
    addMicroseconds(starts_at, is_beside * {later_us:Int64}) AS at,
    service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM minute_functions_stored
WHERE
    (
        (run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60))
        OR (run = {other:String} AND {other:String} != {run:String}
            AND minute BETWEEN intDiv({from_s:Int64} * 1000000 - {later_us:Int64}, 60000000)
                AND intDiv({to_s:Int64} * 1000000 - {later_us:Int64}, 60000000))
    )
    AND flush IN
    (
        SELECT flush FROM minutes_stored FINAL
        WHERE
            (
                (run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60))
                OR (run = {other:String} AND {other:String} != {run:String}
                    AND minute BETWEEN intDiv({from_s:Int64} * 1000000 - {later_us:Int64}, 60000000)
                        AND intDiv({to_s:Int64} * 1000000 - {later_us:Int64}, 60000000))
            )
    );

CREATE OR REPLACE VIEW stacks_beside_by_window AS
WITH
    (
        SELECT (min(window), max(window), sumIf(completed + failed, instances > 0)) FROM windows_stored FINAL
        WHERE run = {run:String} AND starts_at >= toDateTime({from_s:Int64}, 'UTC')
            AND starts_at <= toDateTime({to_s:Int64}, 'UTC')
    ) AS here,
    (
        SELECT (min(window), max(window), sumIf(completed + failed, instances > 0)) FROM windows_stored FINAL
        WHERE run = {other:String} AND {other:String} != {run:String}
            AND starts_at >= fromUnixTimestamp64Micro({from_s:Int64} * 1000000 - {later_us:Int64}, 'UTC')
            AND starts_at <= fromUnixTimestamp64Micro({to_s:Int64} * 1000000 - {later_us:Int64}, 'UTC')
    ) AS there
SELECT
    run, run != {run:String} AS is_beside, service, stack_id, count AS samples,
    if(all_us = 0, 0, intDiv(2 * process_us * weight_us + all_us, 2 * all_us)) AS cpu_us,
    if(is_beside, there.3, here.3) AS requests
FROM
(
    SELECT flush, toUInt64(stack_id) AS stack_id, count() AS count, sum(weight_us) AS weight_us
    FROM samples_stored
    WHERE mode = 'cpu'
        AND ((run = {run:String} AND window BETWEEN here.1 AND here.2)
            OR (run = {other:String} AND window BETWEEN there.1 AND there.2))
    GROUP BY flush, stack_id
) AS seen
INNER JOIN
(
    SELECT flush, run, window, service, process_us, all_us
    FROM processes
    WHERE ((run = {run:String} AND window BETWEEN here.1 AND here.2)
            OR (run = {other:String} AND window BETWEEN there.1 AND there.2))
) AS process USING (flush);

CREATE OR REPLACE VIEW stacks_beside_by_minute AS
WITH
    (
        SELECT
            (
                groupArray(flush), sumIf(watched_requests, run = {run:String}),
                sumIf(watched_requests, run != {run:String})
            )
        FROM minutes_stored FINAL
        WHERE (run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60))
            OR (run = {other:String} AND {other:String} != {run:String}
                AND minute BETWEEN intDiv({from_s:Int64} * 1000000 - {later_us:Int64}, 60000000)
                    AND intDiv({to_s:Int64} * 1000000 - {later_us:Int64}, 60000000))
    ) AS counted
SELECT
    run, run != {run:String} AS is_beside, service, stack_id, samples, cpu_us,
    if(is_beside, counted.3, counted.2) AS requests
FROM minute_stacks_stored
WHERE
    (
        (run = {run:String} AND minute BETWEEN intDiv({from_s:Int64}, 60) AND intDiv({to_s:Int64}, 60))
        OR (run = {other:String} AND {other:String} != {run:String}
            AND minute BETWEEN intDiv({from_s:Int64} * 1000000 - {later_us:Int64}, 60000000)
                AND intDiv({to_s:Int64} * 1000000 - {later_us:Int64}, 60000000))
    )
    AND flush IN counted.1;

-- Windows of every run, for who asks by time: a condition on `starts_at` is all that is read, as below. FINAL would read
-- whatever lies beside those windows in other parts, sketches and all.
CREATE OR REPLACE VIEW windows_lately AS
SELECT run, window, starts_at, window_us, scheduled, dropped, failed, latency_buckets, latency_counts
FROM windows_stored
INNER JOIN
(
    SELECT run, window, starts_at, argMax(one.flush, one.batches_covered) AS flush
    FROM windows_stored AS one
    GROUP BY run, window, starts_at
) AS counted USING (run, window, starts_at, flush);

-- Functions by minute, of every run, for who asks by time: joined with the minutes that have them, so that a condition
-- on `starts_at` is one on both, and neither is read for longer than that. Of one run minute_functions is cheaper.
CREATE OR REPLACE VIEW functions_lately AS
SELECT run, minute, starts_at, service, function, file, self_samples, total_samples, self_cpu_us, total_cpu_us
FROM minute_functions_stored
INNER JOIN
(
    SELECT run, minute, starts_at, flush
    FROM minutes_stored FINAL
) AS made USING (run, minute, starts_at, flush);

-- Endpoints of a whole run, in as few rows as say the same: by minute where a minute has all of its windows, and by
-- window where it has not. Of a day that is a sixtieth of the sketches.
CREATE OR REPLACE VIEW endpoints_summed AS
WITH whole AS
(
    SELECT minute
    FROM
    (
        SELECT
            toUInt64(intDiv(toUnixTimestamp64Micro(starts_at), 60000000)) AS minute, sum(batches_covered) AS visible
        FROM windows_stored FINAL
        WHERE run = {run:String}
        GROUP BY minute
    ) AS joined
    INNER JOIN
    (
        SELECT minute, batches_covered
        FROM minutes_stored FINAL
        WHERE run = {run:String}
    ) AS made USING (minute)
    WHERE visible = batches_covered
)
SELECT
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received, latency_buckets, latency_counts
FROM minute_endpoints_stored
WHERE run = {run:String} AND minute IN whole
    AND flush IN (SELECT flush FROM minutes_stored FINAL WHERE run = {run:String})
UNION ALL
SELECT
    stage, endpoint, completed, failed, unanswered, bytes_sent, bytes_received, latency_buckets, latency_counts
FROM endpoints_stored
WHERE run = {run:String} AND toUInt64(intDiv(toUnixTimestamp64Micro(starts_at), 60000000)) NOT IN whole
    AND flush IN (SELECT flush FROM windows_stored FINAL WHERE run = {run:String});
