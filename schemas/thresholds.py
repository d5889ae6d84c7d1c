"""The grammar of thresholds: `METRIC [ (ENDPOINT) ] COMPARISON LIMIT [UNIT]`, for example `p99(search) < 250ms`.

| metric                      | unit of the limit            |
|-----------------------------|------------------------------|
| p50, p95, p99, p99.9, mean, max | us, ms or s (required)   |
| errors, dropped             | % (required)                 |
| tps                         | none                         |
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

_TIMES_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_PERCENTILE = re.compile(r"^p(\d{1,2}(?:\.\d+)?)$")
_FORM = re.compile(
    r"^\s*(?P<metric>[a-z][a-z0-9.]*)\s*(?:\(\s*(?P<endpoint>[^()]+?)\s*\))?\s*"
    r"(?P<comparison><=|>=|<|>)\s*(?P<limit>\d+(?:\.\d+)?)\s*(?P<unit>[a-z%]*)\s*$"
)
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """One threshold. `limit` is in milliseconds for latencies, a share (0 to 1) for rates, requests/s for `tps`."""

    text: str
    metric: str
    endpoint: str | None
    comparison: str
    limit: float

    @property
    def quantile(self) -> float | None:
        """0.99 for `p99`; None for other metrics."""
        match = _PERCENTILE.match(self.metric)
        return float(match[1]) / 100 if match else None

    @property
    def is_latency(self) -> bool:
        """True when the metric is a time."""
        return self.quantile is not None or self.metric in ("mean", "max")

    def holds(self, value: float) -> bool:
        """Whether a measured value, in the unit of `limit`, keeps the threshold."""
        return _COMPARISONS[self.comparison](value, self.limit)


def parse_threshold(text: str) -> Threshold:
    """Read one threshold; raises ValueError with a sentence that names what does not fit and what would."""
    match = _FORM.match(text)
    if not match:
        raise ValueError(f"threshold {text!r} does not parse; write one like 'p99(search) < 250ms' or 'errors < 1%'")
    metric, unit, limit = match["metric"], match["unit"], float(match["limit"])
    if _PERCENTILE.match(metric) or metric in ("mean", "max"):
        if unit not in _TIMES_MS:
            raise ValueError(f"threshold {text!r} needs a time in us, ms or s, as in '{metric} < 250ms'")
        limit *= _TIMES_MS[unit]
    elif metric in ("errors", "dropped"):
        if unit != "%":
            raise ValueError(f"threshold {text!r} needs a percentage, as in '{metric} < 1%'")
        limit /= 100
    elif metric == "tps":
        if unit:
            raise ValueError(f"threshold {text!r} takes a plain number of requests per second, as in 'tps > 100'")
    else:
        raise ValueError(
            f"threshold {text!r}: unknown metric {metric!r}; known are p50..p99.9, mean, max, errors, dropped and tps"
        )
    return Threshold(text.strip(), metric, match["endpoint"], match["comparison"], limit)
