"""What within v1 of the topics may change and what may not: held against what was published, in `schemas/v1.json`.

`python -m schemas.compatibility` adds to the file what is new in the code; what would break a reader it refuses. A test
fails when the code breaks what stands there, and when something new does not stand there yet: from then on it may be
relied upon, and is never taken away.

Held against it are both directions. A reader of today must understand what a newer writer sends: nothing that was
always there goes away, nothing changes its type, nothing that was never null becomes null. And the reader of tomorrow
must understand what an older writer sent: nothing new is required, and no bound becomes narrower.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.asyncapi import document

PATH = Path(__file__).with_name("v1.json")
Schema = Mapping[str, Any]
_UPPER, _LOWER = ("maxLength", "maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")


def published() -> dict[str, Any]:
    """What stands in the file."""
    found: dict[str, Any] = json.loads(PATH.read_text())
    return found


def now() -> dict[str, Any]:
    """The same, as the code has it: the messages of every topic, without words."""
    components = document()["components"]
    without: dict[str, Any] = _without_words(components)
    return without


def breaks(before: Schema, after: Schema) -> list[str]:
    """What of `before` a reader could not rely upon any more in `after`, a sentence each."""
    return list(_breaks(before, after))


def _breaks(before: Schema, after: Schema) -> Iterator[str]:
    for name, message in before["messages"].items():
        found = after["messages"].get(name)
        if found is None:
            yield f"{name} is gone"
            continue
        for part in ("headers", "payload"):
            yield from _Pair(before, after).differ(f"{name}.{part}", message[part], found[part])
        for facts, schema in message.get("x-arrow-metadata", {}).items():
            yield from _Pair(before, after).differ(f"{name}.{facts}", schema, found["x-arrow-metadata"].get(facts, {}))
        old, new = ({one["name"]: one for one in of.get("x-arrow-columns", ())} for of in (message, found))
        for column, what in old.items():
            if column not in new:
                yield f"{name}: column {column} is gone"
            elif new[column] != what:
                yield f"{name}: column {column} is another: {new[column]}"
        if old.keys() <= new.keys() and [*new][: len(old)] != [*old]:
            yield f"{name}: a column stands before those that were there"


class _Pair:
    """Two documents, in which references are looked up."""

    def __init__(self, before: Schema, after: Schema) -> None:
        self._before, self._after = before, after

    def differ(self, place: str, old: Schema, new: Schema) -> Iterator[str]:
        """What breaks at a place, and below it."""
        olds, news = _kinds(self._before, old), _kinds(self._after, new)
        more = sorted(news.keys() - olds.keys() - ({"integer"} if "number" in olds else set()))
        if olds and (more or not news):  # where nothing is said of it, it may be anything
            yield f"{place} may be {', '.join(more) or 'anything'} now, not only {', '.join(sorted(olds))}"
        for kind in sorted(olds.keys() & news.keys()):
            yield from self._differ_as(place, olds[kind], news[kind])

    def _differ_as(self, place: str, old: Schema, new: Schema) -> Iterator[str]:
        yield from _narrower(place, old, new)
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in after:
                yield f"{place}.{name} is gone"
            else:
                yield from self.differ(f"{place}.{name}", before[name], after[name])
        for name in sorted({*new.get("required", ())} - {*old.get("required", ())}):
            yield f"{place}.{name} is required now, and was not always there"
        for inner in ("items", "additionalProperties"):
            if isinstance(old.get(inner), Mapping) and isinstance(new.get(inner), Mapping):
                yield from self.differ(f"{place}[]", old[inner], new[inner])


def _narrower(place: str, old: Schema, new: Schema) -> Iterator[str]:
    if old.get("const") != new.get("const"):
        yield f"{place} is not {old.get('const')!r} any more"
    if gone := [value for value in old.get("enum", ()) if value not in new.get("enum", (value,))]:
        yield f"{place} is never {', '.join(map(str, gone))} any more"
    if "enum" in new and "enum" not in old:
        yield f"{place} is one of a few now"
    for bound, sign in {**dict.fromkeys(_UPPER, -1), **dict.fromkeys(_LOWER, 1)}.items():
        if bound in new and (bound not in old or (new[bound] - old[bound]) * sign > 0):
            yield f"{place}: {bound} is narrower"


def _kinds(document: Schema, schema: Schema) -> dict[str, Schema]:
    """The types that a value may have, each with what else is said of it."""
    if "$ref" in schema:
        return _kinds(document, document["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return {kind: what for one in schema["anyOf"] for kind, what in _kinds(document, one).items()}
    if "type" in schema:
        return {schema["type"]: schema}
    return {"string": schema} if "enum" in schema or "const" in schema else {}


def _without_words(node: Any, *, is_names: bool = False) -> Any:
    """Without descriptions and the like, but with properties that have such a name."""
    if isinstance(node, dict):
        left_out = () if is_names else ("description", "title", "summary", "default", "bindings", "contentType")
        return {
            name: _without_words(child, is_names=name in ("properties", "messages", "schemas"))
            for name, child in node.items()
            if name not in left_out
        }
    return [_without_words(child) for child in node] if isinstance(node, list) else node


if __name__ == "__main__":
    current = now()
    if PATH.exists() and (broken := breaks(published(), current)):
        sys.exit("loadflame: this would break readers of v1; name it v2, or take it back:\n" + "\n".join(broken))
    PATH.write_text(json.dumps(current, indent=1, sort_keys=True) + "\n")
