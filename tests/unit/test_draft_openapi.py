"""A plan from an OpenAPI document: what each operation becomes, and what is said of the rest."""

import json
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
import yaml
from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from producers.load.drafts import Draft, DraftError, planned
from producers.load.drafts.document import parse_document
from producers.load.drafts.openapi import read_openapi
from producers.load.drafts.schema_values import DEPTH, NoValueError, References, Values
from producers.load.plan import parse_plan
from tests.support.drafts import drafted


def document(operation: dict[str, Any], method: str = "get", path: str = "/x", **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {method: operation}}, **more}


def parameter(where: str, schema: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": "p", "in": where, "required": True, "schema": schema or {}, **more}


def body_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


PARAMETERS = [
    ("an example comes first", parameter("path", {"type": "string", "default": "d"}, example="e"), "/e"),
    ("a named example", parameter("path", examples={"one": {"value": "n"}}), "/n"),
    ("an example of the schema", parameter("path", {"examples": ["s"], "default": "d"}), "/s"),
    ("then the default", parameter("path", {"default": "d", "enum": ["x", "d"]}), "/d"),
    ("then the first choice", parameter("path", {"enum": ["x", "y"], "format": "date"}), "/x"),
    ("then the format", parameter("path", {"type": "string", "format": "date", "minLength": 3}), "/2026-01-01"),
    ("then the minimum", parameter("path", {"type": "integer", "minimum": 7}), "/7"),
    ("above a bound as 3.1 writes it", parameter("path", {"type": "integer", "exclusiveMinimum": 7}), "/8"),
    ("above a bound as 3.0 does", parameter("path", {"type": "integer", "minimum": 7, "exclusiveMinimum": True}), "/8"),
    ("below a maximum", parameter("path", {"type": "integer", "maximum": -2}), "/-2"),
    ("then the type", parameter("path", {"type": "boolean"}), "/true"),
    ("a type that may be null", parameter("path", {"type": ["null", "integer"]}), "/1"),
    ("a choice of schemas", parameter("path", {"anyOf": [{"type": "null"}, {"type": "integer"}]}), "/1"),
    ("a list in a path", parameter("path", {"type": "array", "items": {"type": "integer"}, "minItems": 2}), "/1,1"),
    ("what a path may not hold", parameter("path", example="a/b c#?{"), "/a%2Fb%20c%23%3F%7B"),
    ("nothing known at all", parameter("path"), "/text"),
    ("null is nothing for a path", parameter("path", {"type": "null"}), "/1"),
    ("a required query", parameter("query", {"enum": ["ä b"]}), "/{p}?p=%C3%A4+b"),
    ("a list in a query", parameter("query", {"default": [1, 2]}), "/{p}?p=1&p=2"),
    ("a list that is not exploded", parameter("query", {"default": [1, 2]}, explode=False), "/{p}?p=1%2C2"),
    ("a query in JSON", {"name": "p", "in": "query", "required": True, "content": {"application/json": {
        "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}}}, "/{p}?p=%7B%22a%22%3A+1%7D"),
    ("a query that may be left out", {**parameter("query"), "required": False}, "/{p}"),
]  # fmt: skip


@pytest.mark.parametrize(("why", "given", "path"), PARAMETERS, ids=[row[0] for row in PARAMETERS])
def test_parameters_are_filled_from_what_the_document_gives(why, given, path):
    draft = read_openapi(document({"parameters": [given]}, path="/{p}"), all_methods=False)
    assert draft.requests[0].path == path.replace("{p}", "%7Bp%7D")


BODIES = [
    ("an example of the media type", {"content": {"application/json": {"example": {"a": 1}}}}, {"a": 1}),
    ("a named one", {"content": {"application/json": {"examples": {"x": {"value": [2]}}}}}, [2]),
    ("properties by type", {"type": "object", "properties": {"a": {"type": "number"}, "b": {"default": None}}},
     {"a": 1, "b": None}),
    ("what the service fills itself is left out", {"properties": {"id": {"type": "integer", "readOnly": True}}}, {}),
    ("all of several", {"allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"b": {"const": 2}}}]},
     {"a": "text", "b": 2}),
    ("one of several, beside what is common", {"properties": {"c": {"const": 3}}, "oneOf": [
        {"type": "null"}, {"$ref": "#/components/schemas/Base"}]}, {"c": 3, "a": "text"}),
    ("a circle is cut where it may be", {"$ref": "#/components/schemas/Node"}, {"name": "text", "children": []}),
    ("a text as long as asked", {"type": "string", "minLength": 6, "maxLength": 7}, "textxx"),
    ("a text as short as asked", {"type": "string", "maxLength": 2}, "te"),
    ("dates stay text in YAML", {"type": "string", "example": "2026-05-01"}, "2026-05-01"),
]  # fmt: skip
COMPONENTS = {
    "schemas": {
        "Base": {"type": "object", "properties": {"a": {"type": "string"}}},
        "Node": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
                "parent": {"$ref": "#/components/schemas/Node"},
            },
        },
        "Endless": {"properties": {"again": {"$ref": "#/components/schemas/Endless"}}, "required": ["again"]},
    }
}


@pytest.mark.parametrize(("why", "given", "body"), BODIES, ids=[row[0] for row in BODIES])
@pytest.mark.parametrize("written", [json.dumps, yaml.safe_dump])
def test_bodies_are_made_of_examples_or_of_the_schema(why, given, body, written):
    operation = {"requestBody": given} if "content" in given else body_schema(given)
    text = written(document(operation, "post", components=COMPONENTS))
    (request,) = drafted(text, all_methods=True).requests
    assert (request.method, request.json_) == ("POST", body)


def test_a_form_is_sent_as_a_form():
    form = {"content": {"application/x-www-form-urlencoded": {"schema": {"properties": {"a": {"const": "b c"}}}}}}
    (request,) = read_openapi(document({"requestBody": form}, "post"), all_methods=True).requests
    assert (request.body, request.headers) == ("a=b+c", {"Content-Type": "application/x-www-form-urlencoded"})


LEFT_OUT = [
    ("a schema without an end", body_schema({"$ref": "#/components/schemas/Endless"}), "1 operation left out that no"),
    ("a body that is a file", {"requestBody": {"required": True, "content": {"image/png": {}}}}, "neither JSON nor a"),
    ("a body for a template", body_schema({"const": "{{x}}"}), "1 request left out: a body with {{ would be read"),
]


@pytest.mark.parametrize(("why", "operation", "said"), LEFT_OUT, ids=[row[0] for row in LEFT_OUT])
def test_an_operation_that_cannot_be_planned_is_counted_and_the_others_stay(why, operation, said):
    whole = document(operation, "post", components=COMPONENTS)
    whole["paths"]["/fine"] = {"get": {}}
    draft = read_openapi(whole, all_methods=True)
    assert [request.name for request in draft.requests] == ["GET /fine"]
    assert any(said in note for note in draft.notes)


NOTES = [
    ({"parameters": [parameter("path", {"type": "integer"})]}, {}, "values are guessed: p;"),
    ({"parameters": [parameter("header")]}, {}, "not in the plan: header p;"),
    ({"parameters": [parameter("cookie")]}, {}, "not in the plan: cookie p;"),
    ({"security": [{"bearer": []}]}, {}, "not in the plan: header Authorization;"),
    ({}, {"security": [{"bearer": []}]}, "not in the plan: header Authorization;"),
    ({"parameters": [{"$ref": "other.yaml#/p"}]}, {}, "1 reference not followed"),
    ({"parameters": [{"$ref": "#/components/none"}]}, {}, "1 reference not followed"),
    ({}, {"servers": [{"url": "/a"}, {"url": "/b"}]}, "the first of 2 servers is taken"),
]


@pytest.mark.parametrize(("operation", "more", "said"), NOTES, ids=[row[2] for row in NOTES])
def test_what_is_guessed_or_missing_is_said(operation, more, said):
    draft = read_openapi(document(operation, **more), all_methods=False)
    assert any(said in note for note in draft.notes)


def test_a_document_that_leaves_nothing_open_needs_no_note():
    draft = read_openapi(document({"parameters": [parameter("path", example=1)]}, security=[]), all_methods=False)
    assert draft.notes == ()


SERVERS = [
    ([], "", "/x"),
    ([{"url": "/"}], "", "/x"),
    ([{"url": "/api/v1/"}], "", "/api/v1/x"),
    ([{"url": "http://127.0.0.1:8080/v2"}], "http://127.0.0.1:8080", "/v2/x"),
    ([{"url": "http://{host}/v2", "variables": {"host": {"default": "localhost:81"}}}], "http://localhost:81", "/v2/x"),
    ([{"url": "http://me:secret@localhost/"}], "http://localhost", "/x"),
    ([{"url": "nonsense"}], "", "/x"),
]


@pytest.mark.parametrize(("servers", "target", "path"), SERVERS)
def test_the_servers_give_the_target_and_the_beginning_of_every_path(servers, target, path):
    draft = read_openapi(document({}, servers=servers), all_methods=False)
    assert (draft.target, draft.requests[0].path) == (target, path)


def test_operations_that_change_state_are_left_out_and_counted_unless_asked_for():
    whole = {"openapi": "3.0.3", "paths": {"/x": {name: {} for name in ("get", "post", "delete", "options")}}}
    draft = read_openapi(whole, all_methods=False)
    assert [request.name for request in draft.requests] == ["GET /x"]
    assert "2 requests left out that may change state (DELETE, POST); --all takes them in" in draft.notes
    assert "1 operation with OPTIONS or TRACE left out" in draft.notes
    everything = read_openapi(whole, all_methods=True)
    assert [request.name for request in everything.requests] == ["GET /x", "POST /x", "DELETE /x"]


def test_requests_are_called_by_their_operation_and_have_different_short_names():
    whole = {
        "openapi": "3.0.0",
        "paths": {
            f"/{n}": {"get": {"operationId": name}} for n, name in enumerate(["a", "a", "b" * 99, "b" * 99, " "])
        },
    }
    names = [request.name for request in read_openapi(whole, all_methods=False).requests]
    assert names == ["a", "a 2", "b" * 64, "b" * 62 + " 2", "GET /4"]


def test_a_plan_takes_a_thousand_operations_and_the_others_are_counted():
    whole = {"openapi": "3.0.0", "paths": {f"/{n}": {"get": {}} for n in range(1003)}}
    draft = read_openapi(whole, all_methods=False)
    assert (len(draft.requests), draft.notes) == (1000, ("3 requests left out: a plan takes 1000",))


def test_schemas_that_never_end_are_cut_at_eight_levels_and_in_their_width():
    deep: dict[str, Any] = {"type": "integer"}
    for _ in range(DEPTH):
        deep = {"type": "array", "items": deep, "minItems": 1}
    values = Values(References({}))
    assert str(values.value("x", deep)) == "[" * DEPTH + "1" + "]" * DEPTH
    with pytest.raises(NoValueError):
        values.value("x", {"type": "array", "items": deep, "minItems": 1})
    wide: dict[str, Any] = {"type": "integer"}
    for _ in range(DEPTH - 1):
        wide = {"type": "array", "items": wide, "minItems": 10}
    with pytest.raises(NoValueError):
        Values(References({})).value("x", wide)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_an_example_that_aliases_blow_up_is_left_out():
    text = (
        BOMB
        + "openapi: 3.0.0\npaths: {/x: {get: {}, post: {requestBody: {content: {application/json: {example: *i}}}}}}"
    )
    draft = drafted(text, all_methods=True)
    assert [request.method for request in draft.requests] == ["GET"]
    assert any("left out that no body" in note for note in draft.notes)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Node(BaseModel):
    name: str
    children: list["Node"] = []


class Order(BaseModel):
    item: int = Field(ge=3)
    note: str | None = None
    tree: Node


def fastapi_application() -> FastAPI:
    app = FastAPI(title="Tea shop")
    app.add_api_route("/items/{item_id}", get_item, methods=["GET"])
    app.add_api_route("/users/{user_id}", get_user, methods=["GET"], operation_id="user")
    app.add_api_route("/orders", post_order, methods=["POST"], operation_id="order")
    return app


def get_item(item_id: int, wanted: Colour, most: int = 3) -> None: ...
def get_user(user_id: UUID) -> None: ...
def post_order(order: Order, token: Annotated[Any, Depends(HTTPBearer())]) -> None: ...


def test_what_fastapi_serves_becomes_a_plan():
    draft = drafted(json.dumps(fastapi_application().openapi()), all_methods=True)
    plan, notes = planned(draft, target=None, service=None, origin="http://127.0.0.1:9000")
    assert (plan.target, plan.service) == ("http://127.0.0.1:9000", "Tea shop")
    assert [(request.name, request.path, request.json_) for request in plan.requests] == [
        ("get_item_items__item_id__get", "/items/1?wanted=red", None),
        ("user", "/users/00000000-0000-4000-8000-000000000000", None),
        ("order", "/orders", {"item": 3, "note": "text", "tree": {"name": "text", "children": []}}),
    ]
    assert parse_plan(plan.to_yaml(), "plan.yaml") == plan
    assert "required by operations, but not in the plan: header Authorization; add them as headers" in notes


NO_DOCUMENTS = [
    ('{"openapi": "3.0.0"', "is no JSON: line 1: "),
    ("openapi: [", "is no YAML: line 2: "),
    ("openapi: '3'\na: \x07", "is no JSON or YAML that can be read"),
    ('{"a": ' + "[" * 100_000, "is no JSON or YAML that can be read"),
    ("openapi: " + "[" * 1000, "is no JSON or YAML that can be read"),
    ('{"a": ' + "9" * 5000 + "}", "is no JSON or YAML that can be read"),
    ('{"swagger": "2.0"}', "is no OpenAPI 3 document"),
    ("openapi: 2", "is no OpenAPI 3 document"),
    ('{"openapi": "3.0.0"}', "holds no request to plan; give an OpenAPI document"),
    ('{"openapi": "3.0.0", "paths": {"/x": {"post": {}}}}', "(1 request left out that may change state (POST); --all"),
    ("hello", "is not understood; give an OpenAPI document, a HAR file"),
    ("", "is not understood"),
    ("\x1f\x8b\x08", "is compressed; unpack it first"),
]


@pytest.mark.parametrize(("text", "said"), NO_DOCUMENTS, ids=[row[1] for row in NO_DOCUMENTS])
def test_what_is_no_document_is_said_in_one_sentence(text, said):
    with pytest.raises(DraftError) as caught:
        drafted(text.encode("latin-1"), all_methods=False)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("#/components/schemas/A"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "$ref",
                    "anyOf",
                    "allOf",
                    "oneOf",
                    "type",
                    "properties",
                    "items",
                    "enum",
                    "default",
                    "example",
                    "examples",
                    "name",
                    "in",
                    "required",
                    "schema",
                    "content",
                    "minItems",
                    "minLength",
                    "minimum",
                    "exclusiveMinimum",
                    "application/json",
                    "url",
                    "variables",
                    "format",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(operation=junk, parameters=junk, body=junk, schema=junk, servers=junk)
def test_whatever_a_document_holds_the_plan_that_is_made_of_it_can_be_read(
    operation, parameters, body, schema, servers
):
    whole = document(
        {"operationId": operation, "parameters": [parameters, parameter("path", schema)], "requestBody": body},
        "post",
        "/{p}",
        components={"schemas": {"A": schema}},
        servers=[servers],
    )
    check(read_openapi(whole, all_methods=True))
    check(read_openapi(document(body_schema(schema), "post", components={"schemas": {"A": schema}}), all_methods=True))


def check(draft: Draft) -> None:
    if draft.requests:
        plan, _ = planned(draft, target=None, service=None)
        assert parse_plan(plan.to_yaml(), "plan.yaml") == plan
    else:
        assert draft.notes


def test_dates_in_yaml_stay_text():
    assert parse_document("a: 2026-01-01\nb: 2026-01-01T00:00:00Z") == {"a": "2026-01-01", "b": "2026-01-01T00:00:00Z"}
