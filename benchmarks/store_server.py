"""A store behind HTTP in a process of its own: the embedded engine, standing in for a ClickHouse server.

    python -m benchmarks.store_server FOLDER

Prints its URL, and serves until its standard input is closed.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.clickhouse_http import fake_clickhouse


@contextlib.contextmanager
def store_server(folder: Path) -> Iterator[tuple[str, int]]:
    """Run one; gives its URL and process id."""
    command = [sys.executable, "-m", "benchmarks.store_server", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip(), server.pid  # its input is closed on the way out, which ends it


def main() -> None:
    """Serve."""
    with fake_clickhouse(sys.argv[1]) as server:
        print(server.url(), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
