r"""Access logs of lines of text: common, combined, and what is put behind it.

127.0.0.1 - - [27/Nov/2026:16:41:27 +0000] "GET /search?q=tea HTTP/1.1" 200 512 "-" "curl/8" 0.012
127.0.0.1 - - [27/Nov/2026:16:41:27 +0000] "GET /search?q=tea HTTP/1.1" 200 512 "-" "curl/8" rt=0.012 uct=0.000
INFO:     127.0.0.1:51234 - "GET /search?q=tea HTTP/1.1" 200 OK

A duration is believed where its unit is beyond doubt: a decimal number stands for seconds ($request_time of nginx,
%(L)s of gunicorn, %Tf of aiohttp), a number with a unit for itself, a whole number only in the unit that somebody said
(%D of Apache and gunicorn counts microseconds, %T seconds, %M and %(M)s milliseconds). Sources: nginx,
"ngx_http_log_module"; Apache, "mod_log_config"; gunicorn, "access_log_format"; aiohttp, "Logging".
"""

import re

from producers.natural.entry import Entry, LineError, Unit
from producers.natural.moments import duration_us, moment_of

_TIME = r"\[([^\]\[]{1,40})\] "
_LINE = re.compile(rf'(?:{_TIME})?"([A-Z]{{3,10}}) ([^\s"]\S*)(?: HTTP/[\d.]{{1,4}})?" (\d{{3}})(?!\S)')
_NO_HTTP = re.compile(rf'{_TIME}"(?:[^"\\]|\\.)*" (\d{{3}})(?!\S)')
"""What came was no request: nginx writes its bytes (`"\\x16\\x03"`), Apache a `-`."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAMED = re.compile(r"(?:rt|request_time|duration|took|response_time|rtime)[=:]", re.IGNORECASE)
_NUMBER = re.compile(r"(\d{1,15})(\.\d{1,9})?(ns|us|µs|ms|s)?")


def entry_of(line: str, unit: Unit | None) -> Entry:
    """Read a line; `unit` is that of a duration which does not say it. Raises LineError."""
    match = _LINE.search(line)
    if match is not None:
        time, method, target, status = match.groups()
    elif (match := _NO_HTTP.search(line)) is not None:
        (time, status), method, target = match.groups(), "", ""
    else:
        raise LineError("is no line of an access log")
    moment = moment_of(time) if time else None
    first, rest = _behind(line[match.end() :])
    at_us, grain_us = moment or (None, 0)
    latency_us = _latency_us(rest, unit)
    sent = int(first) if first.isdecimal() and len(first) < 16 else 0
    return Entry(method, target, int(status), at_us, grain_us, latency_us, sent)


def _behind(text: str) -> tuple[str, list[str]]:
    """What stands behind the status: the first word, which is the size, and the others that are in no quotes.

    A named value may be in quotes: `rt="0.012"`.
    """
    words = _QUOTED.sub(lambda quoted: quoted[0][1:-1] if _is_value(text, quoted) else " ", text).split()
    return (words[0], words[1:]) if words else ("", [])


def _is_value(text: str, quoted: re.Match[str]) -> bool:
    before = text[: quoted.start()]
    return before.endswith(("=", ":")) and " " not in quoted[0]


def _latency_us(words: list[str], unit: Unit | None) -> int | None:
    """Of the words behind the size: one with a telling name counts before any other, and then the first that fits."""
    named = [word[found.end() :] for word in words if (found := _NAMED.match(word))]
    for word in (*named, *words):
        number = _NUMBER.fullmatch(word)
        if number is None:
            continue
        whole, decimals, own = number.groups()
        known = {"µs": "us"}.get(own, own) or ("s" if decimals else unit)
        if known is not None:
            return duration_us(float(whole + (decimals or "")), known)
    return None
