"""Which kind of document it is, by its content, and the reader for it."""

import re
from io import BufferedReader
from itertools import islice

from producers.load.drafts.access_log import is_log_line, log_lines, read_log
from producers.load.drafts.document import parse_document, read_text
from producers.load.drafts.draft import Draft, DraftError, Kind
from producers.load.drafts.har import is_har, read_har
from producers.load.drafts.k6_script import is_k6_script, read_k6_script
from producers.load.drafts.openapi import read_openapi

HEAD_BYTES = 64 << 10
_YAML = re.compile(r"""^["']?(?:openapi|swagger)["']?\s*:""", re.MULTILINE)
_KNOWN = "an OpenAPI document, a HAR file, an access log or a k6 script"


def draft_from(source: BufferedReader, kind: Kind | None, *, all_methods: bool) -> Draft:
    """Requests out of a source, read from its beginning; its kind is told by its first 64 KiB unless given.

    Raises DraftError: it holds nothing that is understood, or no request that may be planned. The sentence of a
    DraftError continues the name of the source.
    """
    kind = kind or _kind_of(source.peek(HEAD_BYTES)[:HEAD_BYTES])
    draft = _read(source, kind, all_methods=all_methods)
    if not draft.requests:
        why = f" ({'; '.join(draft.notes)})" if draft.notes else ""
        raise DraftError(f"holds no request to plan{why}; give {_KNOWN} that does")
    return draft


def _read(source: BufferedReader, kind: Kind, *, all_methods: bool) -> Draft:
    if kind == "log":
        notes: list[str] = []
        return read_log(log_lines(source, notes), notes, all_methods=all_methods)
    text = read_text(source)
    if kind == "k6":
        return read_k6_script(text)
    document = parse_document(text)
    if kind == "har" or is_har(document):
        return read_har(document, all_methods=all_methods)
    return read_openapi(document, all_methods=all_methods)


def _kind_of(head: bytes) -> Kind:
    """The kind by the first bytes; a document in JSON may turn out to be a HAR file. Raises DraftError."""
    if head.startswith((b"\x1f\x8b", b"PK", b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ")):
        raise DraftError("is compressed; unpack it first, as in `zcat access.log.gz > access.log`")
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    if text.startswith("{") or _YAML.search(text):
        return "openapi"
    if any(map(is_log_line, islice(text.splitlines(), 100))):
        return "log"
    if is_k6_script(text):
        return "k6"
    raise DraftError(f"is not understood; give {_KNOWN}, and name its kind with --from if it is one of these")
