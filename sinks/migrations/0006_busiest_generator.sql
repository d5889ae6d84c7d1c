-- CPU of the load process that was busiest: each has a core of its own, so their sum says nothing of how late one is.
-- Of older records only the sum is known, and most had one load process.

ALTER TABLE windows_stored
    ADD COLUMN IF NOT EXISTS busiest_generator_us UInt64 DEFAULT generator_cpu_us CODEC(ZSTD(1)) AFTER generator_cpu_us;

CREATE OR REPLACE VIEW windows AS
SELECT
    run, window, starts_at, joined_at, window_us, batches_covered, closed_by, scheduled, sent, dropped, in_flight,
    completed, failed, generator_cpu_us, busiest_generator_us, dispatch_lag_p99_us, instances, covered_us, samples,
    cpu_us, unattributed_us, busiest_thread_us, run_queue_us, agent_cpu_us, latency_buckets, latency_counts
FROM windows_stored FINAL;
