"""Values that fit a JSON Schema as OpenAPI 3.0 and 3.1 use it: what the document gives as an example, else a guess."""

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import JsonValue

from producers.load.drafts.document import as_json, as_text

DEPTH = 8
_MOST_VALUES = 2000
_MOST_HOPS = 16
_MOST_ITEMS, _MOST_LENGTH = 10, 1000
FORMATS = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "http://example.com/",
    "byte": "eA==",
}
"""Names and addresses are those that RFC 2606, RFC 5737 and RFC 3849 keep for examples."""


class NoValueError(Exception):
    """A schema that goes around in a circle, or on and on, has no value of a reasonable size."""


class References:
    """Follows `$ref` within the document; `outside` holds those that point elsewhere or nowhere."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.root = document
        self.outside: dict[str, None] = {}

    def follow(self, node: Any) -> tuple[dict[str, Any], frozenset[str]]:
        """What a node stands for ({} if nothing) and the references on the way there."""
        passed: list[str] = []
        while isinstance(node, dict) and isinstance(reference := node.get("$ref"), str):
            if reference in passed or len(passed) == _MOST_HOPS:
                return {}, frozenset(passed)
            passed.append(reference)
            # Keywords beside a reference count too (JSON Schema 2020-12), as a default of its own does.
            beside = {key: value for key, value in node.items() if key != "$ref"}
            node = self._at(reference)
            if isinstance(node, dict) and beside:
                node = {**node, **beside}
        return (node if isinstance(node, dict) else {}), frozenset(passed)

    def _at(self, reference: str) -> Any:
        node: Any = self.root
        steps = reference.removeprefix("#/").split("/") if reference.startswith("#/") else [reference]
        for step in steps:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or name not in node:
                self.outside[reference] = None
                return None
            node = node[name]
        return node


class Values:
    """Makes values; `guessed` holds the names of those that the document gave no example for."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._left = _MOST_VALUES
        self.guessed: dict[str, None] = {}

    def value(self, name: str, schema: Any, depth: int = 0, within: frozenset[str] = frozenset()) -> JsonValue:
        """A value for a schema called `name`. Raises NoValueError: a cycle, over 8 deep, over 2,000 values so far.

        `within` are the references that are being followed already.
        """
        found, passed = self._references.follow(schema)
        self._left -= 1
        if depth > DEPTH or self._left < 0 or passed & within:
            raise NoValueError
        within |= passed
        for given in given_values(found):
            return plain(given)
        for key in ("anyOf", "oneOf"):
            if isinstance(found.get(key), list):
                return self._any_of(name, found, key, depth, within)
        if isinstance(found.get("allOf"), list):
            whole, more = self._all_of(found, within)
            return self.value(name, whole, depth + 1, more)
        kind = _kind(found)
        if kind == "object":
            return self._object(found, depth, within)
        if kind == "array":
            return self._array(name, found, depth, within)
        if kind != "null":
            self.guessed[name] = None
        return _scalar(found, kind)

    def _any_of(self, name: str, schema: dict[str, Any], key: str, depth: int, within: frozenset[str]) -> JsonValue:
        common = {other: value for other, value in schema.items() if other != key}
        for choice in schema[key]:
            chosen, passed = self._references.follow(choice)
            if _kind(chosen) == "null" or passed & within:
                continue
            try:
                return self.value(name, _joined(common, chosen), depth + 1, within | passed)
            except NoValueError:
                continue
        raise NoValueError

    def _all_of(self, schema: dict[str, Any], within: frozenset[str]) -> tuple[dict[str, Any], frozenset[str]]:
        whole = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            found, passed = self._references.follow(part)
            if passed & within:
                raise NoValueError
            within |= passed
            whole = _joined(found, whole)
        return whole, within

    def _object(self, schema: dict[str, Any], depth: int, within: frozenset[str]) -> JsonValue:
        made: dict[str, JsonValue] = {}
        properties = schema.get("properties")
        required = schema.get("required")
        for name, inner in properties.items() if isinstance(properties, dict) else []:
            if isinstance(inner, dict) and inner.get("readOnly") is True:
                continue
            try:
                made[as_text(name)] = self.value(as_text(name), inner, depth + 1, within)
            except NoValueError:
                if isinstance(required, list) and name in required:
                    raise
        return made

    def _array(self, name: str, schema: dict[str, Any], depth: int, within: frozenset[str]) -> JsonValue:
        least = schema.get("minItems")
        number = min(max(least, 1), _MOST_ITEMS) if isinstance(least, int) else 1
        try:
            return [self.value(name, schema.get("items"), depth + 1, within) for _ in range(number)]
        except NoValueError:
            if least:
                raise
            return []


def given_values(schema: Mapping[str, Any]) -> list[Any]:
    """What a schema or parameter itself gives: its example, examples, default, constant and choices, in this order."""
    found = [schema[key] for key in ("example",) if key in schema]
    examples = schema.get("examples")
    if isinstance(examples, list):
        found += examples[:1]
    found += [schema[key] for key in ("default", "const") if key in schema]
    choices = schema.get("enum")
    return found + (choices[:1] if isinstance(choices, list) else [])


def plain(value: Any) -> JsonValue:
    """A copy in JSON of a value in a document. Raises NoValueError when it is too large."""
    try:
        return as_json(value)
    except ValueError as error:
        raise NoValueError from error


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two schemas that hold both; where they give different values for one keyword, the second's."""
    joined = {**first, **second}
    if isinstance(first.get("properties"), dict) and isinstance(second.get("properties"), dict):
        joined["properties"] = {**first["properties"], **second["properties"]}
    for key in ("required", "allOf"):
        if isinstance(first.get(key), list) and isinstance(second.get(key), list):
            joined[key] = [*first[key], *second[key]]
    return joined


def _kind(schema: Mapping[str, Any]) -> str:
    """The type, the first one that is not null where there are several (3.1)."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _scalar(schema: Mapping[str, Any], kind: str) -> JsonValue:
    if kind == "null":
        return None
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    if (known := FORMATS.get(str(schema.get("format")))) is not None:
        return known
    least, most = (schema.get(key) for key in ("minLength", "maxLength"))
    text = "text".ljust(min(least, _MOST_LENGTH), "x") if isinstance(least, int) else "text"
    return text[:most] if isinstance(most, int) and most >= 0 else text


def _number(schema: Mapping[str, Any], *, whole: bool) -> JsonValue:
    least, above, most = (_figure(schema.get(key)) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if above is not None:
        least = above + 1 if most is None or above + 1 < most or whole else (above + most) / 2
    elif least is not None and schema.get("exclusiveMinimum") is True:  # as 3.0 writes it
        least += 1
    value = least if least is not None else 1 if most is None or most >= 1 else most
    return math.ceil(value) if whole else value


def _figure(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None
