"""What a service's own tracing is told of the load."""

import re

from producers.load.trace_context import TraceContext

FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")


def test_every_request_has_a_trace_of_its_own() -> None:
    context = TraceContext("run-1", ["s"], [("search", {})])
    parents = [context.headers(0, 0)["traceparent"] for _ in range(100)]
    assert all(FORM.fullmatch(parent) for parent in parents)
    assert len({parent.split("-")[1] for parent in parents}) == 100


def test_baggage_names_run_endpoint_and_stage_and_is_percent_encoded() -> None:
    context = TraceContext("run 1", ["warm", "map[3]"], [("a", {}), ("caf\u00e9, b=c", {})])
    baggage = context.headers(1, 1)["baggage"]
    assert baggage == "loadflame.run=run%201,loadflame.endpoint=caf%C3%A9%2C%20b%3Dc,loadflame.stage=map%5B3%5D"


def test_what_the_plan_sets_stays() -> None:
    context = TraceContext("r", ["s"], [("a", {"Baggage": "user=7", "TraceParent": "00-1-2-00"})])
    headers = context.headers(0, 0)
    assert headers["baggage"].startswith("user=7,loadflame.run=r,")
    assert "traceparent" not in headers
