"""The grammar of thresholds: `METRIC [(ENDPOINT)] [@STAGE] COMPARISON LIMIT [UNIT] [for TIME]`.

| metric                          | unit of the limit      | what it is                                                |
|---------------------------------|------------------------|-----------------------------------------------------------|
| p50, p95, p99, p99.9, mean, max | us, ms or s (required) | latency from the scheduled start                          |
| errors                          | % (required)           | failed requests of those that ended                       |
| dropped                         | % (required)           | arrivals that were not sent, of those scheduled           |
| checks                          | % (required)           | answers that passed every check, of those checked         |
| tps                             | none                   | requests per second that were answered as asked           |

`p99(search) < 250ms` is of one endpoint, `errors@peak < 1%` of one stage, both may stand together. With `for 10s` the
threshold is broken once no window for so long held it, and the run is then ended early. A latency that lies among
requests that were dropped or got no answer is only known from below, and keeps no limit from above.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from schemas.durations import parse_duration_s

_TIMES_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_SHARES = ("errors", "dropped", "checks")
_PERCENTILE = re.compile(r"^p(\d{1,2}(?:\.\d+)?)$")
_OF_WINDOWS = ("p50", "p95", "p99", "p99.9", "mean", "max", "errors", "dropped", "tps")
"""What is told of every window while a run is on, so that `for` can be judged."""
_FORM = re.compile(
    r"^\s*(?P<metric>[a-z][a-z0-9.]*)\s*(?:\(\s*(?P<endpoint>[^()]+?)\s*\))?\s*(?:@\s*(?P<stage>[^@<>\s][^@<>]*?)\s*)?"
    r"(?P<comparison><=|>=|<|>)\s*(?P<limit>\d+(?:\.\d+)?)\s*(?P<unit>(?!for\b)[a-z%]*)\s*(?:\bfor\s+(?P<time>\S+))?\s*$"
)
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """One threshold. `limit` is in milliseconds for latencies, a share (0 to 1) for rates, requests/s for `tps`.

    `endpoint` and `stage` are None when it is of all of them; `for_s` is None when it is of the whole time.
    """

    text: str
    metric: str
    endpoint: str | None
    comparison: str
    limit: float
    stage: str | None = None
    for_s: float | None = None

    @property
    def quantile(self) -> float | None:
        """0.99 for `p99`; None for other metrics."""
        match = _PERCENTILE.match(self.metric)
        return float(match[1]) / 100 if match else None

    @property
    def rank(self) -> float | None:
        """Of which part of the requests it is the longest: 0.99 for `p99`, 1 for `max`; None for other metrics."""
        return 1.0 if self.metric == "max" else self.quantile

    @property
    def is_share(self) -> bool:
        """True when the metric is a share of requests."""
        return self.metric in _SHARES

    @property
    def is_from_above(self) -> bool:
        """True when it says what a value must stay below."""
        return self.comparison in ("<", "<=")

    def holds(self, value: float) -> bool:
        """Whether a measured value, in the unit of `limit`, keeps the threshold."""
        return _COMPARISONS[self.comparison](value, self.limit)


def parse_threshold(text: str) -> Threshold:
    """Read one threshold; raises ValueError with a sentence that names what does not fit and what would."""
    match = _FORM.match(text)
    if not match:
        raise ValueError(f"threshold {text!r} does not parse; write one like 'p99(search) < 250ms' or 'errors < 1%'")
    metric, endpoint = match["metric"], match["endpoint"]
    if metric == "dropped" and endpoint is not None:
        raise ValueError(f"threshold {text!r}: an arrival is dropped before it is anyone's; write 'dropped' alone")
    limit = _limit(text, metric, float(match["limit"]), match["unit"])
    return Threshold(text.strip(), metric, endpoint, match["comparison"], limit, match["stage"], _for_s(text, match))


def _limit(text: str, metric: str, limit: float, unit: str) -> float:
    if _PERCENTILE.match(metric) or metric in ("mean", "max"):
        if unit not in _TIMES_MS:
            raise ValueError(f"threshold {text!r} needs a time in us, ms or s, as in '{metric} < 250ms'")
        return limit * _TIMES_MS[unit]
    if metric in _SHARES:
        if unit != "%":
            raise ValueError(f"threshold {text!r} needs a percentage, as in '{metric} < 1%'")
        return limit / 100
    if metric == "tps":
        if unit:
            raise ValueError(f"threshold {text!r} takes a plain number of requests per second, as in 'tps > 100'")
        return limit
    raise ValueError(
        f"threshold {text!r}: unknown metric {metric!r}; "
        "known are p50..p99.9, mean, max, errors, dropped, checks and tps"
    )


def _for_s(text: str, match: re.Match[str]) -> float | None:
    if match["time"] is None:
        return None
    if match["metric"] not in _OF_WINDOWS:
        raise ValueError(f"threshold {text!r}: 'for' goes with {', '.join(_OF_WINDOWS[:-1])} and {_OF_WINDOWS[-1]}")
    try:
        return parse_duration_s(match["time"])
    except ValueError as error:
        raise ValueError(f"threshold {text!r}: {error}") from error
