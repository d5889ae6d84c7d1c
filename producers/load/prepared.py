"""A plan's requests as an engine sends them: everything that can be made once is."""

import json
from dataclasses import dataclass

from producers.load.plan import Plan, Request


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """One endpoint: method, full URL, headers with the environment filled in, body as bytes."""

    name: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


def prepared_requests(plan: Plan) -> tuple[PreparedRequest, ...]:
    """The plan's requests in its order. Raises PlanError when a header needs a variable that is not set."""
    return tuple(_prepared(plan.target, request) for request in plan.requests)


def _prepared(target: str, request: Request) -> PreparedRequest:
    headers = request.expanded_headers()
    body = None
    if request.json_ is not None:
        body = json.dumps(request.json_, ensure_ascii=False).encode()
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
    elif request.body is not None:
        body = request.body.encode()
    return PreparedRequest(request.name, request.method, target + request.path, headers, body)
