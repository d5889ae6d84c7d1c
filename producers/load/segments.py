"""From a plan's stages to segments: stretches of time over which the arrival rate is constant or linear."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from producers.load.plan import Plan
from producers.load.stages import Hold, Levels, Ramp


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch. `label` names it in every row and event: the stage's name, or `map[3]` for a third visit.

    `visit` counts a levels stage's visits from 1 in their order of time; it is 0 for the other forms. `offset_s` and
    `duration_s` are seconds from the run's start, rates are arrivals per second; the first `settle_s` are for settling.
    """

    label: str
    stage: str
    form: Literal["hold", "ramp", "level"]
    visit: int
    offset_s: float
    duration_s: float
    rate_from_tps: float
    rate_to_tps: float
    settle_s: float = 0.0

    @property
    def end_s(self) -> float:
        """Seconds from the run's start."""
        return self.offset_s + self.duration_s

    @property
    def arrivals(self) -> float:
        """The integral of the rate: how many arrivals are due, as a real number."""
        return (self.rate_from_tps + self.rate_to_tps) / 2 * self.duration_s


def segments_of(plan: Plan) -> tuple[Segment, ...]:
    """The plan's segments, in order and without gaps."""
    segments: list[Segment] = []
    offset_s = 0.0
    for stage in plan.stages:
        for segment in _of_stage(stage, offset_s):
            segments.append(segment)
            offset_s = segment.end_s
    return tuple(segments)


def _of_stage(stage: Hold | Ramp | Levels, offset_s: float) -> Iterable[Segment]:
    match stage:
        case Hold():
            yield Segment(stage.name, stage.name, "hold", 0, offset_s, stage.for_s, stage.hold, stage.hold)
        case Ramp():
            yield Segment(stage.name, stage.name, "ramp", 0, offset_s, stage.for_s, *stage.ramp)
        case Levels():
            for visit, rate in enumerate(visiting_order(stage), 1):
                label = f"{stage.name}[{visit}]"
                start_s = offset_s + (visit - 1) * stage.each_s
                yield Segment(label, stage.name, "level", visit, start_s, stage.each_s, rate, rate, stage.settle_s)


def visiting_order(stage: Levels) -> list[float]:
    """The rates of all visits in order: round by round, each round a seeded shuffle of all levels.

    Shuffled within rounds (randomised blocks) and not as a whole: a service that warms up or leaks then meets every
    level early and late, so that time and rate stay apart.
    """
    rng = random.Random(stage.seed)  # noqa: S311  an experiment's order, no secret
    return [rate for _ in range(stage.visits) for rate in rng.sample(stage.levels, len(stage.levels))]
