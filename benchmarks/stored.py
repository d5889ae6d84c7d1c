"""What a store takes on disk."""

import contextlib
from collections import defaultdict

from sinks.connect import open_client

_SIZES = (
    "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = {database:String} GROUP BY table"
)


def bytes_by_table(url: str) -> defaultdict[str, int]:
    """Bytes on disk of each table of a store, 0 of one that is empty. Blocks."""
    with contextlib.closing(open_client(url)) as client:
        rows = client.query(_SIZES, {"database": client.database}).result_rows
    return defaultdict(int, {str(table): int(size) for table, size in rows})
