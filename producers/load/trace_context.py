"""Headers that tell the service's own tracing which load a request belongs to.

Sources: W3C "Trace Context" (`traceparent`) and W3C "Baggage". What the request has of its own stays: its `traceparent`
is left alone, and to its `baggage` ours is appended, in one header.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote

BAGGAGE = "baggage"
_LINE = f"{BAGGAGE}: "

CHEAP_TPS = 5_000
"""Up to here the context is on by default with every engine: to make and render one costs 3 us, so 1.5% of a core.

At the 30,000 that `wire` sends on one core it would be a tenth of it, for requests that could be sent as they are.
"""


class TraceContext:
    """What is added to one run's requests; endpoints and stages are named by their numbers."""

    def __init__(self, run_id: str, stages: Sequence[str], endpoints: Sequence[tuple[str, Collection[str]]]) -> None:
        """`endpoints` are names, each with the names of the headers that the plan sets for it."""
        self._stages = [f",loadflame.stage={_encoded(stage)}" for stage in stages]
        self._endpoints = [
            (
                f"loadflame.run={_encoded(run_id)},loadflame.endpoint={_encoded(name)}",
                "traceparent" not in {header.lower() for header in headers},
            )
            for name, headers in endpoints
        ]

    def headers(self, endpoint: int, stage: int) -> dict[str, str]:
        """Ours for one request, `baggage` first, to be added with one of the below; every trace id is another."""
        baggage, traced = self._endpoints[endpoint]
        headers = {BAGGAGE: baggage + self._stages[stage]}
        if traced:
            bits = random.getrandbits(192)
            # An id of zeros only is invalid; one bit is set in each.
            headers["traceparent"] = f"00-{bits >> 64 | 1:032x}-{bits & (1 << 64) - 1 | 1:016x}-01"
        return headers


def with_context(own: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """A request's own headers, names in any case, and ours: appended to its baggage, in no one's place."""
    names = {name.lower() for name in own}
    baggage = [value for name, value in own.items() if name.lower() == BAGGAGE and value]
    rest = {name: value for name, value in own.items() if name.lower() != BAGGAGE}
    added = {name: value for name, value in ours.items() if name not in names}
    return rest | added | {BAGGAGE: ",".join([*baggage, ours[BAGGAGE]])}


def lines_with_baggage(own: str, lines: str) -> str:
    """Header lines to be added, as of `TraceContext.headers` or none, with a request's own baggage put before ours."""
    if not own:
        return lines
    ours = lines.removeprefix(_LINE)
    between = "\r\n" if ours == lines else ","
    return f"{_LINE}{own}{between}{ours}"


def _encoded(value: str) -> str:
    return quote(value, safe="")
