"""What a service's own tracing is told of the load."""

import re

import pytest

from producers.load.engine import is_traced
from producers.load.plan import Plan
from producers.load.prepared import prepared_requests
from producers.load.rendering import rendering
from producers.load.trace_context import TraceContext, with_context

FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")


def test_every_request_has_a_trace_of_its_own() -> None:
    context = TraceContext("run-1", ["s"], [("search", ())])
    parents = [context.headers(0, 0)["traceparent"] for _ in range(100)]
    assert all(FORM.fullmatch(parent) for parent in parents)
    assert len({parent.split("-")[1] for parent in parents}) == 100


def test_baggage_names_run_endpoint_and_stage_and_is_percent_encoded() -> None:
    context = TraceContext("run 1", ["warm", "map[3]"], [("a", ()), ("caf\u00e9, b=c", ())])
    baggage = context.headers(1, 1)["baggage"]
    assert baggage == "loadflame.run=run%201,loadflame.endpoint=caf%C3%A9%2C%20b%3Dc,loadflame.stage=map%5B3%5D"


OURS = {"baggage": "loadflame.run=r", "traceparent": "00-1-2-01"}
APPENDED = [
    ({}, OURS),
    ({"X": "y", "Baggage": "user=7"}, {"X": "y", "baggage": "user=7,loadflame.run=r", "traceparent": "00-1-2-01"}),
    ({"baggage": "a=1", "BAGGAGE": "b=2"}, {"baggage": "a=1,b=2,loadflame.run=r", "traceparent": "00-1-2-01"}),
    ({"baggage": ""}, OURS),
    ({"TraceParent": "00-3-4-00"}, {"TraceParent": "00-3-4-00", "baggage": "loadflame.run=r"}),
]


@pytest.mark.parametrize(("own", "sent"), APPENDED)
def test_what_a_request_has_of_its_own_stays_and_ours_is_appended_in_one_header(own, sent) -> None:
    assert with_context(own, OURS) == sent


def plan_of(*stages: dict[str, object], **request: object) -> Plan:
    stages = stages or ({"name": "s", "hold": 1, "for": "1s"},)
    requests = [{"name": "only", "path": "/"} | request]
    return Plan.model_validate({"target": "http://127.0.0.1:1", "stages": stages, "requests": requests})


RENDERED = [
    # (the plan's headers, lines to be added, lines about the context that are sent for arrival 7)
    ({}, "", []),
    ({}, "baggage: b\r\ntraceparent: t\r\n", ["baggage: b", "traceparent: t"]),
    ({"Baggage": "n={{counter}}"}, "", ["baggage: n=7"]),
    ({"Baggage": "n={{counter}}"}, "baggage: b\r\ntraceparent: t\r\n", ["baggage: n=7,b", "traceparent: t"]),
    ({"Baggage": "x=1", "baggage": "y=2"}, "baggage: b\r\n", ["baggage: x=1,y=2,b"]),
    ({"baggage": ""}, "baggage: b\r\n", ["baggage: b"]),
    ({"traceparent": "p-{{counter}}"}, "baggage: b\r\n", ["traceparent: p-7", "baggage: b"]),
]


@pytest.mark.parametrize(("headers", "lines", "sent"), RENDERED)
def test_the_bytes_of_a_request_hold_the_same(headers, lines, sent) -> None:
    request = prepared_requests(plan_of(headers=headers))[0]
    rendered = rendering(request)(7, lines).decode().split("\r\n")
    assert [line for line in rendered if line.lower().startswith(("baggage", "traceparent"))] == sent


def test_a_traceparent_of_the_plan_is_the_only_one() -> None:
    context = TraceContext("r", ["s"], [("a", ["TraceParent"])])
    assert list(context.headers(0, 0)) == ["baggage"]


DEFAULTS = [
    ({"hold": 5_000, "for": "1s"}, {}, True),
    ({"hold": 5_001, "for": "1s"}, {}, False),
    ({"spike": [10, 9_000], "for": "30s"}, {}, False),
    ({"hold": 9_000, "for": "1s"}, {"trace_context": True}, True),
    ({"hold": 9, "for": "1s"}, {"trace_context": False}, False),
    ({"hold": 9_000, "for": "1s"}, {"engine": "aiohttp"}, True),
    ({"users": 500, "think": "1s", "for": "1s"}, {}, True),
    ({"users": 500, "for": "1s"}, {}, False),
]


@pytest.mark.parametrize(("stage", "more", "traced"), DEFAULTS)
def test_requests_are_traced_unless_wire_is_to_run_at_full_speed_or_the_plan_says_otherwise(stage, more, traced):
    assert is_traced(plan_of({"name": "s"} | stage).model_copy(update=more)) is traced
