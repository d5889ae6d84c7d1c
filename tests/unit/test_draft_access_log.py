"""A plan from an access log: which lines are understood, and what is made of many of them."""

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.drafts import Draft, DraftError, SeenRate, endpoints, planned
from producers.load.drafts import access_log as log
from producers.load.plan import parse_plan
from tests.support.drafts import drafted

COMBINED = '127.0.0.1 - - [23/Nov/2026:22:25:{second:02} +0000] "{request}" {status} 512 "-" "curl/8.5"'


def line(request: str = "GET /a HTTP/1.1", status: int = 200, second: int = 0) -> str:
    return COMBINED.format(request=request, status=status, second=second)


def draft_of(*lines: str, all_methods: bool = False) -> Draft:
    return drafted("\n".join(lines), "log", all_methods=all_methods)


LINES = [
    ("common", '127.0.0.1 - frank [10/Oct/2026:13:55:36 -0700] "GET /a?b=1 HTTP/1.0" 200 2326', "/a?b=1"),
    ("combined", '::1 - - [10/Oct/2026:13:55:36 -0700] "GET /a HTTP/2.0" 304 0 "http://x/y" "M 5 (X)"', "/a"),
    ("virtual host first", 'shop.test:80 ::1 - - [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 1 "-" "-"', "/a"),
    ("uvicorn", 'INFO:     127.0.0.1:51234 - "GET /a HTTP/1.1" 200 OK', "/a"),
    ("a blank in the user's name", '::1 - a b [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 -', "/a"),
    ("more behind it", line() + ' "-" rt=0.004', "/a"),
    ("a whole URL", line("GET http://shop.test/a?b HTTP/1.1"), "/a?b"),
    ("no version", line("GET /a"), "/a"),
    ("what a plan's path may not hold", line("GET /ä\\x22{{x}}#f HTTP/1.1"), "/%C3%A4%5Cx22%7B%7Bx%7D%7D"),
]


@pytest.mark.parametrize(("form", "text", "path"), LINES, ids=[row[0] for row in LINES])
def test_a_line_is_understood_and_its_kind_is_told(form, text, path):
    assert [request.path for request in drafted(text).requests] == [path]


LEFT_OUT = [
    ("hello", "1 line not understood"),
    (line("GET /a b HTTP/1.1"), "1 line not understood"),
    (line("OPTIONS * HTTP/1.1"), "1 line not understood"),
    (line("\\x16\\x03\\x01"), "1 line not understood"),
    (line("GET /" + "a" * 9000), "1 line not understood"),
    ("x" * (log.LINE_BYTES + 1), "1 line over 64 KiB skipped"),
    (line(status=404), "1 line with status 4xx or 5xx left out"),
    (line(status=500), "1 line with status 4xx or 5xx left out"),
    (line("GET /static/a.CSS?v=3 HTTP/1.1"), "1 request for static files left out"),
    (line("POST /a HTTP/1.1"), "1 request left out that may change state (POST); --all takes them in"),
]


@pytest.mark.parametrize(("text", "said"), LEFT_OUT, ids=[row[1] for row in LEFT_OUT])
def test_what_is_left_out_is_counted(text, said):
    draft = draft_of(line("GET /kept HTTP/1.1"), text, "", line("GET /kept HTTP/1.1"))
    assert [(request.path, request.weight) for request in draft.requests] == [("/kept", 2)]
    assert said in draft.notes


def test_what_changes_state_is_in_the_plan_when_asked_for():
    draft = draft_of(line("POST /a HTTP/1.1"), all_methods=True)
    assert [(request.name, request.method) for request in draft.requests] == [("POST /a", "POST")]


UUIDS = ["6f1e7a52-1d1b-4a8e-9f57-0a4a5a7d9c10", "6F1E7A52-1D1B-4A8E-9F57-0A4A5A7D9C11"]


def test_numbers_and_uuids_in_a_path_are_one_endpoint_shown_by_its_most_frequent_example():
    paths = ["/items/1?q=a", "/items/2?q=b", "/items/2?q=b", "/items/abc", *(f"/users/{one}/x" for one in UUIDS)]
    draft = draft_of(*(line(f"GET {path} HTTP/1.1") for path in paths))
    assert [(request.name, request.path, request.weight) for request in draft.requests] == [
        ("GET /items/{id}", "/items/2?q=b", 3),
        ("GET /users/{id}/x", f"/users/{UUIDS[0]}/x", 2),
        ("GET /items/abc", "/items/abc", 1),
    ]


def test_the_fifty_most_frequent_endpoints_are_planned_and_the_share_of_the_others_is_said():
    draft = draft_of(*(line(f"GET /{letter}{n}x HTTP/1.1") for n in range(52) for letter in ("a",) * (2 if n else 1)))
    assert len(draft.requests) == log.MOST_ENDPOINTS
    assert "/a0x" not in [request.path for request in draft.requests]
    assert "2 rarer endpoints left out (2.9% of the requests)" in draft.notes


def test_the_rates_seen_become_levels_over_an_eightfold_range_up_to_the_peak():
    draft = draft_of(*[line(second=1)] * 40, *[line(second=3)] * 160, *[line(second=4)] * 60)
    assert draft.seen == SeenRate(median_tps=60.0, peak_tps=160.0)
    assert "seen: 60 requests per second (median), 160 (peak)" in draft.notes
    plan, _ = planned(draft, target=None, service=None)
    assert plan.stages[0].levels == (20, 40, 80, 160)


def test_a_log_without_times_tells_no_rate():
    assert draft_of('INFO:     127.0.0.1:51234 - "GET /a HTTP/1.1" 200 OK').seen is None


SECRETS = [
    ("/a?access_token=hush", "/a?access_token=REDACTED"),
    ("/a?x=1&api-key=hush&y", "/a?x=1&api-key=REDACTED&y"),
    ("/a?Password=hush", "/a?Password=REDACTED"),
    ("/a?code=hush", "/a?code=REDACTED"),
    ("/a?x=eyJhbGciOiJI.hush", "/a?x=REDACTED"),
    ("/a/eyJhbGciOiJI.hush.hush/b", "/a/REDACTED/b"),
    ("/a?author=me&tokens=3&postcode=1", "/a?author=me&tokens=3&postcode=1"),
    ("/a?token=", "/a?token="),
]


@pytest.mark.parametrize(("path", "kept"), SECRETS)
def test_a_secret_in_a_url_does_not_get_into_the_plan_nor_into_a_note(path, kept):
    draft = draft_of(line(f"GET {path} HTTP/1.1"))
    assert draft.requests[0].path == kept
    assert "hush" not in "".join(draft.notes)
    assert any("REDACTED" in note for note in draft.notes) == ("REDACTED" in kept)


def test_no_more_than_the_first_bytes_of_a_huge_log_are_read(monkeypatch):
    monkeypatch.setattr(log, "LOG_BYTES", 2 * len(f"{line()}\n"))
    notes: list[str] = []
    assert len(list(log.log_lines(io.BufferedReader(io.BytesIO(f"{line()}\n".encode() * 9)), notes))) == 2
    assert notes == ["only the first 0 MiB are read"]


def test_however_wide_a_site_is_a_bounded_part_of_it_is_kept_and_every_request_is_counted(monkeypatch):
    monkeypatch.setattr(endpoints, "_MOST_ENDPOINTS", 2)
    monkeypatch.setattr(endpoints, "_MOST_EXAMPLES", 3)
    draft = draft_of(
        *(line(f"GET {path} HTTP/1.1") for path in ("/a/1", "/b", "/a/2", "/a/3", "/c", "/a/3", "/b", "/d"))
    )
    assert [(request.path, request.weight) for request in draft.requests] == [("/a/1", 4), ("/b", 2)]
    assert "2 requests to endpoints rarer than 20,000 others left out" in draft.notes


def test_a_line_without_an_end_is_not_held_in_memory_and_what_follows_it_is_read():
    data = b"x" * (5 * log.LINE_BYTES) + b"\n" + line().encode() + b"\n" + b"y" * (2 * log.LINE_BYTES)
    notes: list[str] = []
    assert list(log.log_lines(io.BufferedReader(io.BytesIO(data)), notes)) == [line()]
    assert notes == ["2 lines over 64 KiB skipped"]


pieces = st.sampled_from(
    [
        '"',
        "GET",
        "POST",
        " ",
        "/a",
        "/a?token=1",
        "[",
        "]",
        "HTTP/1.1",
        "200",
        "404",
        "\\",
        "\x00",
        "\ud800",
        "http://[",
        "%",
        "é",
    ]
)
lines = st.text(max_size=60) | st.lists(pieces, max_size=14).map("".join) | st.builds(
    line, st.text(max_size=30).map(lambda path: f"GET /{path} HTTP/1.1"), st.integers(0, 999)
)  # fmt: skip


@given(given=st.lists(lines, max_size=8))
def test_no_line_raises_and_every_line_is_planned_or_counted(given):
    notes: list[str] = []
    draft = log.read_log(given, notes, all_methods=True)
    counted = sum(int(note.split()[0]) for note in draft.notes if note[0].isdigit())
    assert counted + sum(request.weight for request in draft.requests) == len(given)
    if draft.requests:
        plan, _ = planned(draft, target=None, service=None)
        assert parse_plan(plan.to_yaml(), "plan.yaml") == plan


@given(data=st.binary(max_size=300))
def test_no_bytes_raise_anything_but_the_sentence_that_there_is_nothing_to_plan(data):
    with contextlib.suppress(DraftError):
        assert drafted(data, "log", all_methods=True).requests
