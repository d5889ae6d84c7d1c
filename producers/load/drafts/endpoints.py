"""Many requests seen, few endpoints planned: counted by method and template, each with its most frequent example."""

from collections import Counter
from dataclasses import dataclass

from producers.endpoint_names import template_of
from producers.load.drafts.draft import Candidate
from producers.load.drafts.secrets import plain_json

_MOST_ENDPOINTS, _MOST_EXAMPLES = 20_000, 100_000
"""However wide a site is, so much of it is kept in memory."""


@dataclass(frozen=True, slots=True)
class Example:
    """One request as it was seen; a body in JSON is text that was made from what was read."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and a path template, how often it was seen and how it looked most often."""

    method: str
    template: str
    count: int
    example: Example


class Endpoints:
    """Counts what it is shown. `beyond` is how many requests came after 20,000 endpoints were known."""

    def __init__(self) -> None:
        self._examples: dict[tuple[str, str], Counter[Example]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._kept = 0
        self.beyond = 0

    def add(self, method: str, example: Example) -> None:
        """Count one request."""
        key = (method, template_of(example.path))
        examples = self._examples.get(key)
        if examples is None:
            if len(self._examples) == _MOST_ENDPOINTS:
                self.beyond += 1
                return
            examples = self._examples[key] = Counter()
        self._counts[key] += 1
        # An endpoint always has its first example, even when no more are kept.
        if example in examples or self._kept < _MOST_EXAMPLES or not examples:
            self._kept += example not in examples
            examples[example] += 1

    def most_frequent(self) -> list[Endpoint]:
        """All endpoints, the most frequent first; equally frequent ones in the order in which they came."""
        return [
            Endpoint(method, template, count, self._examples[method, template].most_common(1)[0][0])
            for (method, template), count in self._counts.most_common()
        ]


def candidates_of(endpoints: list[Endpoint]) -> list[Candidate]:
    """Requests named by method and template; weights are the counts, scaled where one is over a plan's million."""
    scale = min(1.0, 1e6 / max((endpoint.count for endpoint in endpoints), default=1))
    return [_candidate(endpoint, round(endpoint.count * scale, 6)) for endpoint in endpoints]


def _candidate(endpoint: Endpoint, weight: float) -> Candidate:
    example, json = endpoint.example, None
    if example.body is not None and example.is_json:
        json = plain_json(example.body)
    body = example.body if json is None else None
    return Candidate(
        f"{endpoint.method} {endpoint.template}", endpoint.method, example.path, weight, example.headers, json, body
    )
