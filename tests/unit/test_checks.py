"""What an answer must be to count as answered as asked."""

import gzip
import json
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.checking import MOST_BODY_BYTES, checks_of
from producers.load.checks import Check
from producers.load.plan import Request

GOODS = json.dumps({"items": [{"price": 7, "name": "tea", "there": True}], "total": 7.5, "none": None}).encode()
JSON = {"content-type": "application/json"}


def failed(check: dict, status: int = 200, headers: dict | None = None, content: bytes = GOODS) -> str | None:
    return checks_of([Check.model_validate(check)]).error_of(status, JSON if headers is None else headers, content)


HOLD = [
    {"status": 200},
    {"status": [200, 204]},
    {"header": {"name": "Content-Type"}},
    {"header": {"name": "content-type", "has": "json"}},
    {"json": {"path": "$.items[0].price"}},
    {"json": {"path": "$.items[0].price", "equals": 7}},
    {"json": {"path": "$['items'][0]['name']", "matches": "^te"}},
    {"json": {"path": "$.total", "at_least": 7.5, "at_most": 7.5}},
    {"json": {"path": "$.none", "equals": None}},
    {"json": {"path": "$.items[?@.price > 5].name", "equals": "tea"}},
    {"body": {"has": "tea"}},
    {"body": {"matches": '"price": *[0-9]'}},
]


@pytest.mark.parametrize("check", HOLD, ids=str)
def test_a_check_that_holds(check: dict) -> None:
    assert failed(check) is None


FAIL = [
    ({"status": 201}, "check status"),
    ({"header": {"name": "X-Other"}}, "check header X-Other"),
    ({"header": {"name": "Content-Type", "has": "html"}}, "check header Content-Type"),
    ({"json": {"path": "$.items[1].price"}}, "check json $.items[1].price"),
    ({"json": {"path": "$.items[0].price", "equals": 8}}, "check json $.items[0].price"),
    ({"json": {"path": "$.items[0].there", "equals": 1}}, "check json $.items[0].there"),
    ({"json": {"path": "$.items[0].name", "at_least": 1}}, "check json $.items[0].name"),
    ({"json": {"path": "$.total", "at_most": 7}}, "check json $.total"),
    ({"json": {"path": "$.total", "matches": "7"}}, "check json $.total"),
    ({"body": {"has": "coffee"}}, "check body coffee"),
    ({"body": {"matches": "c.ffee"}}, "check body c.ffee"),
]


@pytest.mark.parametrize(("check", "name"), FAIL, ids=str)
def test_a_check_that_fails_gives_the_request_its_name(check: dict, name: str) -> None:
    assert failed(check) == name


def test_without_a_check_of_the_status_an_error_is_an_error() -> None:
    assert failed({"body": {"has": "tea"}}, status=503) == "http 503"
    assert failed({"status": [200, 503]}, status=503) is None
    assert checks_of([]).error_of(404, {}, b"") == "http 404"


def test_the_first_check_that_fails_is_the_one_that_is_named() -> None:
    checks = checks_of([Check.model_validate(one) for one in ({"body": {"has": "off"}}, {"body": {"has": "on"}})])
    assert checks.error_of(200, {}, GOODS) == "check body off"


@pytest.mark.parametrize("inflated", [gzip.compress(GOODS), zlib.compress(GOODS)], ids=["gzip", "deflate"])
def test_a_compressed_body_is_inflated(inflated: bytes) -> None:
    encoding = "gzip" if inflated[:2] == b"\x1f\x8b" else "deflate"
    assert failed({"json": {"path": "$.total"}}, headers={"content-encoding": encoding}, content=inflated) is None


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({}, b"x" * (MOST_BODY_BYTES + 1) + b"tea"),
        ({"content-encoding": "gzip"}, gzip.compress(bytes(64 << 20) + b"tea")),
        ({"content-encoding": "gzip"}, b"tea"),
        ({}, b""),
    ],
    ids=["too long", "a bomb", "not inflatable", "empty"],
)
def test_what_cannot_be_looked_at_fails(headers: dict, content: bytes) -> None:
    assert failed({"body": {"has": "tea"}}, headers=headers, content=content) == "check body tea"


@given(st.binary(max_size=300), st.sampled_from(["", "gzip", "deflate", "br"]))
def test_no_body_raises(content: bytes, encoding: str) -> None:
    for check in (*HOLD, *(check for check, _ in FAIL)):
        failed(check, headers={"content-encoding": encoding}, content=content)


def test_json_that_is_too_deep_fails_its_check_and_nothing_else() -> None:
    assert failed({"json": {"path": "$.a"}}, content=b"[" * 500_000) == "check json $.a"


MISTAKES = [
    ({}, "exactly one of status, header, json and body"),
    ({"status": 200, "body": {"has": "x"}}, "exactly one of"),
    ({"body": {}}, "needs one of has and matches"),
    ({"body": {"matches": "("}}, "is no regular expression"),
    ({"json": {"path": "$.items["}}, "is no JSON path"),
    ({"json": {"path": "$.a", "above": 3}}, "above"),
]


@pytest.mark.parametrize(("check", "said"), MISTAKES, ids=str)
def test_a_check_that_is_none_is_said(check: dict, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Request.model_validate({"name": "r", "path": "/", "checks": [check]})
