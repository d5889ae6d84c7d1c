"""Heads of answers, read as RFC 9110 and RFC 9112 say."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.answers import ends_with_connection, redirected, status_of


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 302 Found", *lines, "", "")).encode()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (head("Server: old"), 302),
        (b"HTTP/1.0 200 OK\r\nContent-", 200),
        (b"HTTP/1.1 204\r\n", 204),  # without a reason
        (b"HTTP/1.1 20", 0),
        (b"HTTP/2 200 OK\r\n", 0),
        (b"220 mail.example.org ESMTP\r\n", 0),
        (b"", 0),
    ],
)
def test_a_status_counts_once_its_line_has_come_so_far(answer: bytes, status: int) -> None:
    assert status_of(answer) == status


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        (head("Server: old"), True),
        (head("content-LENGTH : 5"), False),
        (head("Transfer-Encoding: chunked"), False),
        (head("X-Content-Length: 5"), True),
        (head("Server: old")[:-2], False),  # who knows what would have come
        (b"", False),
    ],
)
def test_only_a_whole_head_without_a_length_lets_the_connection_end_the_body(answer: bytes, *, ends: bool) -> None:
    assert ends_with_connection(answer) == ends


URL = "http://127.0.0.1:8080/a/b?c=d"
REDIRECTS = [
    ("GET", 302, "/e", ("GET", "http://127.0.0.1:8080/e")),
    ("GET", 301, "e?f=g", ("GET", "http://127.0.0.1:8080/a/e?f=g")),
    ("GET", 308, "https://shop.test/x", ("GET", "https://shop.test/x")),
    ("POST", 302, "/e", ("GET", "http://127.0.0.1:8080/e")),
    ("POST", 307, "/e", ("POST", "http://127.0.0.1:8080/e")),
    ("HEAD", 303, "/e", ("HEAD", "http://127.0.0.1:8080/e")),
    ("GET", 304, "/e", None),
    ("GET", 200, "/e", None),
]


@pytest.mark.parametrize(("method", "status", "location", "leads"), REDIRECTS)
def test_a_redirect(method: str, status: int, location: str, leads: tuple[str, str] | None) -> None:
    found = redirected(method, URL, status, head("Server: x", f"location:  {location} "))
    assert (found and (found[0], str(found[1]))) == leads


def test_a_redirect_that_names_no_place_is_an_answer_like_any_other() -> None:
    assert redirected("GET", URL, 302, head("Server: x")) is None


@given(st.binary(max_size=80), st.sampled_from([301, 302, 303, 307, 308]))
def test_no_location_breaks_more_than_its_own_request(location: bytes, status: int) -> None:
    with contextlib.suppress(ValueError):  # which the engine takes for an answer that leads nowhere
        redirected("GET", URL, status, b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n\r\n")
