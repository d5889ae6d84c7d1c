-- What of a producer's batches came late, from its disk; and how its host's clock was beside Kafka's.

CREATE OR REPLACE VIEW producers AS
SELECT
    run,
    JSONExtractString(data, 'producer_id') AS producer,
    JSONExtractString(data, 'role') AS role,
    JSONExtractUInt(data, 'batches_acknowledged') AS batches_acknowledged,
    JSONExtractUInt(data, 'rows_acknowledged') AS rows_acknowledged,
    JSONExtractUInt(data, 'batches_lost') AS batches_lost,
    JSONExtractUInt(data, 'rows_lost') AS rows_lost,
    JSONExtract(data, 'totals', 'scheduled', 'Nullable(UInt64)') AS scheduled,
    JSONExtract(data, 'totals', 'sent', 'Nullable(UInt64)') AS sent,
    JSONExtract(data, 'totals', 'completed', 'Nullable(UInt64)') AS completed,
    JSONExtract(data, 'totals', 'failed', 'Nullable(UInt64)') AS failed,
    JSONExtract(data, 'totals', 'dropped', 'Nullable(UInt64)') AS dropped,
    JSONExtract(data, 'totals', 'in_flight_at_end', 'Nullable(UInt64)') AS in_flight_at_end,
    JSONExtract(data, 'totals', 'target_counted', 'Nullable(UInt64)') AS target_counted,
    JSONExtractString(data, 'note') AS note,
    JSONExtractBool(data, 'died') AS died,
    JSONExtractUInt(data, 'batches_spooled') AS batches_spooled,
    JSONExtractUInt(data, 'rows_spooled') AS rows_spooled,
    JSONExtractInt(data, 'clock_correction_us') AS clock_correction_us,
    JSONExtract(data, 'clock_residual_us', 'Nullable(Int64)') AS clock_residual_us,
    JSONExtract(data, 'clock_error_us', 'Nullable(Int64)') AS clock_error_us
FROM events_stored FINAL
WHERE type = 'loadflame.producer.ended.v1';
