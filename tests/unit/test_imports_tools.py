"""What each tool's lines say: a table of lines by hand, each with the outcome that it must become."""

import json
from collections.abc import Callable, Iterable, Iterator

import pytest

from producers.imports import Dropped, Outcome, Tally, jmeter, k6, locust, vegeta
from producers.imports.outcome import Line

NOW_US = 1_800_000_000_000_000
Parsed = Outcome | Dropped
Read = Callable[[Iterable[Line], Tally], Iterator[Parsed]]


def read_all(outcomes: Read, *texts: str) -> tuple[list[Parsed], Tally]:
    tally = Tally(until_us=NOW_US)
    return list(outcomes([Line(number, text) for number, text in enumerate(texts, 1)], tally)), tally


def read(outcomes: Read, *texts: str) -> tuple[list[Outcome], Tally]:
    told, tally = read_all(outcomes, *texts)
    return [one for one in told if isinstance(one, Outcome)], tally


def only(outcomes: Read, *texts: str) -> Outcome:
    (outcome,), tally = read(outcomes, *texts)
    assert tally.unknown == 0, tally.examples
    return outcome


def k6_point(metric: str = "http_req_duration", value: object = 12.5, **tags: object) -> str:
    data = {"time": "2026-11-23T22:00:01.5+01:00", "value": value}
    known = {"method": "GET", "name": "http://127.0.0.1/search?q=1", "status": "200", "expected_response": "true"}
    return json.dumps({"metric": metric, "type": "Point", "data": data | {"tags": known | tags}})


SENT_US = 1_795_467_601_487_500
"""2026-11-23T22:00:01.5+01:00 less 12.5 ms."""


def test_a_duration_point_of_k6_is_a_request_that_began_its_value_before_its_time():
    assert only(k6.outcomes, k6_point()) == Outcome(SENT_US, 12_500, 200, None, "GET /search")


@pytest.mark.parametrize(
    ("tags", "status", "error"),
    [
        ({"status": "503", "expected_response": "false"}, 503, "http 503"),
        ({"status": "404", "expected_response": "true"}, 404, None),
        ({"status": "302", "expected_response": "false"}, 302, "check failed"),
        ({"status": "500", "expected_response": None}, 500, "http 500"),
        ({"status": "0", "error_code": "1212", "error": "x", "expected_response": "false"}, 0, "refused"),
        ({"status": "0", "error_code": "1050", "error": "request timeout", "expected_response": "false"}, 0, "timeout"),
        ({"status": "0", "error": "lookup: no such host", "expected_response": "false"}, 0, "unresolvable"),
        ({"status": "0", "error": "EOF", "expected_response": "false"}, 0, "closed"),
    ],
)
def test_k6_itself_says_which_answers_it_expected(tags: dict[str, object], status: int, error: str | None):
    outcome = only(k6.outcomes, k6_point(**tags))
    assert (outcome.status, outcome.error) == (status, error)


def test_a_name_that_k6_was_given_is_the_endpoint_and_an_address_loses_host_and_query():
    names = {"search": "search", "https://shop.example:8443/a/b?token=1#x": "GET /a/b", "http://shop.example": "GET /"}
    assert {name: only(k6.outcomes, k6_point(name=name)).endpoint for name in names} == names


def test_other_points_and_the_metrics_of_k6_are_counted_as_understood():
    metric = json.dumps({"type": "Metric", "metric": "http_reqs", "data": {"name": "http_reqs"}})
    outcomes, tally = read(k6.outcomes, metric, k6_point("http_reqs", 1), k6_point("iterations", 1), k6_point())
    assert len(outcomes) == 1
    assert (tally.lines, tally.requests, tally.others, tally.unknown) == (4, 1, 3, 0)


def test_iterations_that_k6_dropped_are_arrivals_that_were_never_sent():
    line = "dropped_iterations,scenario=default value=2 1795467602500000000"
    told, tally = read_all(k6.outcomes, k6_point(), k6_point("dropped_iterations", 3), line)
    assert told[1:] == [Dropped(SENT_US + 12_500, 3), Dropped(SENT_US + 1_012_500, 2)]
    assert (tally.lines, tally.requests, tally.others, tally.dropped, tally.unknown) == (3, 1, 2, 5, 0)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (k6_point("dropped_iterations", -1), "which cannot be"),
        (k6_point("dropped_iterations", 1e10), "which cannot be"),
        (k6_point("dropped_iterations", 1).replace("2026", "2127"), "in the future"),
        (k6_point("dropped_iterations", 1).replace("2026", "2023"), "3 days"),
    ],
)
def test_a_damaged_count_of_dropped_iterations_is_counted_as_not_understood(line: str, why: str):
    told, tally = read_all(k6.outcomes, k6_point(), line)
    assert len(told) == tally.unknown == 1
    assert tally.dropped == 0
    assert why in tally.examples[0].why


def test_a_kafka_message_of_k6_in_influxdb_form_says_the_same_as_its_json():
    line = (
        r"http_req_duration,expected_response=true,method=GET,name=a\ \,b\=c,scenario=default,status=200 "
        r'url="http://h/x, y=\"1\"",value=12.5 1795467601500000000'
    )
    assert only(k6.outcomes, line) == Outcome(SENT_US, 12_500, 200, None, "a ,b=c")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("http_req_duration,status=200 value=12.5", "neither JSON nor a whole line"),
        ('http_req_duration,status=200 url="http://h 1795467601500000000', "cut short"),
        ("http_req_duration,status value=1 1795467601500000000", "cut short"),
        ("http_req_duration,status=200 other=1 1795467601500000000", "value is missing"),
        (k6_point()[:-20], "not whole JSON"),
        (k6_point(value="much"), "value is 'much', no number"),
        (k6_point(value=-1), "which cannot be"),
        (k6_point(value=float("inf")), "which cannot be"),
        (k6_point(value=float("nan")), "which cannot be"),
        (k6_point(status="2OO"), "status is '2OO'"),
        (k6_point(value=True), "value is no number"),
        (k6_point().replace("+01:00", ""), "no time with a zone"),
        (k6_point().replace("2026", "2127"), "in the future"),
        (k6_point().replace("2026", "1926"), "before 1970"),
        ('{"type": "Point", "data": []}', "no point or metric of k6"),
        ("[1, 2]", "neither JSON nor"),
        ('{"a": ' + "[" * 100_000, "nested too deep"),
    ],
)
def test_a_damaged_line_of_k6_is_counted_with_its_number_and_the_next_one_is_read(line: str, why: str):
    outcomes, tally = read(k6.outcomes, k6_point(), line, k6_point())
    assert len(outcomes) == 2
    assert (tally.lines, tally.unknown) == (3, 1)
    assert tally.examples[0].number == 2
    assert why in tally.examples[0].why


VEGETA = {
    "attack": "a",
    "seq": 7,
    "code": 200,
    "timestamp": "2026-11-23T22:00:01.123456789+01:00",
    "latency": 12_500_999,
    "bytes_out": 3,
    "bytes_in": 2048,
    "error": "",
    "body": "aGk=",
    "method": "POST",
    "url": "http://127.0.0.1:8080/cart?id=1",
    "headers": None,
}


def vegeta_csv(**changes: object) -> str:
    row = VEGETA | {"timestamp": 1_795_467_601_123_456_789, "headers": "SGk="} | changes
    return ",".join(str(row[name]) for name in vegeta.COLUMNS)


def test_json_and_csv_of_vegeta_say_the_same_to_the_microsecond():
    wanted = Outcome(1_795_467_601_123_456, 12_500, 200, None, "POST /cart", 3, 2048)
    assert only(vegeta.outcomes, json.dumps(VEGETA)) == wanted
    assert only(vegeta.outcomes, vegeta_csv()) == wanted


@pytest.mark.parametrize(
    ("code", "said", "error"),
    [
        (200, "", None),
        (302, "", None),
        (503, "503 Service Unavailable", "http 503"),
        (0, 'Get "http://h/?key=1": dial tcp 127.0.0.1:1: connect: connection refused', "refused"),
        (0, "net/http: request canceled (Client.Timeout exceeded while awaiting headers)", "timeout"),
        (0, "read tcp 127.0.0.1:2->127.0.0.1:1: read: connection reset by peer", "reset"),
        (0, "x509: certificate signed by unknown authority", "tls"),
        (0, "something new about http://h/?key=secret here", "something new about … here"),
        (0, "", "error"),
        (200, "unexpected EOF", "closed"),
    ],
)
def test_what_vegeta_says_of_a_failure_gets_a_short_name_without_addresses(code: int, said: str, error: str | None):
    assert only(vegeta.outcomes, json.dumps(VEGETA | {"code": code, "error": said})).error == error


def test_an_error_of_a_megabyte_is_named_at_once():
    said = only(vegeta.outcomes, json.dumps(VEGETA | {"code": 0, "error": "x" * (1 << 20)})).error
    assert said == "x" * 60
    point = only(k6.outcomes, k6_point(status="0", error="x" * (1 << 20), expected_response="false"))
    assert point.error == "x" * 60


def test_an_error_that_runs_over_two_lines_is_one_record():
    record = vegeta_csv(code=0, error='"first\nsecond, ""third"""')
    outcomes, tally = read(vegeta.outcomes, *record.split("\n"), vegeta_csv())
    assert [outcome.error for outcome in outcomes] == ['first second, "third"', None]
    assert (tally.lines, tally.requests, tally.unknown) == (3, 2, 0)


def test_a_record_cut_short_inside_quotes_swallows_nothing_of_what_follows():
    cut = vegeta_csv(code=0, error='"Get ""http://h')[:70]
    outcomes, tally = read(vegeta.outcomes, vegeta_csv(), cut, *[vegeta_csv()] * 30, cut, vegeta_csv(error='"a ""b"""'))
    assert len(outcomes) == 32
    assert [unknown.number for unknown in tally.examples] == [2, 33]
    assert (tally.lines, tally.requests, tally.unknown) == (34, 32, 2)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (vegeta_csv()[:40], "columns, not the 12"),
        (vegeta_csv(latency=-1), "latency is '-1'"),
        (vegeta_csv(latency=10**30), "latency"),
        (vegeta_csv(code=70_000), "code"),
        (vegeta_csv(bytes_in="many"), "bytes_in"),
        ('"a"b,1', "no whole CSV record"),
    ],
)
def test_a_damaged_record_of_vegeta_is_counted(line: str, why: str):
    outcomes, tally = read(vegeta.outcomes, vegeta_csv(), line)
    assert len(outcomes) == tally.unknown == 1
    assert why in tally.examples[0].why


LOCUST = {
    "start_time": 1_795_467_601.25,
    "response_time": 12.5,
    "method": "GET",
    "name": "/search?q=1",
    "status": 200,
    "error": "",
    "response_length": 512,
}


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({}, 200, None),
        ({"status": 404, "error": "HTTPError: 404 Client Error"}, 404, "http 404"),
        ({"status": 404}, 404, None),
        ({"status": 200, "error": "CatchResponseError: wrong total"}, 200, "check failed"),
        ({"status": 0, "error": "ConnectionRefusedError: [Errno 111] Connection refused"}, 0, "refused"),
        ({"status": 0}, 0, "error"),
        ({"status": None, "method": "grpc"}, 200, None),
        ({"status": None, "error": "TimeoutError: "}, 0, "timeout"),
    ],
)
def test_a_request_of_locust_failed_when_locust_says_so(changes: dict[str, object], status: int, error: str | None):
    outcome = only(locust.outcomes, json.dumps(LOCUST | changes))
    assert (outcome.status, outcome.error) == (status, error)
    assert (outcome.sent_at_us, outcome.latency_us, outcome.bytes_received) == (1_795_467_601_250_000, 12_500, 512)


def test_locust_names_an_endpoint_by_path_or_as_it_was_told():
    assert only(locust.outcomes, json.dumps(LOCUST)).endpoint == "GET /search"
    assert only(locust.outcomes, json.dumps(LOCUST | {"name": "search"})).endpoint == "search"


HEADER = (
    "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,failureMessage,bytes,sentBytes,"
    "grpThreads,allThreads,URL,Latency,IdleTime,Connect"
)
SAMPLE = "1795467601250,12,Search,200,OK,Users 1-1,text,true,,2781,133,1,1,http://h/s?q=1,11,0,3"


def test_a_sample_of_jmeter_is_read_by_the_names_of_its_columns():
    wanted = Outcome(1_795_467_601_250_000, 12_000, 200, None, "Search", 133, 2781)
    assert only(jmeter.outcomes, HEADER, SAMPLE) == wanted
    short = Outcome(1_795_467_601_250_000, 12_000, 200, None, "Search")
    assert only(jmeter.outcomes, "timeStamp;label;elapsed;success", "1795467601250;Search;12;true") == short


@pytest.mark.parametrize(
    ("said", "status", "error"),
    [
        (("200", "OK", "true", ""), 200, None),
        (("404", "Not Found", "true", ""), 404, None),
        (("500", "Server Error", "false", ""), 500, "http 500"),
        (("200", "OK", "false", "Test failed: text expected"), 200, "check failed"),
        (("Non HTTP response code: java.net.SocketTimeoutException", "Read timed out", "false", ""), 0, "timeout"),
        (("Non HTTP response code: org.apache.http.conn.HttpHostConnectException", "x", "false", ""), 0, "refused"),
        (("", "OK", "true", ""), 200, None),
    ],
)
def test_jmeter_decides_what_failed(said: tuple[str, str, str, str], status: int, error: str | None):
    code, message, success, failure = said
    line = f"1795467601250,12,Search,{code},{message},Users 1-1,text,{success},{failure},1,1,1,1,u,1,0,1"
    outcome = only(jmeter.outcomes, HEADER, line)
    assert (outcome.status, outcome.error) == (status, error)


def test_transactions_of_jmeter_are_no_requests_and_a_second_header_is_no_sample():
    total = '1795467601250,40,Buy,200,"Number of samples in transaction : 2, number of failing samples : 0",'
    total += "Users 1-1,,true,,1,1,1,1,null,1,0,1"
    outcomes, tally = read(jmeter.outcomes, HEADER, SAMPLE, total, HEADER, SAMPLE)
    assert len(outcomes) == 2
    assert (tally.lines, tally.others, tally.unknown) == (5, 3, 0)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (SAMPLE[:50], "columns where the header names 17"),
        (SAMPLE.replace("1795467601250", "2026/11/23 22:00:01"), "timestamp_format=ms"),
        (SAMPLE.replace(",12,", ",,"), "elapsed"),
    ],
)
def test_a_damaged_sample_of_jmeter_is_counted(line: str, why: str):
    outcomes, tally = read(jmeter.outcomes, HEADER, SAMPLE, line, SAMPLE)
    assert len(outcomes) == 2
    assert why in tally.examples[0].why


@pytest.mark.parametrize("line", [SAMPLE, "timeStamp,\r0", 'timeStamp,"elapsed', "timeStamp,elapsed"])
def test_samples_without_a_header_are_not_guessed(line: str):
    outcomes, tally = read(jmeter.outcomes, line, HEADER, SAMPLE)
    assert len(outcomes) == 1
    assert "header" in tally.examples[0].why


def test_one_damaged_time_does_not_make_a_run_of_a_decade():
    far = vegeta_csv(timestamp=1_495_467_601_123_456_789)
    outcomes, tally = read(vegeta.outcomes, vegeta_csv(), far)
    assert len(outcomes) == 1
    assert "3 days" in tally.examples[0].why
