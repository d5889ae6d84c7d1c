"""A plan from a HAR file: what a browser recorded, without what is not meant for a service or for other eyes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.drafts import Draft, DraftError, planned
from producers.load.drafts.har import read_har
from producers.load.plan import parse_plan
from tests.support.drafts import drafted

SHOP = "https://shop.test"


def entry(
    url: str = f"{SHOP}/a", method: str = "GET", answer: str = "application/json", **request: Any
) -> dict[str, Any]:
    headers = [{"name": name, "value": value} for name, value in request.pop("headers", {}).items()]
    return {
        "request": {"method": method, "url": url, "headers": headers, **request},
        "response": {"status": 200, "content": {"mimeType": answer}},
    }


def har(*entries: Any) -> dict[str, Any]:
    return {"log": {"version": "1.2", "entries": list(entries)}}


def draft_of(*entries: Any, all_methods: bool = True) -> Draft:
    return read_har(har(*entries), all_methods=all_methods)


def test_a_recording_is_known_by_its_form_and_planned_by_endpoint():
    recording = har(
        entry(f"{SHOP}/items/1"), entry(f"{SHOP}/items/2"), entry(f"{SHOP}/items/2"), entry(f"{SHOP}/a?b=c#d")
    )
    draft = drafted("\ufeff" + json.dumps(recording))
    assert draft.target == SHOP
    assert [(request.name, request.path, request.weight) for request in draft.requests] == [
        ("GET /items/{id}", "/items/2", 3),
        ("GET /a", "/a?b=c", 1),
    ]


LEFT_OUT = [
    (entry("https://ads.test/x"), "1 request to other origins left out"),
    (entry("http://shop.test/a"), "1 request to other origins left out"),
    (entry("data:text/plain,x"), "1 entry without a URL of a server left out"),
    (entry("wss://shop.test/socket"), "1 entry without a URL of a server left out"),
    ("nonsense", "1 entry without a URL of a server left out"),
    (entry(f"{SHOP}/app.js?v=1"), "1 request for static files left out"),
    (entry(f"{SHOP}/logo", answer="image/png"), "1 request for static files left out"),
    (entry(f"{SHOP}/code", answer="text/javascript; charset=utf-8"), "1 request for static files left out"),
    (entry(method="OPTIONS"), "1 OPTIONS request of the browser's own left out"),
    (entry(method="POST"), "1 request left out that may change state (POST); --all takes them in"),
]


@pytest.mark.parametrize(("more", "said"), LEFT_OUT, ids=[f"{n} {row[1]}" for n, row in enumerate(LEFT_OUT)])
def test_what_is_left_out_is_counted(more, said):
    draft = draft_of(entry(), more, entry(), all_methods=False)
    assert [(request.path, request.weight) for request in draft.requests] == [("/a", 2)]
    assert said in draft.notes


def test_of_the_headers_only_accept_and_content_type_are_kept_and_authorization_comes_from_the_environment():
    headers = {
        "accept": "application/json",
        "AUTHORIZATION": "Bearer hush",
        "Cookie": "session=hush",
        "X-Api-Key": "hush",
        "content-type": "application/json",
    }
    draft = draft_of(entry(method="POST", headers=headers, postData={"mimeType": "application/json", "text": "{}"}))
    assert draft.requests[0].headers == {
        "Accept": "application/json",
        "Authorization": "${AUTHORIZATION}",
        "Content-Type": "application/json",
    }
    assert "hush" not in repr(draft)
    assert any(note.startswith("cookies left out") for note in draft.notes)
    assert "Authorization became ${AUTHORIZATION}; set that environment variable for the run" in draft.notes


@pytest.mark.parametrize("value", ["${PATH}", "a\r\nX: y", "ä", "x" * 301, ""])
def test_a_header_that_could_be_a_variable_or_more_than_one_is_not_kept(value):
    assert draft_of(entry(headers={"Accept": value})).requests[0].headers == {}


BODIES = [
    ("application/json", '{"a": 1}', ({"a": 1}, None)),
    ("application/vnd.x+json; charset=utf-8", "[]", ([], None)),
    ("text/plain", '{"a": 1}', ({"a": 1}, None)),
    ("application/json", "null", (None, "null")),
    ("application/x-www-form-urlencoded", "a=b+c&password=hush", (None, "a=b+c&password=REDACTED")),
    ("application/json", '{"a": {"Password": "hush"}, "pins": 3}', ({"a": {"Password": "REDACTED"}, "pins": 3}, None)),
    ("application/json", '[{"auth": {"by": ["hush", 7]}}]', ([{"auth": {"by": ["REDACTED", "REDACTED"]}}], None)),
    ("application/json", '{"x": "eyJhbGciOi.hush", "max_tokens": 9}', ({"x": "REDACTED", "max_tokens": 9}, None)),
]  # fmt: skip


@pytest.mark.parametrize(("media", "text", "sent"), BODIES)
def test_bodies_in_json_and_forms_are_kept_without_their_secrets(media, text, sent):
    draft = draft_of(entry(method="POST", postData={"mimeType": media, "text": text}))
    assert (draft.requests[0].json_, draft.requests[0].body) == sent
    assert "hush" not in repr(draft)


NO_BODIES = [
    {"mimeType": "multipart/form-data", "params": [{"name": "password", "value": "hush"}]},
    {"mimeType": "multipart/form-data; boundary=x", "text": "--x hush"},
    {"mimeType": "application/xml", "text": "<password>hush</password>"},
    {"mimeType": "application/json", "text": "password=hush"},
    {"mimeType": "application/json", "text": '{"a": NaN}'},
    {"mimeType": "application/json", "text": "[" * 200 + "]" * 200},
    {"mimeType": "application/json", "text": json.dumps("x" * 70_000)},
]


@pytest.mark.parametrize("post", NO_BODIES, ids=[f"{post['mimeType']} {str(post)[-20:]}" for post in NO_BODIES])
def test_a_body_that_secrets_cannot_be_found_in_or_that_is_too_large_is_left_out_with_its_request(post):
    draft = draft_of(entry(), entry(method="POST", postData=post))
    assert [request.method for request in draft.requests] == ["GET"]
    assert "1 request left out whose body is neither JSON nor a form, or too large" in draft.notes
    assert "hush" not in repr(draft)


def test_a_password_in_a_url_is_no_part_of_the_target():
    assert draft_of(entry("https://me:hush@shop.test:8443/a")).target == "https://shop.test:8443"


def test_a_plan_of_another_machine_says_so():
    _, notes = planned(draft_of(entry()), target=None, service=None)
    assert any(note.startswith(f"the target {SHOP} is another machine") for note in notes)
    plan, notes = planned(draft_of(entry()), target="http://127.0.0.1:8080", service=None)
    assert plan.target == "http://127.0.0.1:8080"
    assert not any("another machine" in note for note in notes)


@pytest.mark.parametrize("document", [{}, {"log": []}, {"log": {"entries": 3}}])
def test_what_is_no_har_is_said(document):
    with pytest.raises(DraftError, match="is no HAR file"):
        read_har(document, all_methods=False)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from([f"{SHOP}/a", "\ud800", "GET"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "request",
                    "response",
                    "url",
                    "method",
                    "headers",
                    "name",
                    "value",
                    "postData",
                    "mimeType",
                    "text",
                    "params",
                    "content",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
entries = st.builds(
    lambda path, method, headers, post: entry(f"{SHOP}/{path}", method, headers={"Accept": headers}, postData=post),
    st.text(max_size=10) | st.just("\ud800"),
    st.sampled_from(["GET", "post", "", "M-SEARCH"]),
    st.text(max_size=10),
    junk | st.builds(lambda text: {"mimeType": "application/json", "text": text}, junk.map(json.dumps)),
)


@given(given=st.lists(junk | entries, max_size=5))
def test_whatever_a_recording_holds_the_plan_that_is_made_of_it_can_be_read(given):
    draft = draft_of(*given)
    if draft.requests:
        plan, _ = planned(draft, target=None, service=None)
        assert parse_plan(plan.to_yaml(), "plan.yaml") == plan
    else:
        assert draft.notes or not given
