"""Requests that are another for every arrival."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.load import prepared as room
from producers.load.feeds import FeedOverError, FeedRows, read_feed
from producers.load.plan import Plan, load_plan
from producers.load.plan_errors import PlanError
from producers.load.prepared import PreparedRequest, prepared_requests
from producers.load.rendering import rendering
from producers.load.templates import parse_template

USERS = FeedRows(("name", "age"), (("Ada", "36"), ("Grace", "85")), again=True)


def text(template: str, arrival: int = 0) -> str:
    return parse_template(template, {"users": USERS}).text(arrival)


def prepared(**request: object) -> PreparedRequest:
    plan = {"target": "http://127.0.0.1:1", "stages": [{"name": "s", "hold": 1, "for": "1s"}]}
    (only,) = prepared_requests(Plan.model_validate(plan | {"requests": [{"name": "only", "path": "/"} | request]}))
    return only


def test_the_counter_is_the_arrival() -> None:
    assert [text("order-{{counter}}", n) for n in range(3)] == ["order-0", "order-1", "order-2"]


def test_a_uuid_is_another_wherever_it_stands() -> None:
    both = text("{{uuid}} {{ uuid }}").split()
    assert len(set(both)) == 2
    form = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert all(re.fullmatch(form, one) for one in both)


def test_numbers_and_choices_take_all_their_values() -> None:
    assert {text("{{int(1, 3)}}") for _ in range(200)} == {"1", "2", "3"}
    assert {text("{{choice(green tea, coffee)}}") for _ in range(100)} == {"green tea", "coffee"}


def test_a_feed_gives_row_after_row_and_begins_anew() -> None:
    assert [text("{{users.name}} {{users.age}}", n) for n in range(3)] == ["Ada 36", "Grace 85", "Ada 36"]


def test_a_feed_that_does_not_begin_anew_ends() -> None:
    feed = FeedRows(("name",), (("Ada",),), again=False)
    template = parse_template("{{f.name}}", {"f": feed})
    assert template.text(0) == "Ada"
    with pytest.raises(FeedOverError):
        template.text(1)


MISTAKES = {
    "{{nothing}}": "the template {{nothing}} is not known; known are counter, uuid",
    "{{int(1)}}": "needs two whole numbers",
    "{{int(5, 1)}}": "needs two whole numbers, the lower first",
    "{{int(a, b)}}": "needs two whole numbers",
    "{{choice()}}": "has nothing to choose from",
    "{{goods.name}}": "names no feed of the plan; there are users",
    "{{users.size}}": "the feed users has no column 'size'; there are name, age",
    "{{__import__('os').system('ls')}}": "is not known",
}


@pytest.mark.parametrize(("template", "said"), MISTAKES.items())
def test_a_mistake_is_said_with_what_would_fit(template: str, said: str) -> None:
    with pytest.raises(PlanError, match=re.escape(said)):
        text(template)


@given(st.text(st.characters(codec="utf-8", exclude_characters="{}")))
def test_text_without_templates_stays(plain: str) -> None:
    template = parse_template(plain, {})
    assert (template.varies, template.text(0)) == (False, plain)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_values_cannot_leave_the_place_they_are_put_into(value: str) -> None:
    """A feed's row holds whatever people typed: no path, header or JSON changes its form for it."""
    feed = {"f": FeedRows(("v",), ((value,),), again=True)}
    path = parse_template("/a?q={{f.v}}&x=1", feed, room._in_path).text(0)
    assert parse_qs(urlsplit(path).query, keep_blank_values=True)["q"] == [value]
    assert json.loads(parse_template('{"v": "{{f.v}}"}', feed, room._in_json).text(0)) == {"v": value}
    assert not re.search(r"[\r\n\0]", parse_template("{{f.v}}", feed, room._in_header).text(0))


def test_a_request_is_rendered_once_where_nothing_varies_and_anew_where_something_does() -> None:
    constant, varying = rendering(prepared()), rendering(prepared(path="/{{counter}}"))
    assert constant(0, "") is constant(1, "")
    assert [varying(n, "").split()[1] for n in (0, 7)] == [b"/0", b"/7"]


def test_the_length_is_that_of_the_body_as_it_is_sent() -> None:
    render = rendering(prepared(method="POST", json={"n": "{{counter}}", "tea": "茶"}))
    for arrival in (0, 10**6):
        head, _, body = render(arrival, "").partition(b"\r\n\r\n")
        assert json.loads(body) == {"n": str(arrival), "tea": "茶"}
        assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")


def test_paths_are_percent_encoded_once() -> None:
    assert rendering(prepared(path="/caf\u00e9?q=a%20b|c"))(0, "").split()[1] == b"/caf%C3%A9?q=a%20b%7Cc"


FILES = {
    "users.csv": 'name,age\nAda,36\n"Grace, Rear Admiral",85\n',
    "users.jsonl": '{"name": "Ada", "age": 36}\n\n{"name": "Grace, Rear Admiral", "age": 85}\n',
}


@pytest.mark.parametrize("name", FILES)
def test_feeds_are_files_beside_the_plan(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name])
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"target: http://127.0.0.1:1\nfeeds: {{users: {{file: {name}}}}}\n"
        "stages: [{name: s, hold: 1, for: 1s}]\nrequests: [{name: r, path: '/{{users.name}}/{{users.age}}'}]\n"
    )
    loaded = load_plan(plan)
    again = tmp_path / "elsewhere" / "plan.yaml"
    again.parent.mkdir()
    again.write_text(loaded.to_yaml())
    for read in (loaded, load_plan(again)):
        (request,) = prepared_requests(read)
        assert request.url(1) == "http://127.0.0.1:1/Grace%2C%20Rear%20Admiral/85"


BAD_FEEDS = {
    "missing.csv": (None, "cannot be read"),
    "empty.csv": ("", "holds no rows"),
    "names.csv": ("name,age\n", "holds no rows"),
    "uneven.csv": ("a,b\n1\n", "row 2 has not as many fields"),
    "bytes.csv": (b"a\n\xff\xfe\n", "neither CSV nor JSON lines"),
    "broken.jsonl": ('{"a": 1}\n{"a"', "neither CSV nor JSON lines"),
    "list.jsonl": ("[1]\n", "every line is to be an object"),
    "other.jsonl": ('{"a": 1}\n{"b": 1}\n', "the same keys"),
}


@pytest.mark.parametrize("name", BAD_FEEDS)
def test_a_feed_that_is_none_is_said(tmp_path: Path, name: str) -> None:
    content, said = BAD_FEEDS[name]
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PlanError, match=said):
        read_feed(tmp_path / name, again=True)
