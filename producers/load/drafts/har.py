"""HAR files, version 1.2: what a browser recorded."""

import re
from collections import Counter
from typing import Any

from producers.load.drafts.bodies import recorded_body
from producers.load.drafts.document import as_text
from producers.load.drafts.draft import SAFE_METHODS, Draft, DraftError, changing_note, counted_notes, requests_of
from producers.load.drafts.endpoints import Endpoints, Example, candidates_of
from producers.load.drafts.paths import is_static, split_url
from producers.load.drafts.secrets import Redactor

_STATIC_TYPE = re.compile(
    r"image/|font/|text/css|(?:text|application)/(?:x-)?(?:javascript|ecmascript|font)", re.IGNORECASE
)
_KEPT = {"accept": "Accept", "content-type": "Content-Type", "authorization": "Authorization"}


def is_har(document: dict[str, Any]) -> bool:
    """Whether a document is a HAR file by its outer form."""
    return isinstance(_mapping(document.get("log")).get("entries"), list)


def read_har(document: dict[str, Any], *, all_methods: bool) -> Draft:
    """The requests to the most frequent origin, merged by method and path template. Raises DraftError: no HAR."""
    if not is_har(document):
        raise DraftError("holds no log with entries, so it is no HAR file; save it again with the browser's tools")
    entries = [_mapping(entry) for entry in document["log"]["entries"]]
    urls = [split_url(as_text(_mapping(entry.get("request")).get("url"))) for entry in entries]
    origins = Counter(url[0] for url in urls if url)
    target = origins.most_common(1)[0][0] if origins else ""
    endpoints, redactor = Endpoints(), Redactor()
    left_out, changing, cookies = Counter[str](), Counter[str](), False
    for entry, url in zip(entries, urls, strict=True):
        request = _mapping(entry.get("request"))
        method, headers = as_text(request.get("method")).upper(), _headers(request)
        if url is None or (reason := _reason_to_leave_out(entry, method, url, target)):
            left_out[reason if url else "entry without a URL of a server left out"] += 1
        elif method not in SAFE_METHODS and not all_methods:
            changing[method] += 1
        elif example := _example(request, url[1], headers, redactor):
            cookies = cookies or "cookie" in headers
            endpoints.add(method, example)
        else:
            left_out["request left out whose body is neither JSON nor a form, or too large"] += 1
    left_out["request to endpoints rarer than 20,000 others left out"] = endpoints.beyond
    notes = counted_notes(left_out) + changing_note(changing) + redactor.note()
    if cookies:
        notes.append("cookies left out; if the service needs a session, send one as a header from ${VARIABLE}")
    requests = requests_of(candidates_of(endpoints.most_frequent()), notes)
    if any("Authorization" in request.headers for request in requests):
        notes.append("Authorization became ${AUTHORIZATION}; set that environment variable for the run")
    return Draft(requests, tuple(notes), target=target)


def _reason_to_leave_out(entry: dict[str, Any], method: str, url: tuple[str, str], target: str) -> str:
    """The ending of the note on it; "" if it may stay."""
    if url[0] != target:
        return "request to other origins left out"
    answer = _mapping(entry.get("response")).get("content")
    if is_static(url[1]) or _STATIC_TYPE.match(_media_type(answer)):
        return "request for static files left out"
    return "OPTIONS request of the browser's own left out" if method == "OPTIONS" else ""


def _example(request: dict[str, Any], path: str, headers: dict[str, str], redactor: Redactor) -> Example | None:
    kept = tuple((_KEPT[name], value) for name, value in headers.items() if name in _KEPT)
    post = _mapping(request.get("postData"))
    text = as_text(post.get("text") or "")
    if not text and not post.get("params"):
        without_type = tuple(header for header in kept if header[0] != "Content-Type")
        return Example(redactor.path(path), without_type)
    body = recorded_body(text, _media_type(post) or headers.get("content-type", ""), redactor) if text else None
    return Example(redactor.path(path), kept, body.text, body.is_json) if body else None


def _headers(request: dict[str, Any]) -> dict[str, str]:
    """Headers by their names in lower case; what could be taken for a variable or hold a secret is not kept."""
    found: dict[str, str] = {}
    headers = request.get("headers")
    for header in headers if isinstance(headers, list) else []:
        name, value = (as_text(_mapping(header).get(key)) for key in ("name", "value"))
        if name.lower() == "authorization":
            found["authorization"] = "${AUTHORIZATION}"
        elif re.fullmatch(r"[ -z|~]{1,300}", value) and "${" not in value:
            found[name.lower()] = value
    return found


def _media_type(content: Any) -> str:
    return as_text(_mapping(content).get("mimeType") or "")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
