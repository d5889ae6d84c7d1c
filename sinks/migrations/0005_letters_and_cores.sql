-- Of which run a dead letter is, and how many rows it brought, as far as its headers say: so that no run is excused by
-- another's. The cores of the service's host, which bound what it can do.

ALTER TABLE dead_letters_stored ADD COLUMN IF NOT EXISTS run String;
ALTER TABLE dead_letters_stored ADD COLUMN IF NOT EXISTS rows UInt64;

CREATE OR REPLACE VIEW dead_letters AS
SELECT topic, partition, offset, error, received_at, bytes, run, rows
FROM dead_letters_stored FINAL;

CREATE OR REPLACE VIEW hosts AS
SELECT
    run,
    maxIf(JSONExtractUInt(data, 'host_cores'), type = 'loadflame.run.started.v1') AS host_cores
FROM events_stored FINAL
WHERE type = 'loadflame.run.started.v1'
GROUP BY run;
