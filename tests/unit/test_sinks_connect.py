"""Opening the store: what can be wrong is one sentence with the remedy, and never the password."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from sinks.clickhouse import check_store
from sinks.connect import open_client
from sinks.errors import (
    MigrationError,
    StoreBusyError,
    StoreError,
    StoreRefusedError,
    StoreUnreachableError,
    store_errors,
    translated,
)
from sinks.migrate import migrate
from tests.support.clickhouse_http import FakeServer

UNKNOWN = ["", "shop.db", "sqlite:///x", "http://", "chdb://host/dir", "chdb:relative", "chdb://"]


@pytest.mark.parametrize("look", [open_client, check_store])
@pytest.mark.parametrize("url", UNKNOWN)
def test_a_url_that_names_no_store_is_refused_with_one_that_would(look: Callable[[str], object], url: str) -> None:
    with pytest.raises(StoreError, match="chdb:///absolute/directory"):
        look(url)


def test_a_refused_url_is_shown_without_its_password() -> None:
    with pytest.raises(StoreError) as caught:
        open_client("tcp://user:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("look", [open_client, check_store])
@pytest.mark.parametrize("password", ["hun/ter2", "hun#ter2", "hun?ter2", "12/hunter2", "[hunter2"])
def test_a_password_that_tears_the_url_apart_is_refused_without_a_piece_of_it(
    look: Callable[[str], object], password: str
) -> None:
    with pytest.raises(StoreError, match=r"cannot be read; write letters of its password .* as %2F") as caught:
        look(f"http://writer:{password}@127.0.0.1:8123/db")
    assert "hun" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    with closing(open_client(f"chdb://{tmp_path}/a@b:c/store")) as client:
        assert migrate(client)


def test_the_folder_is_made_and_several_clients_of_it_share_its_data(store_client: Client, store_url: str) -> None:
    with closing(open_client(store_url)) as second:
        store_client.command("INSERT INTO events_stored (type, run, id) VALUES ('t', 'r', 'i')")
        assert second.query("SELECT count() FROM events_stored").result_rows == [(1,)]


def test_a_second_folder_in_one_process_is_refused(store_client: Client, tmp_path: Path) -> None:
    with pytest.raises(StoreBusyError, match=r"another folder open, and only one is possible; close that one first"):
        open_client(f"chdb://{tmp_path}/another")


def test_another_folder_can_be_opened_once_the_first_client_is_closed(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with closing(open_client(f"chdb://{tmp_path}/{name}")) as client:
            assert migrate(client)


def test_a_folder_in_use_by_another_process_is_named_with_that_process_and_stderr_stays_clean(
    store_client: Client, store_url: str, tmp_path: Path
) -> None:
    program = f"""
from sinks.connect import open_client
from sinks.errors import StoreBusyError
try:
    open_client({store_url!r})
except StoreBusyError as error:
    print(error)
"""
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    me = os.getpid()
    assert f"the store {tmp_path}/store is in use by process {me}" in other.stdout
    assert "--data-dir" in other.stdout
    assert other.stderr == ""


def test_a_folder_whose_last_user_was_killed_opens_again(store_url: str) -> None:
    program = f"""
import os, signal
from sinks.connect import open_client
from sinks.migrate import migrate
migrate(open_client({store_url!r}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert killed.returncode == -9
    with closing(open_client(store_url)) as client:
        assert client.query("SELECT count() FROM runs").result_rows == [(0,)]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/store cannot be made: Not a directory; name another one"):
        open_client(f"chdb://{tmp_path}/file/store")


def test_a_server_that_is_not_there_is_unreachable_and_may_be_tried_again() -> None:
    with pytest.raises(StoreUnreachableError, match=r"no ClickHouse answers at http://127\.0\.0\.1:1;") as caught:
        open_client("http://user:hunter2@127.0.0.1:1/db")
    assert caught.value.retriable
    assert "hunter2" not in str(caught.value)


def test_a_wrong_password_is_said_with_the_user_and_without_the_password(fake_server: FakeServer) -> None:
    with pytest.raises(StoreRefusedError, match="refuses the user 'writer'; check the name and the password") as caught:
        open_client(fake_server.url(password="hunter2"))
    assert not caught.value.retriable
    assert "hunter2" not in str(caught.value)


def test_user_password_and_database_of_a_url_may_hold_any_character(fake_server: FakeServer) -> None:
    with closing(open_client(fake_server.url(database="fla%20mes"))) as client:  # the password is se/cret
        assert migrate(client)
        assert client.query("SELECT currentDatabase()").result_rows == [("fla mes",)]


# A look at a store beforehand


def test_a_look_at_an_embedded_store_makes_nothing_and_loads_no_engine(tmp_path: Path) -> None:
    program = f"import sys; from sinks.clickhouse import check_store; check_store('chdb://{tmp_path}/a/store')"
    program += "; sys.exit('chdb' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_a_look_sees_a_folder_that_cannot_be_made_or_that_another_process_has(
    store_client: Client, store_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file is a file; name another one"):
        check_store(f"chdb://{tmp_path}/file/store")
    program = f"from sinks.clickhouse import check_store; check_store({store_url!r})"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert f"StoreBusyError: the store {tmp_path}/store is in use by process {os.getpid()}" in other.stderr


def test_a_look_at_a_server_asks_and_makes_nothing(fake_server: FakeServer) -> None:
    check_store(fake_server.url())
    assert not [sql for sql in fake_server.requests if not sql.lstrip().upper().startswith("SELECT")]
    with pytest.raises(StoreRefusedError):
        check_store(fake_server.url(password="hunter2"))
    with pytest.raises(StoreUnreachableError):
        check_store("http://127.0.0.1:1/db")


def test_a_look_at_a_server_sees_the_store_of_another_version(fake_server: FakeServer) -> None:
    with closing(open_client(fake_server.url())) as client:
        migrate(client)
        check_store(fake_server.url())
        client.command("INSERT INTO migrations_applied (name) VALUES ('9999_future')")
    with pytest.raises(MigrationError, match="newer loadflame"):
        check_store(fake_server.url())


MEANINGS = [
    (DatabaseError("Code: 252. DB::Exception: Too many parts (300).", code=252), StoreError, True),
    (DatabaseError("Code: 241. DB::Exception: Memory limit exceeded", code=241), StoreError, True),
    (DatabaseError("Code: 243. DB::Exception: Cannot reserve 1.00 MiB", code=243), StoreError, True),
    (DatabaseError("Code: 62. DB::Exception: Syntax error", code=62), StoreError, False),
    (DatabaseError("Code: 60. DB::Exception: Unknown table x", code=60), MigrationError, False),
    (DatabaseError("Code: 516. DB::Exception: Authentication failed", code=516), StoreRefusedError, False),
    (OperationalError("Error executing HTTP request"), StoreUnreachableError, True),
]


@pytest.mark.parametrize(("error", "kind", "retriable"), MEANINGS, ids=lambda value: str(value)[:40])
def test_an_error_of_the_engine_says_whether_trying_again_can_help(error, kind, retriable: bool) -> None:
    meaning = translated(error, "store batches")
    assert type(meaning) is kind
    assert meaning.retriable is retriable
    assert (0 < meaning.retry_after_s <= 5) is retriable, "whoever has made room waits no longer than that"


def test_what_the_engine_says_comes_without_its_version_and_stack() -> None:
    error = DatabaseError(
        "Received 500.\nCode: 243. DB::Exception: Cannot reserve 1.00 MiB,\n not enough space. (NOT_ENOUGH_SPACE)"
        " (version 26.9.2.1 (official build))\nStack trace:\n0. main",
        code=243,
    )
    assert str(translated(error, "store batches")) == (
        "the store could not store batches: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"
    )


def test_a_disk_that_is_full_while_the_driver_writes_is_an_error_of_the_store() -> None:
    with pytest.raises(StoreError, match="No space left") as caught, store_errors("store batches"):
        raise OSError(28, "No space left on device")
    assert caught.value.retriable
