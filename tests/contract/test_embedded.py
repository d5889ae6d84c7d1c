"""The embedded engine as the gateway uses it: what it says of a statement, and what it refuses however it is asked."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from loadflame.gateways import may_lower_priority
from sinks.clickhouse import open_store
from sinks.connect import open_client
from sinks.embedded import LOWEST_PRIORITY, NOT_KEPT, EmbeddedReader, EngineError
from tests.support.polling import wait_until
from tests.support.synthetic import Synthetic, levels
from views.gateway.judging import checked, own_format
from views.gateway.limits import Limits, engine_settings
from views.gateway.refusals import Refusal


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded")


@pytest.fixture(scope="module")
def reader(folder: Path) -> Iterator[EmbeddedReader]:
    with closing(open_store(f"chdb://{folder}/store")) as store:
        Synthetic(stages=levels(visits=1, seconds=1)).write(store)
        with closing(EmbeddedReader(folder / "store", "loadflame")) as opened:
            yield opened


def judged(reader: EmbeddedReader, sql: str) -> str:
    return checked(reader.judge(sql), reader.table_functions, reader.version)


def ask(reader: EmbeddedReader, sql: str, fmt: str = "TSV", **limits: float) -> bytes:
    settings = engine_settings(Limits(**limits), {})
    return bytes(reader.ask(sql, fmt, tag="test", settings=settings).data)


READ = [
    "SELECT 1", "select 1;", " /* a */ SELECT 1 -- b", "(SELECT 1) UNION ALL (SELECT 2)", "FROM runs SELECT run",
    "WITH one AS (SELECT 1) SELECT * FROM one", "SELECT 1 FORMAT Native", "SHOW TABLES", "SHOW CREATE TABLE runs",
    "DESCRIBE runs", "DESCRIBE (SELECT 1)", "EXPLAIN SELECT 1", "EXISTS TABLE runs", "SELECT * FROM numbers(3)",
    "SELECT * FROM view(SELECT 1)", "SELECT format('{} file(', 'a')", "SELECT file, function FROM functions",
    "SELECT 'file(''/etc/passwd'')'", "SELECT * APPLY sum FROM numbers(3)", "SELECT {a:String}",
    "SELECT name FROM system.settings LIMIT 1", "SELECT arrayMap(x -> x + 1, [1])", "SELECT 1 IN (SELECT 1)",
    "SELECT `fi\\x6ce` FROM functions", "SELECT $$file(1)$$",
]  # fmt: skip
SYNTAX, READONLY, FUNCTION, TIMEOUT = 62, 164, 446, 159
REFUSED = [
    ("INSERT INTO runs_stored VALUES (1)", READONLY),
    ("-- a\n/* b */ INSERT INTO events_stored (run) SELECT 'a'", READONLY),
    ("INSERT INTO FUNCTION file('x') SELECT 1", READONLY),
    ("CREATE TABLE a (b UInt8) ENGINE = Memory", READONLY),
    ("CREATE TEMPORARY TABLE a (b UInt8)", READONLY),
    ("ALTER TABLE events_stored DELETE WHERE 1", READONLY),
    ("DELETE FROM events_stored WHERE 1", READONLY),
    ("DROP TABLE events_stored", READONLY),
    ("TRUNCATE TABLE events_stored", READONLY),
    ("OPTIMIZE TABLE events_stored", READONLY),
    ("SYSTEM STOP MERGES", READONLY),
    ("SYSTEM SHUTDOWN", READONLY),
    ("SET readonly = 0", READONLY),
    ("USE system", READONLY),
    ("KILL QUERY WHERE 1", READONLY),
    ("BACKUP TABLE events_stored TO File('x')", READONLY),
    ("GRANT SELECT ON *.* TO a", READONLY),
    ("EXECUTE AS default SELECT 1", READONLY),
    ("BEGIN TRANSACTION", READONLY),
    ("SELECT 1 INTO OUTFILE '/tmp/loadflame-outfile'", READONLY),
    ("SELECT 1; SELECT 2", SYNTAX),
    ("SELECT 1; DROP TABLE events_stored", SYNTAX),
    ("SELECT * FROM runs PARALLEL WITH SELECT 1", SYNTAX),
    ("SELECT", SYNTAX),
    ("SELEC 1", SYNTAX),
    ("SELECT 'a", SYNTAX),
    ("-- nothing", SYNTAX),
    ("SELECT {f:Identifier}('/etc/hostname')", SYNTAX),
    ("SELECT file('/etc/hostname')", FUNCTION),
    ("SELECT `f\\x69le`('/etc/hostname')", FUNCTION),
    ("SELECT \"file\"('/etc/hostname')", FUNCTION),
    ("SELECT file /* a */ ('/etc/hostname')", FUNCTION),
    ("SELECT * APPLY(file) FROM (SELECT '/etc/hostname')", FUNCTION),
    ("SELECT COLUMNS('a') APPLY `f\\x69le` FROM (SELECT '/etc/hostname' AS a)", FUNCTION),
    ("SELECT * APPLY(x -> file(x)) FROM (SELECT '/etc/hostname')", FUNCTION),
    ("SELECT * APPLY(file, 'p_') FROM (SELECT '/etc/hostname' AS a)", FUNCTION),
    ("SELECT COLUMNS('a') APPLY(toString) APPLY(`f\\x69le`, 'p_') FROM (SELECT '/etc/hostname' AS a)", FUNCTION),
    ("SELECT * REPLACE(file(a) AS a) FROM (SELECT '/etc/hostname' AS a)", FUNCTION),
    ("SELECT arrayMap(x -> file(x), ['/etc/hostname'])", FUNCTION),
    ("SELECT 'a' IN file('/etc/hostname', 'LineAsString')", FUNCTION),
    ("SELECT * FROM view(SELECT file('/etc/hostname'))", FUNCTION),
    ("WITH a AS (SELECT file('/etc/hostname')) SELECT * FROM a", FUNCTION),
    ("EXPLAIN SELECT file('/etc/hostname')", FUNCTION),
    ("SELECT * FROM file('/etc/hostname', 'LineAsString')", FUNCTION),
    ("SELECT * FROM FILE('/etc/hostname', 'LineAsString')", FUNCTION),
    ("SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a UInt8')", FUNCTION),
    ("DESCRIBE TABLE url('http://127.0.0.1:1/')", FUNCTION),
    ("SELECT * FROM s3('http://127.0.0.1:1/a/b', 'CSV', 'a UInt8')", FUNCTION),
    ("SELECT * FROM remote('127.0.0.1', system.one)", FUNCTION),
    ("SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')", FUNCTION),
    ("SELECT * FROM executable('id', 'TSV', 'a String')", FUNCTION),
    ("SELECT * FROM python(os)", FUNCTION),
    ("SELECT * FROM Python(os)", FUNCTION),
    ("SELECT * FROM eval('SELECT 1')", FUNCTION),
    ("SELECT * FROM sqlite('/tmp/a', 'b')", FUNCTION),
    ("SELECT aiGenerate('a', map())", FUNCTION),
]


@pytest.mark.parametrize("sql", READ)
def test_what_only_reads_the_store_may_be_asked(reader: EmbeddedReader, sql: str) -> None:
    assert judged(reader, sql)


@pytest.mark.parametrize(("sql", "code"), REFUSED)
def test_everything_else_is_refused_whatever_it_hides_behind(reader: EmbeddedReader, sql: str, code: int) -> None:
    with pytest.raises(Refusal) as caught:
        judged(reader, sql)
    assert caught.value.code == code
    assert caught.value.text.startswith(f"Code: {code}. DB::Exception: ")


def test_every_table_function_of_the_engine_is_refused_unless_it_is_known(reader: EmbeddedReader) -> None:
    assert len(reader.table_functions) > 80
    passed = set()
    for name in reader.table_functions:
        try:
            judged(reader, f"SELECT * FROM {name}(a)")
        except Refusal:
            continue
        passed.add(name)
    assert passed <= {
        "format", "generate_series", "generaterandom", "generateseries", "merge", "null", "numbers", "numbers_mt",
        "primes", "sqlstandardvalues", "values", "view", "zeros", "zeros_mt",
    }  # fmt: skip


WRITES = [
    "INSERT INTO events_stored (run) VALUES ('a')",
    "CREATE TABLE a (b UInt8) ENGINE = Memory",
    "DROP TABLE events_stored",
    "SYSTEM FLUSH LOGS",
    "SET max_execution_time = 0",
    "SELECT 1 SETTINGS max_execution_time = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a UInt8')",
    "SELECT * FROM default.`/etc/hostname`",
]


@pytest.mark.parametrize("sql", WRITES)
def test_the_engine_refuses_what_writes_even_if_nobody_looks_at_it_before(reader: EmbeddedReader, sql: str) -> None:
    with pytest.raises(EngineError, match=r"^Code: 164\. DB::Exception"):
        ask(reader, sql)


BOUNDED = [
    ("SELECT count() FROM numbers(1e13) WHERE number % 7 = 3", "TSV", 158),
    ("SELECT count() FROM numbers(1e6) AS a, numbers(1e6) AS b WHERE a.number + b.number = 7", "TSV", TIMEOUT),
    ("SELECT sleep(3)", "TSV", TIMEOUT),
    ("SELECT number FROM numbers(100000000)", "Native", 396),
    ("SELECT randomString(1000) FROM numbers(1000000)", "Native", 396),
    ("SELECT groupArray(number) FROM numbers(1e9)", "TSV", 241),
    ("SELECT toLowCardinality(materialize(repeat('x', 1000))) FROM numbers(500000)", "JSON", 241),
]


@pytest.mark.parametrize(("sql", "fmt", "code"), BOUNDED)
def test_no_question_takes_more_than_its_time_rows_bytes_and_memory(
    reader: EmbeddedReader, sql: str, fmt: str, code: int
) -> None:
    seconds = 0.5 if code == TIMEOUT else 60
    with pytest.raises(EngineError, match=f"^Code: {code}[.]"):
        ask(reader, sql, fmt, execution_s=seconds, result_bytes=20_000_000, memory_bytes=100_000_000)


def test_what_one_question_sets_does_not_bind_the_next(reader: EmbeddedReader) -> None:
    reader.ask("SELECT 1", "TSV", tag="a", settings={"max_result_rows": 1}, database="system")
    assert ask(reader, "SELECT currentDatabase() FROM numbers(2)") == b"loadflame\nloadflame\n"


def yielding_threads() -> int:
    """Threads of this process with the lowest priority. Source: proc(5), the 19th field of `stat`."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has just ended
            found += (task / "stat").read_text().rpartition(")")[2].split()[16] == "19"
    return found


@contextmanager
def endless(reader: EmbeddedReader) -> Iterator[list[str]]:
    """A question that is being answered until it is cancelled; what it failed with."""
    said: list[str] = []
    settings = engine_settings(Limits(execution_s=600, read_rows=10**15), {})

    def ask_it() -> None:
        try:
            reader.ask("SELECT max(sipHash64(number)) FROM numbers(1e13)", "TSV", tag="endless", settings=settings)
        except EngineError as error:
            said.append(str(error))

    thread = Thread(target=ask_it)
    thread.start()
    try:
        wait_until(
            lambda: b"1e13" in ask(reader, "SELECT query FROM system.processes"), 60, "the question in the engine"
        )
        yield said
    finally:
        reader.cancel("endless")
        thread.join(60)


def test_a_question_that_nobody_waits_for_is_ended(reader: EmbeddedReader) -> None:
    with endless(reader) as said:
        assert said == []
    assert len(said) == 1
    assert "QUERY_WAS_CANCELLED" in said[0]


@pytest.mark.skipif(
    not may_lower_priority() or os.getpriority(os.PRIO_PROCESS, 0) == LOWEST_PRIORITY,
    reason="needs CAP_SYS_NICE, and a priority above the lowest",
)
def test_what_reads_yields_to_what_writes_and_its_threads_go_back_to_their_priority(reader: EmbeddedReader) -> None:
    def usual() -> bool:
        reader.restore_priorities()
        return yielding_threads() == 0

    wait_until(usual, 60, "the end of what other tests asked")
    with endless(reader):
        wait_until(lambda: yielding_threads() >= 1, 60, "a thread that yields")
    wait_until(usual, 60, "the usual priority")


@pytest.mark.parametrize("setting", NOT_KEPT)
def test_nothing_is_kept_of_a_question_for_later_ones(reader: EmbeddedReader, folder: Path, setting: str) -> None:
    asked = f"SELECT toString(getSetting('{setting}'))"
    with closing(open_client(f"chdb://{folder}/store")) as client:
        assert client.query(asked).result_rows == [("false",)]
    assert ask(reader, asked) == b"false\n"


def test_values_are_read_as_clickhouse_s_interface_has_them(reader: EmbeddedReader) -> None:
    settings = engine_settings(Limits(), {})
    values = {"a": "it's \\\\ a\\ttab", "b": "['x']", "c": "\\N"}
    sql = "SELECT {a:String}, {b:Array(String)}, {c:Nullable(String)}"
    found = reader.ask(sql, "JSONCompactEachRow", tag="t", settings=settings, parameters=values)
    assert bytes(found.data) == b'["it\'s \\\\ a\\ttab", ["x"], null]\n'


def test_a_statement_s_own_format_is_seen_in_the_engine_s_writing(reader: EmbeddedReader) -> None:
    assert own_format(judged(reader, "select 1 settings max_threads=2, log_comment='x' format CSV")) == "CSV"
    assert own_format(judged(reader, "select 1 format CSV settings max_threads=2, log_comment='it\\'s'")) == "CSV"
    assert own_format(judged(reader, "select 1 as format")) is None


STATS = "SELECT * FROM system.jemalloc_stats"
LOADED_BY = {
    "a client": f"""
from sinks.connect import open_client
found = str(open_client(f"chdb://{{sys.argv[1]}}/store?database=default").query("{STATS}").result_rows)
""",
    "a reader": f"""
from sinks.embedded import EmbeddedReader
reader = EmbeddedReader(pathlib.Path(sys.argv[1]), "default")
found = str(bytes(reader.ask("{STATS}", "TSV", tag="", settings={{}}).data))
""",
}
WRITTEN = """
import os, pathlib, re, sys
before = dict(os.environ)
{loaded_by}
assert dict(os.environ) == before, "a service that we start has an allocator of its own"
for option in ("dirty_decay_ms", "tcache_max", "tcache_nslots_small_max"):
    print(re.search(f"opt.{{option}}: ([0-9]+)", found)[1])
"""


@pytest.mark.parametrize(
    ("loaded_by", "said", "kept"),
    [
        ("a client", {}, (500, 4096, 32)),
        ("a reader", {}, (500, 4096, 32)),
        ("a client", {"JE_MALLOC_CONF": "dirty_decay_ms:700"}, (700, 32768, 200)),
    ],
)
def test_the_engine_keeps_little_memory_for_later_unless_a_user_said_otherwise(
    tmp_path: Path, loaded_by: str, said: dict[str, str], kept: tuple[int, ...]
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "JE_MALLOC_CONF"} | said
    command = [sys.executable, "-c", WRITTEN.format(loaded_by=LOADED_BY[loaded_by]), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ([int(line) for line in done.stdout.split()], done.stderr) == ([*kept], "")


def test_an_engine_that_is_there_is_told_nothing_for_others_may_be_reading_the_environment(
    reader: EmbeddedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JE_MALLOC_CONF", raising=False)
    monkeypatch.setattr("sinks.embedded._FRUGAL", None)  # which no environment takes
    assert ask(reader, "SELECT 1") == b"1\n"
