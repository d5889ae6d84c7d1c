"""The gateway's pure parts: what is asked, how much it may take, who may ask, and what is answered by hand."""

import base64
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadflame.gateways import may_lower_priority
from views.gateway.access import check_access
from views.gateway.call import Call, call_of, fields_of
from views.gateway.compression import chosen_encoding, compressed
from views.gateway.hello import empty_block, hello, is_hello
from views.gateway.judging import bare, called, own_format
from views.gateway.limits import Limits, engine_settings
from views.gateway.refusals import Refusal, refusal, refusal_of

# What is asked


def test_a_question_stands_in_the_field_in_the_body_or_in_both() -> None:
    assert call_of({"query": "SELECT 1"}, {}, "").sql == "SELECT 1"
    assert call_of({}, {}, "SELECT 1").sql == "SELECT 1"
    assert call_of({"query": "SELECT 1"}, {}, "+ 1").sql == "SELECT 1\n+ 1"


def test_fields_are_told_apart_and_whatever_else_is_a_setting() -> None:
    fields = {
        "query": "SELECT {run:String}",
        "database": "flames",
        "default_format": "Native",
        "client_protocol_version": "54460",
        "query_id": "q",
        "param_run": "r",
        "max_execution_time": "3",
        "password": "p",
        "user": "u",
    }
    call = call_of(fields, {}, "")
    assert (call.database, call.format, call.protocol, call.query_id) == ("flames", "Native", 54460, "q")
    assert call.parameters == {"run": "r"}
    assert call.settings == {"max_execution_time": "3"}


def test_database_and_format_may_stand_in_headers_and_rows_come_tab_separated() -> None:
    call = call_of({"query": "SELECT 1"}, {"X-ClickHouse-Database": "flames", "X-ClickHouse-Format": "JSON"}, "")
    assert (call.database, call.format) == ("flames", "JSON")
    assert call_of({"query": "SELECT 1"}, {}, "").format == "TabSeparated"


@pytest.mark.parametrize(
    ("fields", "code"), [({}, 62), ({"query": " "}, 62), ({"query": "SELECT 1", "compress": "1"}, 48)]
)
def test_no_question_and_a_compression_of_clickhouse_s_own_are_refused(fields: dict[str, str], code: int) -> None:
    with pytest.raises(Refusal) as caught:
        call_of(fields, {}, "")
    assert caught.value.code == code


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@given(st.text(min_size=1).filter(str.strip), words, st.dictionaries(words, st.text()), st.integers(0, 10**6))
def test_a_question_that_is_handed_on_is_the_same_question(
    sql: str, database: str, parameters: dict[str, str], protocol: int
) -> None:
    call = Call(sql, database, "Native", "id", protocol, parameters, {"max_result_rows": "5"})
    assert call_of(fields_of(call), {}, "") == call


# How much


@pytest.mark.parametrize(("asked", "taken"), [("5", 5), ("0", 30), ("3000", 30), ("0.5", 0.5)])
def test_a_question_may_ask_for_less_than_is_allowed_and_not_for_more(asked: str, taken: float) -> None:
    assert engine_settings(Limits(execution_s=30.0), {"max_execution_time": asked})["max_execution_time"] == taken


@pytest.mark.parametrize("asked", ["-1", "soon", "inf", "nan"])
def test_a_bound_that_is_none_is_refused(asked: str) -> None:
    with pytest.raises(Refusal, match="is no value of the setting max_execution_time"):
        engine_settings(Limits(), {"max_execution_time": asked})


def test_settings_of_the_answer_s_form_pass_those_of_the_transport_do_not_matter_and_others_are_refused() -> None:
    passed = engine_settings(
        Limits(), {"output_format_json_quote_64bit_integers": "1", "readonly": "0", "session_id": "s"}
    )
    assert passed["output_format_json_quote_64bit_integers"] == "1"
    assert not passed.keys() & {"readonly", "session_id"}
    for name in (
        "format_schema",
        "format_template_resultset",
        "dialect",
        "allow_experimental_eval_table_function",
        "x = 1, y",
    ):
        with pytest.raises(Refusal, match="Cannot modify") as caught:
            engine_settings(Limits(), {name: "1"})
        assert caught.value.code == 164


# What may be asked, in the engine's writing

CALLED = [
    ("SELECT file('a')", {"file"}),
    ("SELECT * APPLY file, b FROM numbers(3) AS t", {"file", "numbers"}),
    ("SELECT * APPLY (x -> file(x))", {"APPLY", "file", "x"}),
    ("SELECT * APPLY (file, 'p_')", {"APPLY", "file"}),
    ("SELECT 'file(', a, `a(b`, `x`(1), file FROM t", {"x"}),
    ("SELECT 'it\\'s file(' AS q", set()),
]


@pytest.mark.parametrize(("sql", "names"), CALLED)
def test_every_function_of_a_statement_is_found_and_no_text_is_taken_for_one(sql: str, names: set[str]) -> None:
    assert set(called(sql)) == names


def test_a_statement_s_own_format_is_told_from_a_name() -> None:
    assert own_format("SELECT 1 FORMAT CSV") == "CSV"
    assert own_format("SELECT 1 FORMAT CSV SETTINGS max_threads = 1, a = 'b\\' FORMAT c'") == "CSV"
    assert own_format("SELECT 1 AS FORMAT FROM t") is None
    assert bare("SELECT 1 FORMAT Native SETTINGS a = 'b, c', d = -1.5") == bare("SELECT 1") == "SELECT 1"


def test_where_threads_keep_their_priority_a_worker_answers_one_question_at_a_time(tmp_path: Path) -> None:
    status = tmp_path / "status"
    for effective, may in (("000001ffffffffff", True), ("0000000000800000", True), ("000001ffff7fffff", False)):
        status.write_text(f"Name:\tpython\nCapEff:\t{effective}\n")
        assert may_lower_priority(status) is may
    assert not may_lower_priority(tmp_path / "none")


# Who may ask

HOST = {"Host": "127.0.0.1:18123"}
WAYS = [
    ({"X-ClickHouse-Key": "secret"}, {}),
    ({"Authorization": "Bearer secret"}, {}),
    ({"Authorization": "Basic " + base64.b64encode(b"anybody:secret").decode()}, {}),
    ({}, {"password": "secret"}),
]


@pytest.mark.parametrize(("headers", "fields"), WAYS)
def test_the_token_may_come_by_any_way_of_a_password(headers: dict[str, str], fields: dict[str, str]) -> None:
    check_access(["other", "secret"], headers | {"Host": "far"}, fields)
    with pytest.raises(Refusal, match="give the token"):
        check_access(["hidden"], headers | HOST, fields)


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic ?"}, {"Authorization": "Basic /w=="}, {"X-ClickHouse-Key": ""}]
)
def test_without_the_token_nobody_is_let_in(headers: dict[str, str]) -> None:
    with pytest.raises(Refusal) as caught:
        check_access(["secret"], headers | HOST, {})
    assert (caught.value.code, caught.value.status) == (516, 401)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:18123", "127.1.2.3"])
def test_where_there_is_no_token_loopback_is_let_in(host: str) -> None:
    check_access([], {"Host": host}, {})


@pytest.mark.parametrize(
    "headers",
    [{"Host": "rebound.example:18123"}, {"Host": ""}, {"Host": "10.0.0.1"}, HOST | {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_page_of_another_site_is_not(headers: dict[str, str]) -> None:
    with pytest.raises(Refusal) as caught:
        check_access([], headers, {})
    assert caught.value.code == 516


# What is answered


def test_the_hello_is_told_from_a_question_of_the_same_words() -> None:
    sql = "SELECT displayName(), version(), revision(), timezone()"
    assert is_hello(Call(sql, format="Native", protocol=54460))
    assert is_hello(Call(f" {sql.lower()} ;\n", format="Native", protocol=1))
    assert not is_hello(Call(sql, format="Native"))
    assert not is_hello(Call(sql, format="JSON", protocol=54460))
    assert not is_hello(Call("SELECT version()", format="Native", protocol=54460))


def test_the_hello_is_a_block_with_its_info_and_a_byte_for_serialisation_a_column_and_revision_0() -> None:
    assert hello("26.9.2.1", "UTC") == (
        bytes.fromhex("01 00 02 ff ff ff ff 00 04 01")
        + b"\x0ddisplayName()\x06String\x00\x09loadflame"
        + b"\x09version()\x06String\x00\x0826.9.2.1"
        + b"\x0arevision()\x06UInt32\x00" + struct.pack("<I", 0)
        + b"\x0atimezone()\x06String\x00\x03UTC"
    )  # fmt: skip


def test_a_result_without_rows_still_says_its_columns() -> None:
    assert empty_block([("a", "UInt8"), ("é" * 100, "String")]) == (
        b"\x02\x00\x01a\x05UInt8" + b"\xc8\x01" + ("é" * 100).encode() + b"\x06String"
    )


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None), ("identity", None), ("br", None), ("gzip", "gzip"), ("gzip, deflate, br, zstd", "zstd"),
        ("lz4,zstd", "lz4"), ("gzip;q=0.5", "gzip"), ("gzip;q=0, zstd; q=0.000", None), ("GZIP", "gzip"),
    ],
)  # fmt: skip
def test_the_cheapest_of_the_compressions_that_are_asked_for_is_taken(accepted: str, encoding: str | None) -> None:
    assert chosen_encoding(accepted) == encoding


def test_little_is_not_compressed() -> None:
    assert compressed(memoryview(b"a" * 1023), "gzip") == (b"a" * 1023, None)
    data, encoding = compressed(memoryview(b"a" * 10_000), "gzip")
    assert encoding == "gzip"
    assert len(data) < 200


STATUSES = [(62, 400), (60, 404), (164, 403), (159, 408), (396, 413), (516, 401), (202, 503), (241, 500), (48, 501)]


@pytest.mark.parametrize(("code", "status"), STATUSES)
def test_each_code_of_the_engine_has_its_status(code: int, status: int) -> None:
    error = refusal_of(f"Code: {code}. DB::Exception: It went wrong. (SO)", "26.9")
    assert (error.code, error.status) == (code, status)
    assert error.text == f"Code: {code}. DB::Exception: It went wrong. (SO) (version 26.9)"


def test_what_the_engine_says_without_a_code_is_told_all_the_same() -> None:
    assert refusal_of("Unknown trouble", "26.9").code == 1002
    assert refusal(62, "Empty query").text == "Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR)"
