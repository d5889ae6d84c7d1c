"""Fixtures of the store.

The embedded engine serves one folder in a process at a time; opening it takes 40 ms, so every test opens its own and
closes it again. A test that uses `store_client` can therefore not open another folder in the same process.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from sinks.connect import open_client
from sinks.migrate import migrate


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """URL of an embedded store of the test's own; nothing is made or opened yet."""
    return f"chdb://{tmp_path}/store"


@pytest.fixture
def store_client(store_url: str) -> Iterator[Client]:
    """A client of an empty, migrated embedded store."""
    client = open_client(store_url)
    try:
        migrate(client)
        yield client
    finally:
        client.close()
