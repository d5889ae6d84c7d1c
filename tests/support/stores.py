"""Fixtures of the store.

The embedded engine serves one folder in a process at a time; opening it takes 40 ms, so every test opens its own and
closes it again. A test that uses `store_client` can therefore not open another folder in the same process. To set a
store up costs more than to open it: it is done once, and copied.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError

from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.errors import StoreUnreachableError
from sinks.memory import MemoryStore
from sinks.migrate import migrate
from sinks.store import DeadLetter, Store
from tests.support.clickhouse_http import FakeServer, fake_clickhouse
from tests.support.commands import loadflame


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """URL of an embedded store of the test's own; nothing is made or opened yet."""
    return f"chdb://{tmp_path}/store"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty, migrated embedded store, to be copied; made by a process that has ended."""
    data_dir = tmp_path_factory.mktemp("empty")
    done = loadflame("runs", data_dir=data_dir, LOADFLAME_STORE=f"chdb://{data_dir}/store")
    assert done.returncode == 0, done.stderr
    return data_dir / "store"


@pytest.fixture
def store_client(store_url: str, empty_store: Path) -> Iterator[Client]:
    """A client of an empty, migrated embedded store."""
    shutil.copytree(empty_store, store_url.removeprefix("chdb://"), symlinks=True)
    client = open_client(store_url)
    try:
        yield client
    finally:
        client.close()


class StoreUnderTest(Protocol):
    """A store together with what the contract needs to look at it and to disturb it."""

    store: Store

    def break_next_write(self) -> None:
        """The next write fails as it is about to be complete: everything but its last step has been done."""

    def events(self) -> list[tuple[str, int]]:
        """Id and time (microseconds) of every visible event."""

    def dead_letters(self) -> list[DeadLetter]:
        """Every visible dead letter."""

    def reopened(self) -> Store:
        """A second writer of the same store, which remembers nothing of the first."""


class MemoryUnderTest:
    def __init__(self) -> None:
        self.store = MemoryStore()

    def break_next_write(self) -> None:
        self.store.failures.append(StoreUnreachableError("broken by the test"))

    def events(self) -> list[tuple[str, int]]:
        return [(name, time_us) for name, (time_us, _) in self.store.events.items()]

    def dead_letters(self) -> list[DeadLetter]:
        return list(self.store.dead_letters.values())

    def reopened(self) -> Store:
        return self.store


class ClickHouseUnderTest:
    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = ClickHouseStore(client)
        self._client = client
        self._monkeypatch = monkeypatch

    def break_next_write(self) -> None:
        insert = self._client.raw_insert
        last = ("batches_stored", "windows_stored", "minutes_stored", "events_stored", "dead_letters_stored")

        def broken(table: str, *arguments: Any, **named: Any) -> Any:
            if table.strip("`") in last:
                self._monkeypatch.setattr(self._client, "raw_insert", insert)
                raise OperationalError("connection lost")
            return insert(table, *arguments, **named)

        self._monkeypatch.setattr(self._client, "raw_insert", broken)

    def events(self) -> list[tuple[str, int]]:
        rows = self._client.query("SELECT id, toUnixTimestamp64Micro(time) FROM events_stored FINAL").result_rows
        return [(name, time_us) for name, time_us in rows]

    def dead_letters(self) -> list[DeadLetter]:
        rows = self._client.query(
            "SELECT topic, partition, offset, error, toUnixTimestamp64Micro(received_at), bytes, run, rows, window, "
            "producer, seq FROM dead_letters"
        ).result_rows
        return [DeadLetter(*row) for row in rows]

    def reopened(self) -> Store:
        return ClickHouseStore(self._client)


@pytest.fixture
def fake_server(tmp_path: Path) -> Iterator[FakeServer]:
    """A server on the loopback that speaks ClickHouse's HTTP; it takes the process's place for an embedded store."""
    with fake_clickhouse(f"{tmp_path}/server") as server:
        yield server


@pytest.fixture
def server_client(fake_server: FakeServer) -> Iterator[Client]:
    """A client of an empty, migrated store on that server."""
    client = open_client(fake_server.url())
    try:
        migrate(client)
        yield client
    finally:
        client.close()


@pytest.fixture(scope="module", params=["memory", "chdb", "http"])
def engine_of_module(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client | None]:
    """One migrated store per kind and module, None in memory: setting up anew for each test would cost more."""
    folder = tmp_path_factory.mktemp("engine")
    with ExitStack() as stack:
        client = None
        if request.param != "memory":
            embedded = request.param == "chdb"
            url = f"chdb://{folder}" if embedded else stack.enter_context(fake_clickhouse(str(folder))).url()
            client = open_client(url)
            stack.callback(client.close)
            migrate(client)
        yield client


@pytest.fixture
def any_store(engine_of_module: Client | None, monkeypatch: pytest.MonkeyPatch) -> StoreUnderTest:
    """Each kind of store in turn, empty."""
    if engine_of_module is None:
        return MemoryUnderTest()
    engine_of_module.command(f"TRUNCATE ALL TABLES FROM {engine_of_module.database} LIKE '%_stored'")
    return ClickHouseUnderTest(engine_of_module, monkeypatch)


@pytest.fixture
def clickhouse_store(store_client: Client) -> ClickHouseStore:
    """An empty store on the embedded engine; `store_client` is its client."""
    return ClickHouseStore(store_client)
