"""Rows that no record names: what crashed writes and superseded attempts leave behind. Nobody sees them; they cost."""

import time

from clickhouse_connect.driver.client import Client

from sinks.errors import store_errors
from sinks.flushes import first_flush_at

ORPHAN_AGE_S = 3600.0
"""Far beyond `flushes.STALE_US`, after which no writer names rows any more."""
_NAMED_BY = {
    "requests_stored": "SELECT flush FROM batches_stored FINAL WHERE topic = 'requests'",
    "samples_stored": "SELECT flush FROM batches_stored FINAL WHERE topic = 'stacks'",
    "endpoints_stored": "SELECT flush FROM windows_stored FINAL",
    "functions_stored": "SELECT flush FROM windows_stored FINAL",
    "minute_endpoints_stored": "SELECT flush FROM minutes_stored FINAL",
    "minute_functions_stored": "SELECT flush FROM minutes_stored FINAL",
    "minute_stacks_stored": "SELECT flush FROM minutes_stored FINAL",
}
_AT_A_TIME = 1000


def sweep_orphans(client: Client, older_than_s: float = ORPHAN_AGE_S, *, now_us: int | None = None) -> int:
    """Delete rows of flushes that nothing names and that are older than `older_than_s`; returns how many rows.

    `now_us` defaults to the clock. Blocks until the rows are gone. Raises StoreError; doing it again is harmless.
    """
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    before = first_flush_at(now_us - round(older_than_s * 1e6))
    swept = 0
    with store_errors("sweep orphaned rows"):
        for table, named in _NAMED_BY.items():
            # Found first and deleted by their ids: nothing that is named meanwhile can be among them.
            query = (
                f"SELECT flush, count() FROM {table} WHERE flush < {{before:UInt64}} AND flush NOT IN ({named}) "
                "GROUP BY flush"
            )
            orphans = client.query(query, {"before": before}).result_rows
            for start in range(0, len(orphans), _AT_A_TIME):
                flushes = ", ".join(str(int(flush)) for flush, _ in orphans[start : start + _AT_A_TIME])
                client.command(f"DELETE FROM {table} WHERE flush IN ({flushes})")
            swept += sum(count for _, count in orphans)
    return swept
