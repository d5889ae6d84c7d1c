"""k6 scripts, read as text and never run: `http.get('http://...')` and its kin, and constants that hold a URL."""

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from producers.load.drafts.bodies import BODY_LENGTH, Body, recorded_body
from producers.load.drafts.document import as_text
from producers.load.drafts.draft import Draft, counted_notes, listed, requests_of
from producers.load.drafts.endpoints import Endpoints, Example, candidates_of
from producers.load.drafts.paths import fitting_path, split_url
from producers.load.drafts.secrets import Redactor

_TOKEN = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<text>'(?:[^'\\\n]|\\.)*'?|\"(?:[^\"\\\n]|\\.)*\"?|`(?:[^`\\]|\\.)*(?:`|\Z))"
    r"|(?P<word>[\w$]+(?:\.[\w$]+)*)|(?P<sign>\S)",
    re.DOTALL,
)
_METHODS = {name: name.upper() for name in ("get", "post", "put", "patch", "head", "options")} | {
    "del": "DELETE",
    "delete": "DELETE",
}
_NAMES_METHOD = ("request", "asyncRequest")
_FUNCTIONS = {*_METHODS, *_NAMES_METHOD, "batch"}
_MOST_CALLS, _MOST_TOKENS = 10_000, 200
_GOES_ON = re.compile(r"\s*[+.\[]")
_CONSTANT_LENGTH = 2048
"""Constants made of constants would else grow without bounds."""
_PLACE = re.compile(r"\$\{([^{}]*)\}")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CALL_HINT = re.compile(r"""from\s+['"]k6(?:/|['"])|\bhttp\.(?:get|post|put|patch|del|head|request|batch)\s*\(""")
_UNKNOWN = "\0"
"""Stands for a part of a URL that only running the script would tell."""
_ORIGIN_UNKNOWN = re.compile(r"(?:https?://[^/\0]*)?\0[^/]*(/.*)", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": ""}

Token = re.Match[str]


@dataclass(frozen=True, slots=True)
class _Call:
    function: str
    arguments: list[list[Token]]


def is_k6_script(text: str) -> bool:
    """Whether it looks like a k6 script."""
    return _CALL_HINT.search(text) is not None


def read_k6_script(text: str) -> Draft:
    """The requests with literal URLs to the most frequent origin. All methods: a load script means what it sends."""
    calls, constants = _scanned(text)
    left_out, unknown, redactor = Counter[str](), dict[str, None](), Redactor()
    found: list[tuple[str, str, Example]] = []
    for call in calls:
        method, arguments = _method_of(call, constants)
        places: list[str] = []
        url = _origin_and_path(_evaluated(arguments[0], constants, places)) if method and arguments else None
        if url is None:
            left_out["call left out whose method or URL is not literal"] += 1
            continue
        unknown |= dict.fromkeys(places)
        body = _literal_body(method, arguments, constants, redactor)
        left_out["body that is not literal JSON or a form left out: add it to the plan"] += body is None
        text_of, is_json = (body.text, body.is_json) if body and body.text else (None, False)
        found.append((url[0], method, Example(redactor.path(url[1]), (), text_of, is_json)))
    origins = Counter(origin for origin, _, _ in found if origin)
    target = origins.most_common(1)[0][0] if origins else ""
    endpoints = Endpoints()
    for origin, method, example in found:
        if origin in ("", target):
            endpoints.add(method, example)
        else:
            left_out["request to other origins left out"] += 1
    notes = counted_notes(left_out) + redactor.note()
    if unknown:
        notes.append(f"not understood, so 1 or the target stands in its place: {listed(unknown)}")
    if found:
        notes.append("headers, checks and pauses of a script are not read")
    return Draft(requests_of(candidates_of(endpoints.most_frequent()), notes), tuple(notes), target=target)


def _scanned(text: str) -> tuple[list[_Call], dict[str, str]]:
    """The calls of k6's http module, and constants with a literal text."""
    modules, constants, calls = {"http"}, dict[str, str](), list[_Call]()
    recent: deque[str] = deque([""] * 8, maxlen=8)
    for token in _tokens(text, 0):
        recent.append(token[0])
        module, _, function = recent[-2].rpartition(".")
        if token["text"] and recent[-4] == "import" and recent[-2] == "from" and token[0][1:-1] == "k6/http":
            modules.add(recent[-3])
        elif token["text"] and (name := _declared(list(recent))) and not _GOES_ON.match(text, token.end()):
            places: list[str] = []
            value = _evaluated([token], constants, places)
            if not places and len(value) <= _CONSTANT_LENGTH:
                constants[name] = value
        elif token[0] == "(" and module in modules and function in _FUNCTIONS and len(calls) < _MOST_CALLS:
            calls.append(_Call(function, _arguments(text, token.end())))
    return calls, constants


def _tokens(text: str, start: int) -> Iterator[Token]:
    return (token for token in _TOKEN.finditer(text, start) if not token["comment"])


def _declared(recent: list[str]) -> str | None:
    """The name in `const NAME = '...'` and in `const NAME = __ENV.NAME || '...'`."""
    *_, keyword, name, equals, _ = recent
    if "||" in "".join(recent[-3:-1]) and recent[-4].startswith("__ENV."):
        keyword, name, equals = recent[1:4]
    return name if keyword in ("const", "let", "var") and equals == "=" else None


def _arguments(text: str, start: int) -> list[list[Token]]:
    """The tokens of each argument of a call, read from behind its parenthesis."""
    arguments: list[list[Token]] = [[]]
    depth = 0
    for token in islice(_tokens(text, start), _MOST_TOKENS):
        depth += (token[0] in ("(", "[", "{")) - (token[0] in (")", "]", "}"))
        if depth < 0:
            break
        if depth == 0 and token[0] == ",":
            arguments.append([])
        else:
            arguments[-1].append(token)
    return [argument for argument in arguments if argument]


def _method_of(call: _Call, constants: dict[str, str]) -> tuple[str, list[list[Token]]]:
    """The method, "" if it is not literal, and the arguments from the URL on."""
    if call.function not in _NAMES_METHOD or not call.arguments:
        return _METHODS.get(call.function, ""), call.arguments
    places: list[str] = []
    method = _evaluated(call.arguments[0], constants, places).upper()
    return ("" if places else method), call.arguments[1:]


def _evaluated(argument: list[Token], constants: dict[str, str], places: list[str]) -> str:
    """A sum of texts and constants; what it is not is written as `_UNKNOWN` and named in `places`."""
    terms: list[list[Token]] = [[]]
    depth = 0
    for token in argument:
        depth += (token[0] in ("(", "[", "{")) - (token[0] in (")", "]", "}"))
        if depth == 0 and token[0] == "+":
            terms.append([])
        elif not (token["word"] or "").endswith(".url"):  # http.url`...` only groups URLs in k6's figures
            terms[-1].append(token)
    return "".join(_term(term, constants, places) for term in _unwrapped(terms))


def _unwrapped(terms: list[list[Token]]) -> list[list[Token]]:
    return [
        term[1:-1] if len(term) == 3 and term[0][0] == "(" and term[-1][0] == ")" else term for term in terms if term
    ]


def _term(term: list[Token], constants: dict[str, str], places: list[str]) -> str:
    first = term[0]
    if len(term) == 1 and first["text"] and len(first[0]) <= BODY_LENGTH:
        inner = _unescaped(first[0][1:].removesuffix(first[0][0]))
        return _filled(inner, constants, places) if first[0][0] == "`" else inner
    if len(term) == 1 and first[0] in constants:
        return constants[first[0]]
    # Only names are shown, never texts: an expression may hold a secret.
    places.append((first["word"] or "an expression") + ("(...)" if len(term) > 1 else ""))
    return _UNKNOWN


def _filled(text: str, constants: dict[str, str], places: list[str]) -> str:
    def value(place: Token) -> str:
        name = place[1].strip()
        if name in constants:
            return constants[name]
        places.append(f"${{{name}}}" if re.fullmatch(r"[\w$.\[\]]+", name) else "${...}")
        return _UNKNOWN

    return _PLACE.sub(value, text)


def _unescaped(text: str) -> str:
    def character(escape: Token) -> str:
        code = escape[1] or escape[2]
        return as_text(chr(int(code, 16))) if code else _LETTERS.get(escape[3], escape[3])

    return _ESCAPE.sub(character, text)


def _origin_and_path(url: str) -> tuple[str, str] | None:
    """Origin and path; the origin is "" where the script computes it."""
    if computed := _ORIGIN_UNKNOWN.match(url):
        path = fitting_path(computed[1].replace(_UNKNOWN, "1"))
        return ("", path) if path else None
    return split_url(url.replace(_UNKNOWN, "1"))


def _literal_body(
    method: str, arguments: list[list[Token]], constants: dict[str, str], redactor: Redactor
) -> Body | None:
    """The body; one without text when the call sends none, None when it is not literal."""
    if method in ("GET", "HEAD") or len(arguments) < 2 or arguments[1][0][0] in ("null", "undefined"):
        return Body("", is_json=False)
    places: list[str] = []
    text = _evaluated(arguments[1], constants, places)
    return None if places else recorded_body(text, "", redactor)
