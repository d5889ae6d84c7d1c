"""Numbered migrations, each applied once: `migrations/NNNN_name.sql`, in the order of their numbers.

A worker brings its store up to date by itself where it may. Where it may not, `python -m sinks.migrate` does it once,
with the migrator's account in LOADFLAME_STORE.

Every statement may be repeated without harm (IF NOT EXISTS, OR REPLACE), so a migration that was cut short, or that
two workers begin together, is simply done again.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from sinks.connect import open_client
from sinks.errors import NOT_MADE, MigrationError, StoreError, store_errors

_LEDGER = """
CREATE TABLE IF NOT EXISTS migrations_applied
(name String, sha256 FixedString(64), applied_at DateTime64(6, 'UTC') DEFAULT now64(6))
ENGINE = ReplacingMergeTree(applied_at) ORDER BY name
"""
PARTS = (
    "old_parts_lifetime = 10, min_rows_to_fsync_after_merge = 1, cleanup_delay_period = 5, "
    "cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 10, concurrent_part_removal_threshold = 1000000"
)
"""Settings of every table: `${parts}` in the files.

Flushes come twice a second and fill seven tables. Parts that were merged are kept for eight minutes by default, and
looked after every one to five: memory and files of thousands of parts that nobody reads. Here they go after ten
seconds, which they may, as the files that were made of them are synced to the disk (their folder's name is left to the
file system's journal). One thread removes them: the engine would start 128 for it, which stay, and take 25 MiB.
"""
# What may hold a semicolon that ends nothing: text, quoted names, comments.
_PIECE = re.compile(r"'(?:[^'\\]|\\.)*'|`[^`]*`|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|;", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `sinks/migrations`."""

    name: str
    sql: str

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the text."""
        return sha256(self.sql.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """All migrations, in the order in which they are applied."""
    folder = files("sinks") / "migrations"
    texts = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return tuple(
        Migration(item.name.removesuffix(".sql"), item.read_text(encoding="utf-8").replace("${parts}", PARTS))
        for item in texts
    )


def statements(sql: str) -> list[str]:
    """The statements of a text, comments left out; a `;` inside text, a quoted name or a comment ends none."""
    found, piece, at = [], [], 0
    for match in _PIECE.finditer(sql):
        piece.append(sql[at : match.start()])
        at = match.end()
        if match[0] == ";":
            found.append("".join(piece))
            piece = []
        elif not match[0].startswith(("--", "/*")):
            piece.append(match[0])
    found.append("".join(piece) + sql[at:])
    return [statement.strip() for statement in found if statement.strip()]


def migrate(client: Client) -> tuple[str, ...]:
    """Bring the client's database (made if need be) up to date; returns the names of the migrations applied now.

    Blocks. Raises MigrationError when the store was made by another version, StoreError when it does not answer.
    """
    with store_errors("bring the store up to date"):
        applied = _applied(client)
        if applied is None:
            if client.database:
                client.command(f"CREATE DATABASE IF NOT EXISTS {quote_identifier(client.database)}", use_database=False)
            client.command(_LEDGER)
        missing = _missing(applied or {})
        for migration in missing:
            _apply(client, migration)
    return tuple(migration.name for migration in missing)


def check_migrations(client: Client) -> None:
    """Raise what `migrate` would of a store that it could not bring up to date, and make nothing. Blocks."""
    with store_errors("be asked for its version"):
        _missing(_applied(client) or {})


def _missing(applied: Mapping[str, str]) -> list[Migration]:
    """What is still to be applied. Raises MigrationError when the rest is not ours."""
    ours = migrations()
    for migration in ours:
        if applied.get(migration.name, migration.digest) != migration.digest:
            raise MigrationError(
                f"the store's migration {migration.name} is not the one of this version of loadflame; "
                "use the version that made the store, or another data folder or database"
            )
    if newer := applied.keys() - {migration.name for migration in ours}:
        raise MigrationError(
            f"the store was made by a newer loadflame (migration {max(newer)}); update loadflame, "
            "or use another data folder or database"
        )
    return [migration for migration in ours if migration.name not in applied]


def _applied(client: Client) -> dict[str, str] | None:
    """Names and digests of what was applied; None of a store that was never set up.

    Asked before anything is made, so that a store that is up to date needs no right but to read.
    """
    try:
        rows = client.query("SELECT name, toString(sha256) FROM migrations_applied FINAL").result_rows
    except DatabaseError as error:
        if error.code in NOT_MADE:
            return None
        raise
    return {str(name): str(digest) for name, digest in rows}


def _apply(client: Client, migration: Migration) -> None:
    for statement in statements(migration.sql):
        client.command(statement)
    client.command(
        "INSERT INTO migrations_applied (name, sha256) SELECT {name:String}, {digest:String}",
        {"name": migration.name, "digest": migration.digest},
        settings={"async_insert": 0},
    )


if __name__ == "__main__":
    try:
        print(*(migrate(open_client(os.environ["LOADFLAME_STORE"])) or ["up to date"]), sep="\n")  # noqa: T201
    except KeyError:
        sys.exit("loadflame: name the store in LOADFLAME_STORE, as http://migrator:password@host:8123/loadflame")
    except StoreError as error:
        sys.exit(f"loadflame: {error}")
