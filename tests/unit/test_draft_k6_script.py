"""A plan from a k6 script: literal URLs, found by reading; the script is never run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load.drafts import Draft, DraftError, planned
from producers.load.drafts.k6_script import read_k6_script
from producers.load.plan import parse_plan
from tests.support.drafts import drafted

HEAD = "import http from 'k6/http';\n"
HOST = "http://127.0.0.1:8000"


def draft_of(body: str) -> Draft:
    return read_k6_script(HEAD + body)


CALLS = [
    (f"http.get('{HOST}/a?b=c')", [("GET", "/a?b=c")]),
    (f'http.get( "{HOST}/a" , {{ headers: h }})', [("GET", "/a")]),
    (f"http.get(`{HOST}/a`)", [("GET", "/a")]),
    (f"http.get('{HOST}' + '/a' + \"/b\")", [("GET", "/a/b")]),
    (f"http.get(('{HOST}/a'))", [("GET", "/a")]),
    (f"http.get('{HOST}/it\\'s\\u0041\\x42')", [("GET", "/it'sAB")]),
    (f"http.get(http.url`{HOST}/a/${{id}}`)", [("GET", "/a/1")]),
    (f"http.put('{HOST}/a'); http.patch('{HOST}/a'); http.del('{HOST}/a'); http.head('{HOST}/a')",
     [("PUT", "/a"), ("PATCH", "/a"), ("DELETE", "/a"), ("HEAD", "/a")]),
    (f"http.request('put', '{HOST}/a'); await http.asyncRequest('GET', '{HOST}/b')", [("PUT", "/a"), ("GET", "/b")]),
    (f"const res = check(http.get('{HOST}/a'), {{ ok: r => http.get('{HOST}/b') }})", [("GET", "/a"), ("GET", "/b")]),
    (f"const BASE = '{HOST}'; http.get(`${{BASE}}/a`); http.get(BASE + '/b')", [("GET", "/a"), ("GET", "/b")]),
    (f"const BASE = __ENV.BASE || '{HOST}'; http.get(`${{ BASE }}/a`)", [("GET", "/a")]),
    (f"let host = '{HOST}'; const api = `${{host}}/api`; http.get(`${{api}}/a`)", [("GET", "/api/a")]),
    (f"http.get('{HOST}/items/1'); http.get('{HOST}/items/2'); http.get('{HOST}/items/2')", [("GET", "/items/2")]),
    (f"// http.get('{HOST}/no')\n/* http.get('{HOST}/no') */ http.get('{HOST}/a')", [("GET", "/a")]),
    (f"log(\"http.get('{HOST}/no')\"); cache.get('{HOST}/no'); http.get('{HOST}/a')", [("GET", "/a")]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "requests"), CALLS, ids=[row[0][:60] for row in CALLS])
def test_literal_calls_become_requests(body, requests):
    draft = draft_of(body)
    assert [(request.method, request.path) for request in draft.requests] == requests
    assert draft.target == HOST


def test_the_module_may_have_any_name():
    draft = drafted(f"import web from \"k6/http\";\nweb.get('{HOST}/a');")
    assert [request.path for request in draft.requests] == ["/a"]


PLACES = [
    (f"http.get(`{HOST}/a/${{id}}/b`)", "/a/1/b", HOST, "${id}"),
    (f"http.get(`{HOST}/a?x=${{pick(['hush'])}}`)", "/a?x=1", HOST, "${...}"),
    (f"http.get('{HOST}/a/' + user.id)", "/a/1", HOST, "user.id"),
    (f"http.get('{HOST}/a/' + pick('hush'))", "/a/1", HOST, "pick(...)"),
    ("http.get(`${BASE}/a`)", "/a", "", "${BASE}"),
    ("http.get(`http://${__ENV.HOST}:80/a`)", "/a", "", "${__ENV.HOST}"),
    ("http.get(__ENV.BASE + '/a')", "/a", "", "__ENV.BASE"),
    (f"const a = '{HOST}/x/' + id; http.get(a + '/b')", "/b", "", "a"),
]


@pytest.mark.parametrize(("body", "path", "target", "named"), PLACES, ids=[row[0] for row in PLACES])
def test_a_part_that_only_running_would_tell_is_said_by_name(body, path, target, named):
    draft = draft_of(body)
    assert ([request.path for request in draft.requests], draft.target) == ([path], target)
    assert f"not understood, so 1 or the target stands in its place: {named}" in draft.notes
    assert "hush" not in repr(draft)


LEFT_OUT = [
    ("http.get(url)", "1 call left out whose method or URL is not literal"),
    ("http.get()", "1 call left out whose method or URL is not literal"),
    (f"http.request(method, '{HOST}/a')", "1 call left out whose method or URL is not literal"),
    (f"http.batch([['GET', '{HOST}/a']])", "1 call left out whose method or URL is not literal"),
    ("http.get('https://other.test/a')", "1 request to other origins left out"),
]


@pytest.mark.parametrize(("call", "said"), LEFT_OUT)
def test_what_is_left_out_is_counted(call, said):
    draft = draft_of(f"http.get('{HOST}/kept');" * 2 + call)
    assert [(request.path, request.weight) for request in draft.requests] == [("/kept", 2)]
    assert said in draft.notes


BODIES = [
    ("'{\"item\": 7}'", ({"item": 7}, None), False),
    ('\'{"item": 7, "password": "hush"}\'', ({"item": 7, "password": "REDACTED"}, None), False),
    ("null", (None, None), False),
    ("JSON.stringify({ item: 7 })", (None, None), True),
    ("payload", (None, None), True),
    ("'password is hush'", (None, None), True),
]


@pytest.mark.parametrize(("body", "sent", "said"), BODIES)
def test_a_literal_body_is_sent_and_another_is_said_to_be_missing(body, sent, said):
    draft = draft_of(f"http.post('{HOST}/a', {body}, {{ headers: {{ Authorization: 'hush' }} }})")
    (request,) = draft.requests
    assert (request.method, (request.json_, request.body)) == ("POST", sent)
    assert ("1 body that is not literal JSON or a form left out: add it to the plan" in draft.notes) == said
    assert "hush" not in repr(draft)


def test_a_script_without_requests_is_said():
    with pytest.raises(DraftError, match="holds no request to plan"):
        drafted(HEAD + "export default function () {}")


@pytest.mark.parametrize("opening", ["/*", "`", "'", '"', "http.get(", "http.get(`${", "(", "import"])
def test_a_script_of_nothing_but_openings_is_read_in_one_go(opening):
    read_k6_script(opening * 5_000)


def test_constants_that_double_each_other_do_not_fill_the_memory():
    doubling = "".join(f"const a{n} = `${{a{n - 1}}}${{a{n - 1}}}`; " for n in range(1, 60))
    draft = draft_of(f"const a0 = '{HOST}/'; {doubling} http.get(a1); http.get(a0 + a59);")
    assert len(draft.requests) == 2
    assert "not understood, so 1 or the target stands in its place: a59" in draft.notes


pieces = st.sampled_from(
    [
        *"'\"`+(),;{}$\\/*|=.",
        "\n",
        "http.get(",
        "http.request(",
        f"'{HOST}/a'",
        "`${x}/a`",
        "\\ud800",
        "const A = ",
        "A",
    ]
)


@given(given=st.lists(pieces, max_size=30).map("".join) | st.text(max_size=60))
def test_whatever_a_script_holds_the_plan_that_is_made_of_it_can_be_read(given):
    draft = draft_of(f"http.get('{HOST}/kept'); " + given)
    plan, _ = planned(draft, target=None, service=None)
    assert parse_plan(plan.to_yaml(), "plan.yaml") == plan
