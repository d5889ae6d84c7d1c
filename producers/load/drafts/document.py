"""Documents, read whole but bounded: bytes, nesting, and (where a piece goes into a plan) the number of its values."""

import json
import math
import re
from io import BufferedReader
from typing import Any

import yaml
from pydantic import JsonValue

from producers.load.drafts.draft import DraftError, printable

DOCUMENT_BYTES = 32 << 20
_MOST_LEVELS = 100
_MOST_VALUES = 2000


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader in C; dates stay the text that they are, for they go into URLs and JSON."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read_text(source: BufferedReader) -> str:
    """The whole of a document. Raises DraftError: over 32 MiB, or no text in UTF-8."""
    data = source.read(DOCUMENT_BYTES + 1)
    if len(data) > DOCUMENT_BYTES:
        raise DraftError(f"is over {DOCUMENT_BYTES >> 20} MiB; cut the document to what you want to load")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DraftError("is no text in UTF-8; give an OpenAPI document, HAR file, access log or k6 script") from error


def parse_document(text: str) -> dict[str, Any]:
    """A JSON or YAML document whose root is a mapping. Raises DraftError."""
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else _yaml(text)
    except json.JSONDecodeError as error:
        raise DraftError(f"is no JSON: line {error.lineno}: {error.msg}; mend it or fetch it again") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise DraftError(f"is no YAML: {line}{printable(str(error.problem))}; mend it or fetch it again") from error
    except (ValueError, RecursionError, TypeError, yaml.YAMLError) as error:
        raise DraftError("is no JSON or YAML that can be read; mend it or fetch it again") from error
    if not isinstance(document, dict):
        raise DraftError("holds no OpenAPI document and no HAR file; give one of these, an access log or a k6 script")
    return document


def _yaml(text: str) -> Any:
    # The composer in C calls itself for every level and would run out of stack, so the levels are counted before.
    levels = 0
    for event in yaml.parse(text, _Loader):
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > _MOST_LEVELS:
            raise ValueError("nested too deep")
    return yaml.load(text, _Loader)  # noqa: S506  a SafeLoader


def as_json(value: Any) -> JsonValue:
    """A piece of a document as JSON, made of its own copies. Raises ValueError when it is too large or too deep.

    Aliases in YAML make a small document a huge or endless one, hence the bound on what is copied.
    """
    left = _MOST_VALUES

    def copied(piece: Any, levels: int) -> JsonValue:
        nonlocal left
        left -= 1
        if left < 0 or levels > _MOST_LEVELS:
            raise ValueError("too large for a plan")
        if isinstance(piece, dict):
            return {as_text(key): copied(inner, levels + 1) for key, inner in piece.items()}
        if isinstance(piece, list | tuple | set):
            return [copied(inner, levels + 1) for inner in piece]
        if piece is None or isinstance(piece, bool | int):
            return piece
        if isinstance(piece, float):
            return piece if math.isfinite(piece) else None
        return as_text(piece)

    return copied(value, 0)


def as_text(value: Any) -> str:
    """Text without the lone surrogates that JSON can bring and no encoding takes."""
    return re.sub(r"[\ud800-\udfff]", "\ufffd", str(value))
