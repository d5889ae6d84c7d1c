"""OpenAPI 3.0 and 3.1 documents: every operation a request, filled with the document's own examples."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import JsonValue

from producers.load.drafts.bodies import FORM
from producers.load.drafts.document import as_text
from producers.load.drafts.draft import (
    SAFE_METHODS,
    Candidate,
    Draft,
    DraftError,
    changing_note,
    counted,
    counted_notes,
    listed,
    printable,
    requests_of,
)
from producers.load.drafts.paths import fitting_path, split_url
from producers.load.drafts.schema_values import NoValueError, References, Values, given_values, plain

_CHANGING = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class _Operation:
    path: str
    method: str
    item: dict[str, Any]
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Body:
    json: JsonValue = None
    form: str | None = None


def read_openapi(document: dict[str, Any], *, all_methods: bool) -> Draft:
    """The operations of a document, weighted alike. Raises DraftError when it is no OpenAPI 3."""
    if not str(document.get("openapi")).startswith("3."):
        raise DraftError("is no OpenAPI 3 document (`openapi: 3...` is missing); convert Swagger 2 first")
    references = References(document)
    target, prefix, notes = _server(document, references)
    left_out, changing = Counter[str](), Counter[str]()
    guessed, needed = dict[str, None](), dict[str, None]()
    candidates: list[Candidate] = []
    for operation in _operations(document, references):
        if operation.method not in (*SAFE_METHODS, *_CHANGING):
            left_out["operation with OPTIONS or TRACE left out"] += 1
        elif operation.method in _CHANGING and not all_methods:
            changing[operation.method] += 1
        else:
            values = Values(references)
            try:
                candidate = _candidate(operation, prefix, references, values, needed)
            except NoValueError:
                left_out["operation left out that no body or parameter could be made for"] += 1
                continue
            if candidate is None:
                left_out["operation left out whose body is neither JSON nor a form"] += 1
                continue
            guessed |= values.guessed
            candidates.append(candidate)
    notes += counted_notes(left_out) + changing_note(changing)
    if guessed:
        notes.append(
            f"no example in the document, so values are guessed: {listed(guessed)}; put real ones into the plan"
        )
    if needed:
        notes.append(f"required by operations, but not in the plan: {listed(needed)}; add them as headers")
    if references.outside:
        notes.append(
            f"{counted(len(references.outside), 'reference')} not followed: outside the document, or to nothing"
        )
    info = document.get("info")
    title = printable(as_text(info.get("title") or "")) if isinstance(info, dict) else ""
    return Draft(requests_of(candidates, notes), tuple(notes), target, title.strip()[:256])


def _server(document: dict[str, Any], references: References) -> tuple[str, str, list[str]]:
    """Origin ("" if the document names none) and path of the first server, and a note if there are more."""
    servers = document.get("servers")
    servers = servers if isinstance(servers, list) else []
    server = references.follow(servers[0])[0] if servers else {}
    url = as_text(server.get("url") or "")
    variables = server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else []:
        if isinstance(variable, dict):
            url = url.replace(f"{{{name}}}", as_text(variable.get("default") or ""))
    origin, path = split_url(url) or ("", fitting_path(url) or "")
    notes = [f"the first of {len(servers)} servers is taken"] if len(servers) > 1 else []
    return origin, path.partition("?")[0].rstrip("/"), notes


def _operations(document: dict[str, Any], references: References) -> Iterator[_Operation]:
    paths = document.get("paths")
    for path, node in paths.items() if isinstance(paths, dict) else []:
        item, _ = references.follow(node)
        for method in ("get", "head", "post", "put", "patch", "delete", "options", "trace"):
            if isinstance(item.get(method), dict):
                yield _Operation(as_text(path), method.upper(), item, item[method])


def _candidate(
    operation: _Operation, prefix: str, references: References, values: Values, needed: dict[str, None]
) -> Candidate | None:
    path, query = operation.path, list[str]()
    for parameter in _parameters(operation, references):
        name, place = as_text(parameter.get("name") or ""), parameter.get("in")
        if place == "path":
            path = path.replace(f"{{{name}}}", _in_path(_parameter(name, parameter, references, values)))
        elif place == "query" and parameter.get("required") is True:
            query.append(_in_query(name, parameter, _parameter(name, parameter, references, values)))
        elif place in ("header", "cookie") and parameter.get("required") is True:
            needed[f"{place} {name}"] = None
    body = _body(operation, references, values)
    if body is None:
        return None
    headers = [("Content-Type", FORM)] if body.form is not None else []
    if _asks_for_authorization(operation, references):
        needed["header Authorization"] = None
    full = prefix + path + ("?" + "&".join(query) if query else "")
    identifier = operation.content.get("operationId")
    name = identifier if isinstance(identifier, str) and identifier.strip() else f"{operation.method} {operation.path}"
    return Candidate(name, operation.method, fitting_path(full) or full, 1.0, tuple(headers), body.json, body.form)


def _parameters(operation: _Operation, references: References) -> list[dict[str, Any]]:
    """Those of the path and of the operation, which win (OpenAPI 3.1, Operation Object)."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for holder in (operation.item, operation.content):
        parameters = holder.get("parameters")
        for node in parameters if isinstance(parameters, list) else []:
            parameter, _ = references.follow(node)
            found[str(parameter.get("name")), str(parameter.get("in"))] = parameter
    return list(found.values())


def _parameter(name: str, parameter: dict[str, Any], references: References, values: Values) -> JsonValue:
    for given in (*given_values(parameter), *_named_examples(parameter, references)):
        return plain(given)
    media = _media(parameter.get("content"))
    value = values.value(name, parameter.get("schema", media[1].get("schema") if media else None))
    if value in (None, "", []):
        values.guessed[name] = None
        return "1"
    return value


def _named_examples(holder: dict[str, Any], references: References) -> list[Any]:
    examples = holder.get("examples")
    found = [references.follow(node)[0] for node in examples.values()] if isinstance(examples, dict) else []
    return [example["value"] for example in found if "value" in example][:1]


def _in_path(value: JsonValue) -> str:
    """Style `simple` of the specification, the default."""
    return ",".join(quote(_text(one), safe="") for one in (value if isinstance(value, list) else [value]))


def _in_query(name: str, parameter: dict[str, Any], value: JsonValue) -> str:
    """Style `form` of the specification, the default: a list as several fields unless `explode` is off."""
    if isinstance(value, list) and parameter.get("explode") is not False:
        return urlencode([(name, _text(one)) for one in value])
    joined = ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
    return urlencode([(name, joined)])


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _body(operation: _Operation, references: References, values: Values) -> _Body | None:
    """The body; None when there is one of a kind that a plan cannot hold and that the operation insists on."""
    request, _ = references.follow(operation.content.get("requestBody"))
    if not request or operation.method in SAFE_METHODS:
        return _Body()
    media = _media(request.get("content"))
    if media is None:
        return None if request.get("required") is True else _Body()
    kind, holder = media
    given = [*given_values(holder), *_named_examples(holder, references)]
    value = plain(given[0]) if given else values.value("body", holder.get("schema"))
    if kind != FORM:
        return _Body(json=value)
    return _Body(form=urlencode({name: _text(one) for name, one in value.items()} if isinstance(value, dict) else {}))


def _media(content: Any) -> tuple[str, dict[str, Any]] | None:
    """The first media type of a content map that is JSON or a form, and what the map says of it."""
    for key, holder in content.items() if isinstance(content, dict) else []:
        kind = str(key).partition(";")[0].strip().lower()
        if kind in ("application/json", "*/*", "application/*", FORM) or kind.endswith("+json"):
            return kind, holder if isinstance(holder, dict) else {}
    return None


def _asks_for_authorization(operation: _Operation, references: References) -> bool:
    return bool(operation.content.get("security", references.root.get("security")))
