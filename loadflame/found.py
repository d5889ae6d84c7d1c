"""What a search for the limit found, in figures and in plain words."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.judging.limit_search import LimitSearch
from loadflame.limit_steps import Step


@dataclass(frozen=True, slots=True)
class FoundLimit:
    """Rates in requests per second, None where there is none; `unsure_tps` held once and broke once.

    `note` is why the generator could not go on, empty when it could; `is_bounded` that no higher rate may be tried.
    """

    held_tps: float | None
    violated_tps: float | None
    unsure_tps: tuple[float, ...]
    is_bounded: bool
    steps: tuple[Step, ...]
    note: str = ""

    @classmethod
    def of(cls, search: LimitSearch, steps: Sequence[Step], note: str) -> "FoundLimit":
        """From a search that is over, or was ended."""
        held, violated = search.held_tps, search.violated_tps
        bounded = violated is None and max(search.steps, default=0.0) >= search.highest_tps
        return cls(held, violated, search.unsure_tps, bounded, tuple(steps), note)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the limit lies; None while it is not known from both sides."""
        return None if self.held_tps is None or self.violated_tps is None else (self.held_tps, self.violated_tps)

    @property
    def sentence(self) -> str:
        """In plain words."""
        parts = [f"held {_tps(self.held_tps)}" if self.held_tps is not None else "no rate held"]
        if self.held_tps is None and self.violated_tps is None:
            parts[0] = "no rate could be judged"
        elif self.violated_tps is not None:
            broken = [step.broken for step in self.steps if step.tps == self.violated_tps]
            parts[0] += f", broke at {_tps(self.violated_tps)} TPS ({broken[0]})"
        else:
            parts[0] += " TPS, and nothing broke"
        if self.interval:
            parts.append(f"the limit lies in [{_tps(self.interval[0])}, {_tps(self.interval[1])}]")
        if self.unsure_tps:
            parts.append(f"at {', '.join(map(_tps, self.unsure_tps))} TPS it held once and broke once")
        if self.is_bounded:
            parts.append("no higher rate may be sent there; LOADFLAME_MAX_TPS allows more to another machine")
        return "; ".join([*parts, self.note] if self.note else parts)

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        steps = [asdict(step) for step in self.steps]
        return {**asdict(self), "steps": steps, "interval": self.interval, "sentence": self.sentence}


def _tps(tps: float) -> str:
    return f"{tps:,.5g}"
