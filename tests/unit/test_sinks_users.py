"""The users of a ClickHouse server, as far as that can be told without one."""

import re
from hashlib import sha256
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from schemas.errors import UserError
from sinks.users import USERS, make_users, read_passwords

PASSWORDS = {user.role: f"it's; a \\ {user.role}-secret" for user in USERS}


class Listening:
    """A client that notes what it is told."""

    database = "fla`mes"

    def __init__(self) -> None:
        self.told: list[str] = []

    def command(self, sql: str, *, use_database: bool) -> None:
        assert not use_database
        self.told.append(sql)


def test_every_user_is_made_given_its_password_and_its_rights(store_client: Client) -> None:
    client = Listening()
    make_users(client, PASSWORDS)  # type: ignore[arg-type]
    kinds = [str(store_client.query(f"EXPLAIN AST {sql}").result_rows[0][0]).split()[0] for sql in client.told]
    assert kinds == ["CreateUserQuery", "CreateUserQuery", "GrantQuery"] * len(USERS)
    assert all("ON `fla\\`mes`.*" in sql for sql in client.told if sql.startswith("GRANT"))


def test_a_password_is_told_as_its_salted_hash_only() -> None:
    client = Listening()
    make_users(client, PASSWORDS)  # type: ignore[arg-type]
    assert "secret" not in "".join(client.told)
    salts = set()
    for user in USERS:
        mine = [sql for sql in client.told if re.search(rf"USER .*{user.name} ", sql)]
        assert len(mine) == 2
        for sql in mine:
            digest, salt = re.findall(r"'([0-9a-f]+)'", sql)
            assert digest == sha256((PASSWORDS[user.role] + salt).encode()).hexdigest()
            salts.add(salt)
    assert len(salts) == len(USERS)


def test_passwords_come_from_the_environment_or_from_files(tmp_path: Path) -> None:
    (tmp_path / "reader").write_text("from a file\n")
    environment = {user.variable: PASSWORDS[user.role] for user in USERS[:2]}
    with pytest.raises(UserError, match="loadflame_reader needs a password; set LOADFLAME_READER_PASSWORD, or name a"):
        read_passwords(environment)
    passwords = read_passwords(environment | {"LOADFLAME_READER_PASSWORD_FILE": str(tmp_path / "reader")})
    assert passwords == PASSWORDS | {"reader": "from a file"}
