"""The gateway of `loadflame serve` with the clients that people have: curl, clickhouse-connect, clickhouse-go."""

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from sinks.connect import open_client
from tests.support.commands import checks_of, loadflame, report_of
from tests.support.go_client import GoClient, asking
from tests.support.polling import until
from tests.support.served import Served, record, serving

TOKEN = "se/cret token"
MIB = 1 << 20


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def served(data_dir: Path) -> Iterator[Served]:
    record(data_dir)
    with serving(data_dir, data_dir / "serve.log", token=TOKEN) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def connect(served: Served) -> Iterator[Client]:
    with closing(open_client(f"http://anybody:{quote(TOKEN, safe='')}@127.0.0.1:{served.port}/loadflame")) as client:
        yield client


@pytest.fixture(scope="module")
def go(served: Served) -> Iterator[GoClient]:
    with asking(served.port, token=TOKEN) as client:
        yield client


# curl


def curl(served: Served, *arguments: str) -> str:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("there is no curl")
    command = [program, "-sS", "--user", f"me:{TOKEN}", f"http://127.0.0.1:{served.port}/", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_curl_gets_rows_tab_separated_or_as_it_likes(served: Served) -> None:
    assert curl(served, "--data-binary", "SELECT run, service FROM runs") == "run-1\tshop\n"
    assert curl(served, "--compressed", "-d", "SELECT number FROM numbers(5000)").splitlines()[-1] == "4999"
    assert json.loads(curl(served, "-d", "SELECT 1 AS a FORMAT JSONEachRow")) == {"a": 1}
    assert curl(served, "--get", "--data-urlencode", "query=SELECT {a:String}", "-d", "param_a=b") == "b\n"
    assert curl(served) == "Ok.\n"


# clickhouse-connect


def test_clickhouse_connect_reads_rows_types_and_parameters(connect: Client) -> None:
    result = connect.query(
        "SELECT {long:String} AS long, toDateTime64('2026-01-02 03:04:05.5', 3, 'UTC') AS at, [1.5, 2] AS many, "
        "toLowCardinality('a') AS low, CAST(NULL AS Nullable(UInt8)) AS nothing",
        {"long": "it's\n\\ " * 3000},
    )
    (row,) = result.named_results()
    assert row["long"] == "it's\n\\ " * 3000
    assert (row["many"], row["low"], row["nothing"]) == ([1.5, 2.0], "a", None)
    assert row["at"].isoformat().startswith("2026-01-02T03:04:05.5")
    assert connect.query_arrow("SELECT number FROM numbers(100000)").num_rows == 100_000


def test_clickhouse_connect_gets_the_columns_of_an_empty_result_and_the_engine_s_errors(connect: Client) -> None:
    empty = connect.query("SELECT run, started_at FROM runs WHERE run = 'no'")
    assert (empty.column_names, empty.result_rows) == (("run", "started_at"), [])
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as caught:
        connect.query("SELECT * FROM nowhere")
    assert caught.value.code == 60
    with pytest.raises(DatabaseError, match="gateway only reads"):
        connect.insert("events_stored", [["a"]], column_names=["run"], column_type_names=["String"])


# clickhouse-go


def test_clickhouse_go_reads_every_type_that_dashboards_have(go: GoClient) -> None:
    found = go.ask(
        "SELECT toDateTime('2026-01-02 03:04:05', 'UTC') AS time, "
        "toDateTime64('2026-01-02 03:04:05.678', 3, 'UTC') AS at, 1.5 AS value, 'shop' AS service, "
        "['a', 'b'] AS path, toLowCardinality('x') AS low, toUInt64(7) AS number, "
        "CAST(NULL AS Nullable(Float64)) AS nothing"
    )
    assert found["columns"] == ["time", "at", "value", "service", "path", "low", "number", "nothing"]
    assert found["rows"] == [
        ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z", 1.5, "shop", ["a", "b"], "x", 7, None]
    ]


def test_clickhouse_go_reads_the_store_and_many_blocks(go: GoClient) -> None:
    assert go.ask("SELECT run, service FROM runs")["rows"] == [["run-1", "shop"]]
    assert go.ask("SELECT count() FROM windows WHERE run = {run:String}", {"run": "run-1"})["rows"] == [[8]]
    many = go.ask("SELECT number FROM numbers(200000)")["rows"]
    assert [row[0] for row in many] == list(range(200_000))


def test_clickhouse_go_gets_the_columns_of_an_empty_result(go: GoClient) -> None:
    found = go.ask("SELECT starts_at AS time, completed FROM windows WHERE run = 'no' SETTINGS max_threads = 1")
    assert found == {"columns": ["time", "completed"], "types": ["DateTime64(6, 'UTC')", "UInt64"], "rows": []}


def test_clickhouse_go_gets_the_engine_s_error(go: GoClient) -> None:
    found = go.ask("SELECT * FROM nowhere")
    assert found["code"] == 60
    assert "Unknown table expression identifier 'nowhere'" in found["error"]
    assert go.ask("INSERT INTO events_stored (run) VALUES ('a')")["code"] == 164


def test_clickhouse_go_may_leave_compression_out(served: Served) -> None:
    with asking(served.port, token=TOKEN, compression="none") as client:
        assert client.ask("SELECT 1 AS a")["rows"] == [[1]]


# What is refused

REFUSED = [
    ("INSERT INTO events_stored (run) VALUES ('a')", 403, 164),
    ("SYSTEM STOP MERGES", 403, 164),
    ("SELECT * FROM file('/etc/hostname', 'LineAsString')", 403, 446),
    ("SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a UInt8')", 403, 446),
    ("SELECT 1; SELECT 2", 400, 62),
    ("SELECT number FROM numbers(10) FORMAT DataFrame", 400, 73),
    ("SELECT number, randomString(1000) FROM numbers(1000000)", 413, 396),
]


@pytest.mark.parametrize(("sql", "status", "code"), REFUSED)
async def test_what_is_not_served_is_refused_with_its_code(served: Served, sql: str, status: int, code: int) -> None:
    told = await served.ask(sql)
    assert (told.status, told.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    assert told.text.startswith(f"Code: {code}. DB::Exception: ")
    assert (await served.ask("SELECT count() FROM events_stored WHERE run = 'a'")).text == "0\n"


async def test_whoever_has_no_token_is_not_let_in(served: Served) -> None:
    told = await Served(served.port, served.pid, "wrong").ask("SELECT 1")
    assert (told.status, told.headers["X-ClickHouse-Exception-Code"]) == (401, "516")


# What is bounded


def slow_clients(served: Served, count: int, rows: int) -> ExitStack:
    """Connections that ask for a large answer and read nothing of it."""
    stack = ExitStack()
    sql = f"SELECT number FROM numbers({rows})".encode()
    head = f"POST /?default_format=Native HTTP/1.1\r\nHost: a\r\nX-ClickHouse-Key: {TOKEN}\r\n"
    for _ in range(count):
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
        connection.sendall(f"{head}Content-Length: {len(sql)}\r\n\r\n".encode() + sql)
    return stack


def waiting_answers(process: psutil.Process) -> int:
    """Answers in files that have no name any more."""
    waiting = 0
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            waiting += "(deleted)" in str(link.readlink())
    return waiting


async def test_fifty_slow_readers_hold_neither_memory_nor_the_store(served: Served, data_dir: Path) -> None:
    process = psutil.Process(served.pid)
    assert (await served.ask("SELECT number FROM numbers(1000000)", default_format="Native")).status == 200  # warm
    before = process.memory_info().rss
    with slow_clients(served, 50, 1_000_000):  # 8 MB each
        await until(
            lambda: (
                len([one for one in process.net_connections() if one.status == "ESTABLISHED"]) >= 50
                and waiting_answers(process) >= 50
            ),
            60,
            "fifty answers that nobody reads",
        )
        async with asyncio.timeout(60):
            assert (await served.ask("SELECT count() FROM windows")).text == "8\n"
        assert process.memory_info().rss - before < 200 * MIB


async def test_a_question_whose_client_has_gone_away_is_ended(served: Served) -> None:
    endless = asyncio.create_task(
        served.ask("SELECT count() FROM numbers(1e9) AS a, numbers(1e9) AS b WHERE a.number = -b.number")
    )
    running = "SELECT count() FROM system.processes WHERE query LIKE '%-b.number%' AND query NOT LIKE '%LIKE%'"

    async def count() -> str:
        return (await served.ask(running)).text

    async with asyncio.timeout(20):
        while await count() == "0\n":
            await asyncio.sleep(0.02)
    endless.cancel()
    async with asyncio.timeout(20):
        while await count() != "0\n":
            await asyncio.sleep(0.02)


# Commands beside it


def test_other_commands_read_through_it(connect: Client, data_dir: Path) -> None:
    assert connect.command("SELECT 1") == 1  # from now on it has the store
    assert (data_dir / "store.gateway").stat().st_mode & 0o777 == 0o600
    done = loadflame("runs", "--json", data_dir=data_dir)
    assert [run["id"] for run in json.loads(done.stdout)] == ["run-1"]
    assert report_of(data_dir)["run"]["service"] == "shop"
    assert checks_of(data_dir)["I2"] is True
