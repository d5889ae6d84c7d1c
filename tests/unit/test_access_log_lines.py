"""Lines of access logs: what they say, and what is believed of it. No line stops anything."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.endpoint_names import endpoint_of
from producers.natural import json_lines, lines, text_lines
from producers.natural.entry import Entry, LineError
from producers.natural.moments import moment_of
from producers.natural.seen import error_of

AT_US = int(datetime(2026, 11, 27, 16, 41, 27, tzinfo=UTC).timestamp() * 1e6)
HEAD = '10.0.0.9 - - [27/Nov/2026:16:41:27 +0000] "GET /search?q=tea HTTP/1.1" 200 512'
SECOND = 1_000_000


def docker(line: str) -> str:
    record = {"log": f"{line}\n", "stream": "stdout", "time": "2026-11-27T16:41:27.123456789Z"}
    return json.dumps(record, separators=(",", ":"))


SEARCH = ("GET", "/search?q=tea", 200, AT_US, SECOND)


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        pytest.param(HEAD, Entry(*SEARCH, None, 512), id="common: no duration is no duration, not 0"),
        pytest.param(f'{HEAD} "-" "curl/8.5 (x86_64; 7.81 "', Entry(*SEARCH, None, 512), id="combined"),
        pytest.param(f'{HEAD} "-" "curl/8" 0.012', Entry(*SEARCH, 12_000, 512), id="nginx's $request_time, or %(L)s"),
        pytest.param(f'{HEAD} "-" "curl/8" 0.000', Entry(*SEARCH, 0, 512), id="under a millisecond, as nginx has it"),
        pytest.param(
            f'{HEAD} "-" "a" "10.0.0.1" rt=0.012 uct="0.001" urt="0.011"',
            Entry(*SEARCH, 12_000, 512),
            id="named, with what the upstream took beside it",
        ),
        pytest.param(f'{HEAD} "-" "a" 3.1 rt="0.012"', Entry(*SEARCH, 12_000, 512), id="a name counts before a place"),
        pytest.param(f'{HEAD} "-" "a" 12ms', Entry(*SEARCH, 12_000, 512), id="Traefik's, with its unit"),
        pytest.param(f'{HEAD} "-" "a" 12345', Entry(*SEARCH, None, 512), id="a whole number may be anything"),
        pytest.param(f'{HEAD} "-" "a" -', Entry(*SEARCH, None, 512), id="a duration that is not there"),
        pytest.param(f'{HEAD} "-" "a" 99999999.5', Entry(*SEARCH, None, 512), id="a duration that cannot be"),
        pytest.param(
            HEAD.replace("512", "-"), Entry(*SEARCH, None, 0), id="Apache writes a dash for an answer without a body"
        ),
        pytest.param(
            '127.0.0.1 [27/Nov/2026:18:41:27 +0200] "POST /pay HTTP/1.1" 503 9 "-" "x"',
            Entry("POST", "/pay", 503, AT_US, SECOND, None, 9),
            id="aiohttp's, in another zone",
        ),
        pytest.param(
            'INFO:     127.0.0.1:51234 - "GET /search?q=tea HTTP/1.1" 200 OK',
            Entry("GET", "/search?q=tea", 200),
            id="uvicorn's has no time",
        ),
        pytest.param(
            r'10.0.0.9 - - [27/Nov/2026:16:41:27 +0000] "\x16\x03\x01" 400 157 "-" "-"',
            Entry("", "", 400, AT_US, SECOND, None, 157),
            id="what was no HTTP",
        ),
    ],
)
def test_a_line_of_text(line: str, entry: Entry) -> None:
    assert text_lines.entry_of(line, None) == entry


def test_a_whole_number_is_a_duration_in_the_unit_that_somebody_said() -> None:
    line = f'{HEAD} "-" "a" 12345'
    assert [text_lines.entry_of(line, unit).latency_us for unit in ("us", "ms", "s")] == [12_345, 12_345_000, None]
    assert text_lines.entry_of(f'{HEAD} "-" "a" 0.012', "us").latency_us == 12_000


@pytest.mark.parametrize(
    ("record", "entry"),
    [
        pytest.param(
            {
                "time": "2026-11-27T16:41:27+00:00",
                "request": "GET /search?q=tea HTTP/2.0",
                "status": "200",
                "body_bytes_sent": "512",
                "request_time": "0.012",
            },
            Entry(*SEARCH, 12_000, 512),
            id="nginx with escape=json: every value is text",
        ),
        pytest.param(
            {
                "level": "info",
                "ts": AT_US / 1e6 + 0.25,
                "request": {"method": "GET", "uri": "/search?q=tea", "headers": {"Accept": ["*/*"]}},
                "duration": 0.012,
                "size": 512,
                "status": 200,
            },
            Entry("GET", "/search?q=tea", 200, AT_US + 250_000, 1000, 12_000, 512),
            id="Caddy: seconds as a float",
        ),
        pytest.param(
            {
                "Duration": 12_000_000,
                "OriginDuration": 11_000_000,
                "DownstreamStatus": 200,
                "DownstreamContentSize": 512,
                "RequestMethod": "GET",
                "RequestPath": "/search?q=tea",
                "time": "2026-11-27T16:41:27Z",
            },
            Entry(*SEARCH, 12_000, 512),
            id="Traefik: nanoseconds",
        ),
        pytest.param(
            {
                "@timestamp": "2026-11-27T16:41:27Z",
                "http": {"request": {"method": "GET"}, "response": {"status_code": 200}},
                "url": {"path": "/search?q=tea"},
                "event": {"duration": 12_000_000},
            },
            Entry(*SEARCH, 12_000, 0),
            id="Elastic Common Schema",
        ),
        pytest.param(
            {"method": "get", "path": "/search?q=tea", "status": 200, "duration_ms": 12, "time": AT_US // 1000},
            Entry("GET", "/search?q=tea", 200, AT_US, 1000, 12_000, 0),
            id="a service's own, with the unit in the name",
        ),
        pytest.param(
            {"method": "GET", "path": "/search?q=tea", "status": 200, "duration": 12, "time": "16:41"},
            Entry("GET", "/search?q=tea", 200),
            id="a duration of no unit and a time of no day are unknown",
        ),
        pytest.param({"status": 400, "request_time": 0.0}, Entry("", "", 400, latency_us=0), id="what was no HTTP"),
    ],
)
def test_a_line_of_json(record: dict[str, object], entry: Entry) -> None:
    assert json_lines.entry_of(json.dumps(record), None) == entry


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        pytest.param(f'{HEAD} "-" "x" 0.012', Entry(*SEARCH, 12_000, 512), id="text"),
        pytest.param('{"status": 200, "latency_ms": 12}', Entry("", "", 200, latency_us=12_000), id="JSON"),
        pytest.param(
            docker(f'{HEAD} "-" "x" 0.012'),
            Entry(*SEARCH, 12_000, 512),
            id="Docker's envelope: the line's own time holds",
        ),
        pytest.param(
            docker('{"status": 200}'),
            Entry("", "", 200, AT_US + 123_456, 1000),
            id="JSON in Docker's envelope, which has the time",
        ),
        pytest.param(
            f'2026-11-27T16:41:27.123456789Z stdout F INFO:     127.0.0.1:5 - "{HEAD.split(chr(34))[1]}" 200 OK',
            Entry("GET", "/search?q=tea", 200, AT_US + 123_456, 1000),
            id="uvicorn in Kubernetes",
        ),
    ],
)
def test_a_line_of_any_kind_in_the_envelope_of_a_container_too(line: str, entry: Entry) -> None:
    assert lines.entry_of(line, None) == entry


def test_a_duration_in_json_has_the_unit_that_somebody_said_where_it_says_none() -> None:
    line = json.dumps({"status": 200, "latency": 12})
    assert (json_lines.entry_of(line, "ms").latency_us, json_lines.entry_of(line, None).latency_us) == (12_000, None)


@pytest.mark.parametrize(
    "line",
    ["", "hello", '{"status": 200', "[" * 70_000, "{}", '{"status": true}', '{"status": 1e999}', '{"status": NaN}'],
)
def test_what_is_no_line_of_a_log_is_refused_with_a_reason(line: str) -> None:
    with pytest.raises(LineError):
        (json_lines if line.startswith(("{", "[")) else text_lines).entry_of(line, None)


@given(
    st.sampled_from([HEAD, f'{HEAD} "-" "x" 0.1', '{"status": 200, "ts": 1e9, "duration_ms": 3}']),
    st.integers(0, 90),
    st.text(max_size=20),
)
def test_whatever_is_put_into_a_line_it_is_read_or_refused(line: str, at: int, put: str) -> None:
    for bent in (line[:at] + put + line[at:], line[:at] + put):
        try:
            entry = (json_lines if bent.startswith("{") else text_lines).entry_of(bent, "ms")
        except LineError:
            continue
        assert 0 < entry.status < 1000
        assert entry.latency_us is None or 0 <= entry.latency_us < 2**32 - 1


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("27/Nov/2026:16:41:27 +0000", (AT_US, SECOND)),
        ("27/Nov/2026:11:41:27 -0500", (AT_US, SECOND)),
        ("2026-11-27T16:41:27.250Z", (AT_US + 250_000, 1000)),
        (f"{AT_US // 1_000_000}.250", (AT_US + 250_000, 1000)),
        ("2026-11-27 16:41:27", None),
        ("31/Feb/2026:16:41:27 +0000", None),
        ("31/Dec/9999:23:59:59 -9900", None),
    ],
)
def test_a_time_is_told_with_how_fine_it_is_and_one_without_a_zone_is_none(text: str, moment: object) -> None:
    assert moment_of(text) == moment


def test_many_paths_are_one_endpoint_and_no_query_is_in_its_name() -> None:
    assert endpoint_of("GET", "/items/4711/reviews?token=secret") == "GET /items/{id}/reviews"
    assert endpoint_of("GET", "http://shop.example/items/4711#top") == "GET /items/{id}"
    assert len(endpoint_of("GET", "/" + "x" * 9_000)) == 200


def test_the_service_fails_by_its_own_fault_or_when_its_client_gave_up() -> None:
    assert [error_of(status) for status in (200, 302, 404, 429, 499, 500, 503)] == [
        *[None] * 4,
        "http 499",
        "http 500",
        "http 503",
    ]
