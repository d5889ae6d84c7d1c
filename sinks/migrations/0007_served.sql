-- Samples of services that tell which request each thread served: the endpoint of the request that a sample's thread
-- served at its time, '' where nobody knows. Of runs in which nobody told, which are most, it takes no room.
ALTER TABLE samples_stored ADD COLUMN IF NOT EXISTS endpoint LowCardinality(String) CODEC(ZSTD(1));

-- Whether anybody told in a run: `served(run = ...)` counts the samples of which an endpoint is known.
CREATE OR REPLACE VIEW served AS
SELECT count() AS samples
FROM samples_stored
WHERE run = {run:String} AND endpoint != '';

-- CPU by stack and endpoint, as stacks_within gives it by stack: of a process's CPU in a window each gets as much as its
-- samples weigh, and what no request is known of goes to '', never to an endpoint.
CREATE OR REPLACE VIEW paid_within AS
SELECT
    {run:String} AS run, window, service, stack_id, endpoint, count AS samples,
    if(all_us = 0, 0, intDiv(2 * process_us * weight_us + all_us, 2 * all_us)) AS cpu_us
FROM
(
    SELECT
        flush, toUInt64(stack_id) AS stack_id, toString(endpoint) AS endpoint, count() AS count,
        sum(weight_us) AS weight_us
    FROM samples_stored
    WHERE mode = 'cpu' AND run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
    GROUP BY flush, stack_id, endpoint
) AS seen
INNER JOIN
(
    SELECT flush, window, service, process_us, all_us
    FROM processes
    WHERE run = {run:String} AND window BETWEEN {first:UInt64} AND {last:UInt64}
) AS process USING (flush);
