"""Headers that tell the service's own tracing which load a request belongs to.

Sources: W3C "Trace Context" (`traceparent`) and W3C "Baggage". What a plan sets itself stays: its `traceparent` is
left alone, and to its `baggage` ours is appended.
"""

import random
from collections.abc import Mapping, Sequence
from urllib.parse import quote


class TraceContext:
    """The headers of one run's requests; endpoints and stages are named by their numbers."""

    def __init__(self, run_id: str, stages: Sequence[str], endpoints: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """`endpoints` are names with the headers that the plan sets for them."""
        self._stages = [f",loadflame.stage={_encoded(stage)}" for stage in stages]
        self._endpoints = []
        for name, headers in endpoints:
            own = {header.lower(): value for header, value in headers.items()}
            before = f"{own['baggage']}," if own.get("baggage") else ""
            baggage = f"{before}loadflame.run={_encoded(run_id)},loadflame.endpoint={_encoded(name)}"
            self._endpoints.append((baggage, "traceparent" not in own))

    def headers(self, endpoint: int, stage: int) -> dict[str, str]:
        """The headers of one request; every trace id is another."""
        baggage, traced = self._endpoints[endpoint]
        headers = {"baggage": baggage + self._stages[stage]}
        if traced:
            bits = random.getrandbits(192)
            # An id of zeros only is invalid; one bit is set in each.
            headers["traceparent"] = f"00-{bits >> 64 | 1:032x}-{bits & (1 << 64) - 1 | 1:016x}-01"
        return headers


def _encoded(value: str) -> str:
    return quote(value, safe="")
