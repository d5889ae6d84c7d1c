"""A plan's requests as an engine sends them: everything that can be made once is."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from producers.load.bodies import LargeBody
from producers.load.checking import Checks, checks_of
from producers.load.feeds import read_feed
from producers.load.plan import Plan, Request
from producers.load.plan_errors import PlanError
from producers.load.scenarios import Scenario, load_scenario
from producers.load.templates import Rows, Template, parse_template

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "loadflame"}
"""What every request says unless the plan says otherwise; the same with every engine, for services do act on it."""

_IN_URLS = "%/?&=:@!$'()*+,;~-._[]"


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """One endpoint: method and target as they are, the rest as templates with the environment filled in."""

    name: str
    method: str
    target: str
    path: Template
    headers: Mapping[str, Template]
    body: Template | LargeBody | None
    checks: Checks
    scenario: Scenario | None = None
    """What is run instead of sending one request; then `path` is empty."""

    @property
    def varies(self) -> bool:
        """Whether it is another request for every arrival."""
        body = [self.body] if isinstance(self.body, Template) else []
        return any(template.varies for template in (self.path, *self.headers.values(), *body))

    def url(self, arrival: int) -> str:
        """The URL for an arrival. Raises FeedOverError, as the next two do."""
        return self.target + self.path.text(arrival)

    def headers_for(self, arrival: int) -> dict[str, str]:
        """The headers for an arrival."""
        return {name: value.text(arrival) for name, value in self.headers.items()}

    def body_for(self, arrival: int) -> bytes | None:
        """The body for an arrival; None without one, or when it is too large to be held."""
        return self.body.text(arrival).encode() if isinstance(self.body, Template) else None


def prepared_requests(plan: Plan) -> tuple[PreparedRequest, ...]:
    """The plan's requests in its order, feeds read.

    Raises PlanError when a header needs a variable that is not set, a template is not known, a feed is not to be read
    or a scenario does not import.
    """
    feeds = {name: read_feed(feed.file, again=feed.again) for name, feed in plan.feeds.items()}
    return tuple(_prepared(plan.target, request, feeds) for request in plan.requests)


def _prepared(target: str, request: Request, feeds: Mapping[str, Rows]) -> PreparedRequest:
    headers = dict(request.headers)
    body: Template | LargeBody | None = None
    if request.json_ is not None:
        _default(headers, "Content-Type", "application/json")
        body = parse_template(json.dumps(request.json_, ensure_ascii=False), feeds, _in_json)
    elif request.body is not None:
        _default(headers, "Content-Type", "text/plain; charset=utf-8")
        body = parse_template(request.body, feeds)
    elif request.body_file is not None or request.body_size is not None:
        _default(headers, "Content-Type", "application/octet-stream")
        body = _large(request)
        headers["Content-Length"] = str(body.size)
    for name, value in _HEADERS.items():
        _default(headers, name, value)
    try:
        return PreparedRequest(
            name=request.name,
            method=request.method,
            target=target,
            path=_percent_encoded(parse_template(request.path or "", feeds, _in_path)),
            headers={name: _header(request, name, value, feeds) for name, value in headers.items()},
            body=body,
            checks=checks_of(request.checks),
            scenario=load_scenario(request.scenario) if request.scenario else None,
        )
    except PlanError as error:
        raise PlanError(f"request {request.name}: {error}") from error


def _large(request: Request) -> LargeBody:
    if request.body_file is None:
        return LargeBody(request.body_size or 0)
    try:
        return LargeBody(request.body_file.stat().st_size, request.body_file)
    except OSError as error:
        raise PlanError(
            f"request {request.name}: body_file {request.body_file} cannot be read ({error.strerror}); "
            "its path is relative to the plan's"
        ) from error


def _default(headers: dict[str, str], name: str, value: str) -> None:
    if not any(given.lower() == name.lower() for given in headers):
        headers[name] = value


def _header(request: Request, name: str, text: str, feeds: Mapping[str, Rows]) -> Template:
    """A header's value; what the environment holds is no template, whatever it looks like, and never shown."""
    pieces = parse_template(text, feeds, _in_header).pieces
    return Template(tuple(request.expanded(name, piece) if isinstance(piece, str) else piece for piece in pieces))


def _percent_encoded(path: Template) -> Template:
    """What no URL may hold as it is (RFC 3986, section 2) encoded, and what is encoded already left."""
    return Template(tuple(quote(piece, safe=_IN_URLS) if isinstance(piece, str) else piece for piece in path.pieces))


def _in_path(value: str) -> str:
    return quote(value, safe="")


def _in_json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _in_header(value: str) -> str:
    return re.sub(r"[\r\n\0]", " ", value)
