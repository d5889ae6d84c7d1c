"""The three users of a ClickHouse server, who make the tables, fill them and read them: `python -m sinks.users`.

No migration makes them: whoever may make users may do everything, and the migrator may not. An administrator runs this
once, and again to change a password; the administrator's account stands in LOADFLAME_STORE, the new passwords in
LOADFLAME_MIGRATOR_PASSWORD, LOADFLAME_WRITER_PASSWORD and LOADFLAME_READER_PASSWORD, or in files that these name with
_FILE behind. Passwords are salted and hashed here, so that the server never hears them and its query log does not hold
them.
"""

import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client

from schemas.errors import UserError
from sinks.connect import open_client
from sinks.errors import store_errors
from sinks.secrets import read_secret


@dataclass(frozen=True, slots=True)
class User:
    """A user, what it may do in the database of the store, and the settings that bind it."""

    role: str
    rights: Sequence[str]
    settings: str = ""

    @property
    def name(self) -> str:
        """As the server knows it."""
        return f"loadflame_{self.role}"

    @property
    def variable(self) -> str:
        """Where its password stands in the environment."""
        return f"LOADFLAME_{self.role.upper()}_PASSWORD"


_MAKES = ("CREATE DATABASE", "CREATE TABLE", "CREATE VIEW", "DROP TABLE", "DROP VIEW", "ALTER TABLE", "ALTER VIEW")
USERS = (
    User("migrator", (*_MAKES, "SELECT", "INSERT")),
    # ALTER DELETE and ALTER UPDATE are what a lightweight DELETE of orphaned rows asks for. The writer makes nothing.
    User("writer", ("SELECT", "INSERT", "ALTER DELETE", "ALTER UPDATE")),
    # The views read with the rights of who asks, so the reader's right is to the tables behind them as well.
    # readonly = 2: queries only, but a query may set its own limits, as Grafana's data source does.
    User("reader", ("SELECT",), "SETTINGS readonly = 2"),
)


def make_users(client: Client, passwords: Mapping[str, str]) -> None:
    """Make the users of the client's database, or change their passwords; by role. Blocks. Raises StoreError.

    May be repeated. A right that a user was given by somebody else stays.
    """
    with store_errors("make its users"):
        for user in USERS:
            for statement in statements_of(user, client.database or "", passwords[user.role], secrets.token_hex(16)):
                client.command(statement, use_database=False)  # which need not exist yet


def statements_of(user: User, database: str, password: str, salt: str) -> Iterator[str]:
    """The SQL that makes a user, or changes it. `salt` is random. Source: ClickHouse's statement CREATE USER."""
    digest = sha256((password + salt).encode()).hexdigest()
    identified = f"IDENTIFIED WITH sha256_hash BY '{digest}' SALT '{salt}'"
    yield f"CREATE USER IF NOT EXISTS {user.name} {identified} {user.settings}".rstrip()
    yield f"ALTER USER {user.name} {identified} {user.settings}".rstrip()
    yield f"GRANT {', '.join(user.rights)} ON {quote_identifier(database)}.* TO {user.name}"


def read_passwords(environment: Mapping[str, str]) -> dict[str, str]:
    """The password of each role, from the environment or from files. Raises UserError when one is missing."""
    found = {}
    for user in USERS:
        file = environment.get(f"{user.variable}_FILE")
        password = read_secret(Path(file), f"{user.variable}_FILE") if file else environment.get(user.variable, "")
        if not password:
            raise UserError(
                f"{user.name} needs a password; set {user.variable}, or name a file of it by {user.variable}_FILE"
            )
        found[user.role] = password
    return found


if __name__ == "__main__":
    try:
        url = os.environ["LOADFLAME_STORE"]
        make_users(open_client(url), read_passwords(os.environ))
        print(*(f"{user.name}: {', '.join(user.rights)}" for user in USERS), sep="\n")  # noqa: T201
    except KeyError:
        sys.exit("loadflame: name the store in LOADFLAME_STORE, as https://administrator@host:8443/loadflame")
    except UserError as error:
        sys.exit(f"loadflame: {error}")
