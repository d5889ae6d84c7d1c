"""Two groups of runs side by side as data: its JSON is a contract (names and nesting stay; fields may be added)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from analysis.comparison.difference import Verdict, What
from views.model import Figure, MaybeFigure

Outcome = Literal["regression", "improvement", "none", "unclear"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LeftOut(_Part):
    """A run that is not in the comparison, and why."""

    run: str
    why: str


class Side(_Part):
    """The runs of one side that are compared, oldest first, and those that are not."""

    runs: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


class Level(_Part):
    """A stage, or a rate of a `levels` stage: what each side got through, and why it is not compared, empty if it is.

    `one_sided`: only one side could be measured there, or the sides got through different rates.
    """

    level: str
    base_tps: MaybeFigure
    new_tps: MaybeFigure
    why: str = ""
    one_sided: bool = False


class Change(_Part):
    """One figure on both sides: means of the runs, and new over base with its 95% interval.

    `minimum_detectable` is the change (0.05: 5%) that would have been found in four of five such comparisons; `p` is
    two-sided and not corrected, `verdict` is corrected for all that was looked at. `unclear` was not judged.
    """

    base: MaybeFigure
    new: MaybeFigure
    verdict: Verdict
    ratio: MaybeFigure
    low: MaybeFigure
    high: MaybeFigure
    difference: MaybeFigure
    difference_low: MaybeFigure
    difference_high: MaybeFigure
    p: MaybeFigure
    minimum_detectable: MaybeFigure
    samples: MaybeFigure = None


class Function(_Part):
    """A function in CPU microseconds per request: `self` is its own code, `total` is with what it calls.

    Shares are of the service's CPU. `moved_from` is the file that it was in on the base side, where it is another one.
    """

    function: str
    file: str
    moved_from: str | None
    base_share: Figure
    new_share: Figure
    self_us: Change
    total_us: Change
    is_regression: bool


class Latency(_Part):
    """A percentile of an endpoint in milliseconds from the scheduled start."""

    endpoint: str
    percentile: What
    ms: Change


class Detectable(_Part):
    """What would have been found in four of five such comparisons, as a change (0.05: 5%)."""

    service: MaybeFigure
    function_of_10_percent: MaybeFigure


class Method(_Part):
    """How it was judged. `spread_between_runs` is the standard deviation between runs of one side, 0.02: 2%."""

    judged: int
    interleaved: bool
    drift_removed: bool
    spread_between_runs: MaybeFigure


class Difference(_Part):
    """Everything that two groups of runs say. `sentences` begin with what matters most."""

    service: str
    outcome: Outcome
    comparable: bool
    sentences: tuple[str, ...]
    base: Side
    new: Side
    levels: tuple[Level, ...]
    cpu_us: Change | None
    functions: tuple[Function, ...] = ()
    latency: tuple[Latency, ...] = ()
    minimum_detectable: Detectable
    method: Method | None
    warnings: tuple[str, ...] = ()
