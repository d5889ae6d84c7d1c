"""The slowest requests of those that carry a trace id: what somebody who has tracing looks up there. Pure."""

MOST_ENDPOINTS = 500
TOLD = 3


class Slowest:
    """Of each endpoint the slowest request that has a trace id, for the first endpoints that are seen."""

    def __init__(self) -> None:
        self._traces: dict[str, tuple[int, str]] = {}

    def see(self, endpoint: str, took_us: int, trace: str) -> None:
        """A request that ended."""
        known = self._traces.get(endpoint)
        if known is None:
            if len(self._traces) < MOST_ENDPOINTS:
                self._traces[endpoint] = took_us, trace
        elif took_us > known[0]:
            self._traces[endpoint] = took_us, trace

    def in_words(self) -> str:
        """Those of the slowest endpoints, nothing where no request had a trace id."""
        slowest = sorted(self._traces.items(), key=lambda one: -one[1][0])[:TOLD]
        if not slowest:
            return ""
        said = (f"{endpoint} {_ms(took_us)} ms (trace {trace})" for endpoint, (took_us, trace) in slowest)
        return f"the slowest requests that carried a trace id: {', '.join(said)}"


def _ms(us: int) -> str:
    return f"{us / 1000:,.0f}" if us >= 100_000 else f"{us / 1000:.3g}"
