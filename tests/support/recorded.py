"""A store with real runs in it: two of the sample shop, recorded once by `python -m tests.browser.record`."""

import zipfile
from pathlib import Path

from clickhouse_connect.driver.client import Client

RECORDED = Path(__file__).parents[1] / "fixtures" / "recorded" / "store.zip"
TABLES = (
    "batches_stored",
    "requests_stored",
    "samples_stored",
    "stacks_stored",
    "windows_stored",
    "endpoints_stored",
    "functions_stored",
    "events_stored",
    "dead_letters_stored",
)


def load_recorded(client: Client) -> list[str]:
    """Fill an empty, migrated store, which then keeps what is old, too; the ids of its runs, oldest first."""
    with zipfile.ZipFile(RECORDED) as archive:
        for table in TABLES:
            if " TTL " in str(client.command(f"SHOW CREATE TABLE {table}")):
                client.command(f"ALTER TABLE {table} REMOVE TTL")
            client.raw_insert(table, insert_block=archive.read(f"{table}.parquet"), fmt="Parquet")
    return [str(row[0]) for row in client.query("SELECT run FROM runs ORDER BY started_at").result_rows]
