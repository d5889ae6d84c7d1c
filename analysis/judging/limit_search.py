"""The search for the highest rate that holds: coarse steps up to the first that does not, bisection, both ends again.

A step that held says nothing of chance, so what comes out is an interval between two rates that were tried, and each
end of it twice: at the lower and below it every step held, at the upper and above it every one broke. Where a rate
held once and broke once it lies inside, and the interval is as much wider.
"""

from dataclasses import dataclass, field
from math import inf

LOWEST_TPS = 1.0
MOST_STEPS = 64
"""Of a service that answers now so and now so; one that is monotone needs fewer from 1 to 1,000,000 TPS."""


@dataclass(slots=True)
class LimitSearch:
    """Rates in requests per second. `resolution` is the width of the interval at which the search ends, relative.

    No rate above `highest_tps` is tried. `steps` are the rates that were, each with whether it held, visit by visit.
    """

    start_tps: float
    factor: float = 1.5
    resolution: float = 0.05
    highest_tps: float = inf
    steps: dict[float, list[bool]] = field(default_factory=dict)

    @property
    def held_tps(self) -> float | None:
        """The highest rate up to which every step held; None where there is none."""
        broke = min((tps for tps, held in self.steps.items() if not all(held)), default=inf)
        return max((tps for tps in self.steps if tps < broke), default=None)

    @property
    def violated_tps(self) -> float | None:
        """The lowest rate from which on every step broke; None where there is none."""
        return min((tps for tps in self.steps if tps > self._highest_with_a_hold), default=None)

    @property
    def unsure_tps(self) -> tuple[float, ...]:
        """Rates that held once and broke once, ascending."""
        return tuple(sorted(tps for tps, held in self.steps.items() if any(held) and not all(held)))

    @property
    def _highest_with_a_hold(self) -> float:
        return max((tps for tps, held in self.steps.items() if any(held)), default=0.0)

    def next_tps(self) -> float | None:
        """The rate to try next; None when the search is over."""
        if sum(map(len, self.steps.values())) >= MOST_STEPS:
            return None
        if not self.steps:
            return min(self.start_tps, self.highest_tps)
        held, violated = self.held_tps, self.violated_tps
        if violated is None and self._highest_with_a_hold < self.highest_tps:
            return min(self._highest_with_a_hold * self.factor, self.highest_tps)
        if held is None:
            lower = min(self.steps) / 2
            return lower if lower >= LOWEST_TPS else None
        if violated is not None and not self.unsure_tps and violated - held > self.resolution * violated:
            return (held + violated) / 2
        ends = (held, violated) if violated is not None else (held,)
        return next((end for end in ends if len(self.steps[end]) == 1), None)

    def told(self, tps: float, *, held: bool) -> None:
        """What became of a rate."""
        self.steps.setdefault(tps, []).append(held)
