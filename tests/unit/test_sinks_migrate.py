"""Numbered migrations."""

import time
from contextlib import closing

import pytest
from clickhouse_connect.driver.client import Client

import sinks.migrate
from sinks.connect import open_client
from sinks.errors import MigrationError
from sinks.flushes import FlushIds
from sinks.migrate import Migration, migrate, migrations, statements

SPLITS = {
    "two statements": ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
    "the last one needs no semicolon": ("SELECT 1;\nSELECT 2\n", ["SELECT 1", "SELECT 2"]),
    "a semicolon in text ends nothing": (
        "SELECT ';', 'it\\'s; so'; SELECT 2",
        ["SELECT ';', 'it\\'s; so'", "SELECT 2"],
    ),
    "a doubled quote stays in its text": ("SELECT 'a'';b'; SELECT 2", ["SELECT 'a'';b'", "SELECT 2"]),
    "a semicolon in a quoted name ends nothing": ('SELECT "a;b", `c;d`;', ['SELECT "a;b", `c;d`']),
    "a comment is left out with its semicolons and quotes": ("-- don't; stop\nSELECT 1;", ["SELECT 1"]),
    "so is one over several lines": ("SELECT /* a;\nb' */ 1; SELECT 2", ["SELECT  1", "SELECT 2"]),
    "two dashes in text are no comment": ("SELECT '--;'; SELECT 2", ["SELECT '--;'", "SELECT 2"]),
    "nothing but space and comments holds no statement": (" ;; -- that is all\n", []),
}


@pytest.mark.parametrize(("text", "expected"), SPLITS.values(), ids=SPLITS)
def test_statements_are_split_at_the_semicolons_between_them(text: str, expected: list[str]) -> None:
    assert statements(text) == expected


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = [int(migration.name.partition("_")[0]) for migration in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_migration_is_applied_once(store_client: Client) -> None:
    names = {migration.name for migration in migrations()}
    rows = store_client.query("SELECT name FROM migrations_applied").result_rows
    assert sorted(name for (name,) in rows) == sorted(names)
    assert migrate(store_client) == ()


def test_a_migration_that_was_cut_short_is_done_again_without_harm(store_client: Client) -> None:
    store_client.command("TRUNCATE TABLE migrations_applied")
    assert migrate(store_client) == tuple(migration.name for migration in migrations())


def test_what_a_newer_version_adds_is_added_to_a_store_that_is_there(
    store_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_client.command("INSERT INTO events_stored (type, run, id) VALUES ('t', 'r', 'i')")
    added = Migration("0999_notes", "ALTER TABLE events_stored ADD COLUMN IF NOT EXISTS note String DEFAULT 'none'")
    newer = (*migrations(), added)
    monkeypatch.setattr(sinks.migrate, "migrations", lambda: newer)
    assert migrate(store_client) == ("0999_notes",)
    assert store_client.query("SELECT run, note FROM events_stored").result_rows == [("r", "none")]
    assert migrate(store_client) == ()


def test_exact_times_and_rounded_ones_are_plain_numbers_to_readers(store_client: Client) -> None:
    (flush,) = FlushIds(lambda: time.time_ns() // 1000).take(1)
    for insert in (
        f"batches_stored (topic, flush) VALUES ('requests', {flush}), ('stacks', {flush})",
        f"requests_stored (flush, dispatch_lag_us, latency_us) VALUES ({flush}, 1001, 4294967294)",
        f"samples_stored (flush, sampled_at, stack_id) VALUES ({flush}, '2026-05-01 00:00:01.234567', 9)",
    ):
        store_client.command(f"INSERT INTO {insert}")
    rows = "SELECT dispatch_lag_us, latency_us, toTypeName(latency_us) FROM requests"
    assert store_client.query(rows).result_rows == [(1001, 4294967294, "Nullable(UInt32)")]
    rows = "SELECT toUnixTimestamp64Micro(sampled_at), stack_id, toTypeName(stack_id) FROM samples"
    assert store_client.query(rows).result_rows == [(1777593601234567, 9, "UInt64")]


def test_two_databases_of_one_folder_are_two_stores(store_client: Client, store_url: str) -> None:
    with closing(open_client(f"{store_url}?database=other")) as other:
        assert migrate(other)
        store_client.command("INSERT INTO events_stored (type, run, id) VALUES ('t', 'r', 'i')")
        assert store_client.query("SELECT count() FROM events_stored").result_rows == [(1,)]
        assert other.query("SELECT count() FROM events_stored").result_rows == [(0,)]


def test_a_store_of_another_version_is_refused(store_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = (Migration(migrations()[0].name, "SELECT 1"), *migrations()[1:])
    monkeypatch.setattr(sinks.migrate, "migrations", lambda: changed)
    with pytest.raises(MigrationError, match="0001_truth is not the one of this version"):
        migrate(store_client)


def test_a_store_of_a_newer_version_is_refused(store_client: Client) -> None:
    store_client.command("INSERT INTO migrations_applied (name) VALUES ('9999_future')")
    with pytest.raises(MigrationError, match="newer loadflame"):
        migrate(store_client)


def _tables_without(client: Client, said: str) -> list[str]:
    here = "database = currentDatabase() AND engine LIKE '%MergeTree'"
    tables = client.query(f"SELECT name, create_table_query FROM system.tables WHERE {here}").result_rows
    assert len(tables) > 10
    return [name for name, text in tables if said not in text and name != "migrations_applied"]


def test_no_table_has_its_old_parts_removed_by_threads_of_their_own(store_client: Client) -> None:
    """One table that does starts 128 of them, for as long as the process lives."""
    assert _tables_without(store_client, "concurrent_part_removal_threshold = 1000000") == []


def test_parts_that_go_soon_leave_a_synced_one_behind(store_client: Client) -> None:
    """Else a power cut might find neither on the disk."""
    assert _tables_without(store_client, "old_parts_lifetime = 10,") == []
    assert _tables_without(store_client, "min_rows_to_fsync_after_merge = 1,") == []
    assert _tables_without(store_client, "max_cleanup_delay_period = 10,") == []
