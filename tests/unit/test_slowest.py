"""Which requests are told of by their trace id."""

import pytest

from producers.natural import slowest
from producers.natural.slowest import Slowest


def test_of_each_endpoint_the_slowest_is_told_with_its_trace_and_the_slowest_endpoint_first() -> None:
    seen = Slowest()
    assert not seen.in_words()
    for endpoint, took_us, trace in (
        ("GET /a", 5_000, "a1"),
        ("GET /b", 12_812_345, "b1"),
        ("GET /a", 9_000, "a2"),
        ("GET /a", 8_000, "a3"),
        ("GET /c", 20, "c1"),
        ("GET /d", 10, "d1"),
    ):
        seen.see(endpoint, took_us, trace)
    assert seen.in_words() == (
        "the slowest requests that carried a trace id: "
        "GET /b 12,812 ms (trace b1), GET /a 9 ms (trace a2), GET /c 0.02 ms (trace c1)"
    )


def test_no_more_endpoints_are_kept_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slowest, "MOST_ENDPOINTS", 1)
    seen = Slowest()
    for endpoint, took_us in (("GET /a", 1_000), ("GET /b", 9_000), ("GET /a", 2_000)):
        seen.see(endpoint, took_us, "t")
    assert seen.in_words() == "the slowest requests that carried a trace id: GET /a 2 ms (trace t)"
