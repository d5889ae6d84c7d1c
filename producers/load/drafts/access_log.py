"""Access logs: the common and the combined log format, which nginx and gunicorn write too, and uvicorn's lines.

127.0.0.1 - - [23/Nov/2026:22:25:30 +0000] "GET /search?q=tea HTTP/1.1" 200 512 "-" "curl/8"
INFO:     127.0.0.1:51234 - "GET /search?q=tea HTTP/1.1" 200 OK
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BufferedReader
from statistics import median

from producers.load.drafts.draft import (
    SAFE_METHODS,
    Draft,
    SeenRate,
    changing_note,
    counted,
    counted_notes,
    requests_of,
)
from producers.load.drafts.endpoints import Endpoint, Endpoints, Example, candidates_of
from producers.load.drafts.paths import fitting_path, is_static, split_url
from producers.load.drafts.secrets import Redactor
from producers.load.plan import Request

LOG_BYTES = 256 << 20
LINE_BYTES = 64 << 10
MOST_ENDPOINTS = 50
_LINE = re.compile(r'(?:\[([^\]\[]{1,40})\] )?"([A-Z]{3,10}) (\S+)(?: HTTP/[\d.]{1,4})?" (\d{3})(?!\S)')


def is_log_line(line: str) -> bool:
    """Whether it looks like a line of an access log."""
    return _LINE.search(line) is not None


def log_lines(source: BufferedReader, notes: list[str]) -> Iterator[str]:
    """Lines that are not blank, of at most 256 MiB; a line over 64 KiB is skipped. Notes come once it is exhausted."""
    size = long = 0
    while raw := source.readline(LINE_BYTES + 1):
        size += len(raw)
        if size > LOG_BYTES:
            notes.append(f"only the first {LOG_BYTES >> 20} MiB are read")
            break
        if len(raw) > LINE_BYTES:
            long += 1
            while not raw.endswith(b"\n") and size <= LOG_BYTES and (raw := source.readline(LINE_BYTES + 1)):
                size += len(raw)
        elif line := raw.decode(errors="replace").strip():
            yield line
    if long:
        notes.append(f"{counted(long, 'line')} over {LINE_BYTES >> 10} KiB skipped")


def read_log(lines: Iterable[str], notes: list[str], *, all_methods: bool) -> Draft:
    """The endpoints by how often they were asked with success, at most 50, and the rate at which they were.

    `notes` are completed and become the draft's. Never raises for a line, whatever it holds.
    """
    endpoints, seconds, redactor = Endpoints(), Counter[str](), Redactor()
    left_out, changing = Counter[str](), Counter[str]()
    for line in lines:
        match = _LINE.search(line)
        path = _path(match[3]) if match else None
        if match is None or path is None:
            left_out["line not understood"] += 1
        elif int(match[4]) >= 400:
            left_out["line with status 4xx or 5xx left out"] += 1
        elif is_static(path):
            left_out["request for static files left out"] += 1
        elif match[2] not in SAFE_METHODS and not all_methods:
            changing[match[2]] += 1
        else:
            endpoints.add(match[2], Example(redactor.path(path)))
            seconds.update([match[1]] if match[1] else [])
    left_out["request to endpoints rarer than 20,000 others left out"] = endpoints.beyond
    notes += counted_notes(left_out) + changing_note(changing) + redactor.note()
    requests = _requests(endpoints.most_frequent(), notes)
    seen = _seen(seconds)
    if seen:
        notes.append(f"seen: {seen.median_tps:g} requests per second (median), {seen.peak_tps:g} (peak)")
    return Draft(requests, tuple(notes), seen=seen)


def _path(text: str) -> str | None:
    if text.startswith("/"):
        return fitting_path(text)
    url = split_url(text)  # a proxy writes whole URLs
    return url[1] if url else None


def _requests(found: list[Endpoint], notes: list[str]) -> tuple[Request, ...]:
    rare = sum(endpoint.count for endpoint in found[MOST_ENDPOINTS:])
    if rare:
        share = rare / sum(endpoint.count for endpoint in found)
        notes.append(f"{counted(len(found) - MOST_ENDPOINTS, 'rarer endpoint')} left out ({share:.1%} of the requests)")
    return requests_of(candidates_of(found[:MOST_ENDPOINTS]), notes)


def _seen(seconds: Counter[str]) -> SeenRate | None:
    return SeenRate(float(median(seconds.values())), float(max(seconds.values()))) if seconds else None
