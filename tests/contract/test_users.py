"""What the users of a server may do is what they need: each does its work on the real engine under its rights alone.

The engine in process takes no users, but lets its only one be told its rights by a file.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from processors.verify import verify_run
from sinks.clickhouse import ClickHouseStore
from sinks.errors import StoreRefusedError, store_errors
from sinks.flushes import first_flush_at
from sinks.migrate import check_migrations, migrate, migrations
from sinks.orphans import sweep_orphans
from sinks.users import USERS, User, statements_of
from tests.support.grafana_macros import expanded
from tests.support.grafana_sql import CHOICES, every_sql
from tests.support.synthetic import Synthetic
from views.report import build_report
from views.runs import list_runs

DATABASE, RUN = "loadflame", "run-1"
MIGRATOR, WRITER, READER = USERS
_PROFILE = """
<clickhouse><profiles><default>{settings}</default></profiles><quotas><default/></quotas><users><default>
<password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<grants><query>{grant}</query></grants></default></users></clickhouse>
"""


@contextmanager
def client_of(user: User, folder: Path) -> Iterator[Client]:
    """A client of the store in `folder` that may do what the user may, and nothing else."""
    grant = list(statements_of(user, DATABASE, "", ""))[-1].rpartition(" TO ")[0]
    name, _, value = user.settings.removeprefix("SETTINGS ").partition(" = ")
    users, config = folder / f"{user.role}.xml", folder / f"{user.role}-config.xml"
    users.write_text(_PROFILE.format(settings=f"<{name}>{value}</{name}>" if name else "", grant=escape(grant)))
    config.write_text(f"<clickhouse><users_config>{users}</users_config></clickhouse>")
    path = folder / "store"
    path.mkdir(exist_ok=True)
    client: Client = clickhouse_connect.get_client(
        interface="chdb", path=str(path), chdb_options={"config-file": str(config)}
    )
    client.database = DATABASE
    try:
        yield client
    finally:
        client.close()


def refused(client: Client, *statements: str) -> None:
    for statement in statements:
        with pytest.raises(StoreRefusedError, match="Not enough privileges"), store_errors("do as it likes"):
            client.command(statement)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with a store that the migrator made and the writer filled, and checked, and swept."""
    with client_of(MIGRATOR, tmp_path) as client:
        assert migrate(client) == tuple(one.name for one in migrations())
        assert migrate(client) == ()
    with client_of(WRITER, tmp_path) as client:
        check_migrations(client)
        store = ClickHouseStore(client)
        Synthetic().write(store)
        store.write_minutes(store.unmade_minutes())
        assert {check.name: check.ok for check in verify_run(store, RUN)}["I2"]
        flush = first_flush_at(time.time_ns() // 1000 - 2 * 3_600_000_000)  # two hours old: sweeping takes it for lost
        crashed = f"INSERT INTO requests_stored (run, flush, scheduled_at) VALUES ('crashed', {flush}, now64(6))"
        client.command(crashed, settings={"async_insert": 0})
        assert sweep_orphans(client) == 1
        refused(client, "CREATE TABLE t (x Int8) ENGINE = Memory", "DROP TABLE requests_stored", "DROP VIEW requests")
        refused(client, "TRUNCATE TABLE batches_stored", "ALTER TABLE batches_stored DROP COLUMN rows")
        refused(client, "CREATE USER u NOT IDENTIFIED", "GRANT ALL ON *.* TO default", "CREATE DATABASE other")
    return tmp_path


def test_the_migrator_makes_the_writer_fills_and_neither_may_do_the_work_of_others(filled: Path) -> None:
    with client_of(MIGRATOR, filled) as client:
        refused(client, "CREATE USER u NOT IDENTIFIED", "GRANT SELECT ON *.* TO default", "CREATE DATABASE other")
        refused(client, "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')")


def test_the_reader_reads_reports_and_dashboards_and_changes_nothing(filled: Path) -> None:
    with client_of(READER, filled) as client:
        assert build_report(client, RUN).accounting.stored > 0
        assert [run.id for run in list_runs(client)] == [RUN]
        low, high = client.query("SELECT min(starts_at), max(starts_at) FROM windows").result_rows[0]
        start, end = low.replace(tzinfo=UTC), high.replace(tzinfo=UTC) + timedelta(seconds=1)
        queries = every_sql()
        assert queries
        for sql in queries.values():
            text = expanded(sql, start=start, end=end, **{**CHOICES, "run": RUN})
            client.query(text, settings={"max_execution_time": 60})  # as the data source bounds its queries
        refused(client, "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')")
        for statement in ("INSERT INTO events_stored (run) VALUES ('x')", "DROP TABLE events_stored"):
            with pytest.raises(StoreRefusedError), store_errors("be changed"):
                client.command(statement)
