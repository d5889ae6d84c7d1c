-- CPU of loadflame's own processes on the service's host, as the agent there found it, and of all that ran there. Of
-- older records the load and the agent are what is known of ours, wherever the load ran, and of all nothing.

ALTER TABLE batches_stored
    ADD COLUMN IF NOT EXISTS own_cpu_us UInt64 CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS host_cpu_us UInt64 CODEC(ZSTD(1));

ALTER TABLE windows_stored
    ADD COLUMN IF NOT EXISTS own_cpu_us UInt64 DEFAULT generator_cpu_us + agent_cpu_us CODEC(ZSTD(1)) AFTER agent_cpu_us,
    ADD COLUMN IF NOT EXISTS host_cpu_us UInt64 CODEC(ZSTD(1)) AFTER own_cpu_us;

CREATE OR REPLACE VIEW batches AS
SELECT
    topic, run, window, producer, seq, flush, rows, final, goodbye, partitions, partition, offset, stored_at,
    engine, scheduled, sent, dropped, in_flight, generator_cpu_us,
    service, instance, pid, backend, timing, cpu_us, busiest_thread_us, run_queue_us, rss_bytes, threads, covered_us,
    period_us, agent_cpu_us, own_cpu_us, host_cpu_us
FROM batches_stored FINAL;

CREATE OR REPLACE VIEW windows AS
SELECT
    run, window, starts_at, joined_at, window_us, batches_covered, closed_by, scheduled, sent, dropped, in_flight,
    completed, failed, generator_cpu_us, busiest_generator_us, dispatch_lag_p99_us, instances, covered_us, samples,
    cpu_us, unattributed_us, busiest_thread_us, run_queue_us, agent_cpu_us, own_cpu_us, host_cpu_us,
    latency_buckets, latency_counts
FROM windows_stored FINAL;
