"""What a store takes on disk.

    python -m benchmarks.stored chdb:///FOLDER | http://USER:PASSWORD@HOST:8123/DATABASE

says it by table and by column, as it is and after all parts of a table are merged into one (it merges them). Columns of
small parts share a file, and then the engine does not tell them apart: a copy of the table is made, measured, dropped.
"""

import argparse
import contextlib
from collections import defaultdict

from clickhouse_connect.driver.client import Client
from rich.console import Console
from rich.table import Table

from sinks.connect import open_client

ROWS = ("requests_stored", "samples_stored", "stacks_stored")
"""What grows with outcomes and samples."""
BY_SECOND = ("batches_stored", "windows_stored", "endpoints_stored", "functions_stored")
"""What grows with windows, whatever the rate."""
_SIZES = (
    "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = {database:String} GROUP BY table"
)
_COLUMNS = (
    "SELECT column, sum(column_data_compressed_bytes + column_marks_bytes) AS bytes FROM system.parts_columns "
    "WHERE active AND database = {database:String} AND table = 'apart' GROUP BY column ORDER BY bytes DESC"
)


def bytes_by_table(url: str) -> defaultdict[str, int]:
    """Bytes on disk of each table of a store, 0 of one that is empty. Blocks."""
    with contextlib.closing(open_client(url)) as client:
        return _sizes(client)


def merged_bytes_by_table(url: str) -> defaultdict[str, int]:
    """`bytes_by_table` once each of the tables that grow is one part, as it will be. Blocks."""
    with contextlib.closing(open_client(url)) as client:
        for table in ROWS + BY_SECOND:
            client.command(f"OPTIMIZE TABLE {table} FINAL")
        return _sizes(client)


def columns_of(client: Client, table: str) -> dict[str, int]:
    """Bytes of each column of a table, the largest first. Blocks."""
    client.command("DROP TABLE IF EXISTS apart SYNC")
    settings = "min_bytes_for_wide_part = 0, allow_suspicious_low_cardinality_types = 1"
    client.command(f"CREATE TABLE apart AS {table} SETTINGS {settings}")
    client.command(f"INSERT INTO apart SELECT * FROM {table}")
    client.command("OPTIMIZE TABLE apart FINAL")
    rows = client.query(_COLUMNS, {"database": client.database}).result_rows
    client.command("DROP TABLE apart SYNC")
    return {str(column): int(size) for column, size in rows}


def _sizes(client: Client) -> defaultdict[str, int]:
    rows = client.query(_SIZES, {"database": client.database}).result_rows
    return defaultdict(int, {str(table): int(size) for table, size in rows})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="its URL")
    url = parser.parse_args().store
    before, after = bytes_by_table(url), merged_bytes_by_table(url)
    console = Console()
    with contextlib.closing(open_client(url)) as client:
        rows = {
            table: int(client.query(f"SELECT count() FROM {table}").result_rows[0][0]) for table in ROWS + BY_SECOND
        }
        found = Table("table", "rows", "bytes a row", "once merged")
        for table, count in rows.items():
            each = [f"{size[table] / max(count, 1):.2f}" for size in (before, after)]
            found.add_row(table, f"{count}", *each)
        console.print(found)
        windows = max(rows["windows_stored"], 1)
        console.print(
            f"a window (windows, batches, endpoints, functions): {sum(after[t] for t in BY_SECOND) / windows:.0f} bytes"
        )
        for table in ROWS[:2]:
            each = [f"{column} {size / max(rows[table], 1):.3f}" for column, size in columns_of(client, table).items()]
            console.print(f"{table}, bytes a row by column: {', '.join(each)}")


if __name__ == "__main__":
    main()
