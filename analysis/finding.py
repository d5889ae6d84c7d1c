"""What a finding is, and the figures of a function that sentences are made of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.costs.growth import Fit, Shape

Evidence = Mapping[str, float | int | str | bool | None]

HOT_SHARE = 0.05
RELATION = "CPU and requests are joined by time window"
_PLUMBING = re.compile(
    # Labels keep the last two parts of a path: `asyncio/events.py`, `python3.11/selectors.py`, `futures/thread.py`.
    r"^(asyncio/|concurrent/|futures/|uvloop|<frozen )|(^|/)(selectors|threading|socketserver|runpy)\.py$"
)


def is_plumbing(file: str) -> bool:
    """Whether the functions of a file are machinery that calls the service; the path is as stacks have it."""
    return bool(_PLUMBING.search(file.replace("\\", "/")))


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one function. `us` is its CPU time per request with what it calls, `self_us` without; each has
    the ends of its 95% interval.

    Shares are of the service's CPU; `us_lowest` and `us_highest` are `us` at the lowest and the highest rate.
    """

    function: str
    file: str
    self_share: float
    total_share: float
    self_us: float
    us: float
    us_low: float | None = None
    us_high: float | None = None
    self_low: float | None = None
    self_high: float | None = None
    us_lowest: float | None = None
    us_highest: float | None = None
    samples: int = 0
    fit: Fit | None = None
    shape: Shape = "unclear"

    @property
    def label(self) -> str:
        """As stacks name it."""
        return f"{self.function} ({self.file})" if self.file else self.function

    @property
    def named(self) -> str:
        """As sentences name it."""
        return f"`{self.function}` ({self.file})" if self.file else f"`{self.function}`"

    @property
    def plumbing(self) -> bool:
        """Whether it is the machinery that calls the service, which is never a headline."""
        return is_plumbing(self.file)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `function` is the label of the function it is about, None when it is about the whole service."""

    kind: str
    summary: str
    function: str | None = None
    evidence: Evidence = field(default_factory=dict)
