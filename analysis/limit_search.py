"""The search for the highest rate that holds: coarse steps up to the first that does not, then bisection.

A step that held says nothing of chance, so what comes out is an interval between two rates that were tried: the
highest that held, and the lowest above it that did not.
"""

from dataclasses import dataclass

LOWEST_TPS = 1.0


@dataclass(slots=True)
class LimitSearch:
    """Rates in requests per second. `resolution` is the width of the interval at which the search ends, relative."""

    start_tps: float
    factor: float = 1.5
    resolution: float = 0.05
    held_tps: float | None = None
    """The highest rate that held below all that did not; None before any did."""
    violated_tps: float | None = None
    """The lowest rate that did not hold; None before any did not."""

    def next_tps(self) -> float | None:
        """The rate to try next; None when the search is over."""
        held, violated = self.held_tps, self.violated_tps
        if violated is None:
            return self.start_tps if held is None else held * self.factor
        if held is None:
            return violated / 2 if violated / 2 >= LOWEST_TPS else None
        return (held + violated) / 2 if violated - held > self.resolution * violated else None

    def told(self, tps: float, *, held: bool) -> None:
        """What became of a rate."""
        if held:
            self.held_tps = tps
        else:
            self.violated_tps = tps
