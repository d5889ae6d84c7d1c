"""Record the runs that the browser tests look at: `python -m tests.browser.record` (two minutes, on a quiet machine).

Two real runs of the sample shop, through broker, stream processor and embedded store, as `loadflame run` makes them.
What the store then holds is written to `tests/fixtures/recorded/store.zip`, a Parquet file a table.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import typer

from loadflame.demo import sample_shop
from sinks.connect import open_client
from tests.support.commands import loadflame
from tests.support.recorded import RECORDED, TABLES
from tests.support.running import plan_file

SHOWN = {"ramp": [40, 320], "name": "ramp", "for": "8s"}
LEVELS = {"name": "map", "levels": [40, 80, 160, 320], "visits": 3, "each": "3s", "settle": "500ms", "seed": 7}
REQUESTS = [
    {"name": "search", "weight": 300, "path": "/search?q=green+mint+tea"},
    {"name": "product", "weight": 200, "path": "/products/17"},
    {"name": "checkout", "weight": 100, "method": "POST", "path": "/checkout", "json": {"item": 7}},
    {"name": "retired page", "weight": 2, "path": "/offers"},
]


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="loadflame-record-"))
    data_dir = folder / "data"
    for stages in ([SHOWN, LEVELS], [{"name": "hold", "hold": 160, "for": "10s"}]):
        with sample_shop() as (url, pid):
            plan = plan_file(
                folder, url, pid, stages=stages, requests=REQUESTS, thresholds=["p99 < 500ms"], target_count_path=None
            )
            done = loadflame("run", str(plan), "--json", data_dir=data_dir)
        if done.returncode not in (0, 1, 3):
            sys.exit(done.stderr)
        report = json.loads(done.stdout)
        typer.echo(f"{report['run']['id']} {report['run']['verdict']} {report['findings'][0]['summary']}")
    client = open_client(f"chdb://{data_dir / 'store'}")
    RECORDED.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(RECORDED, "w", zipfile.ZIP_DEFLATED) as archive:
        for table in TABLES:
            rows = client.raw_query(
                f"SELECT * FROM {table} FORMAT Parquet SETTINGS output_format_parquet_compression_method = 'zstd'"
            )
            archive.writestr(f"{table}.parquet", rows)
            typer.echo(f"{table}: {len(rows):,} bytes")
    typer.echo(f"{RECORDED}: {RECORDED.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
