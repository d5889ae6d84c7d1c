"""How many processes a plan's load needs on one machine. Pure."""

from dataclasses import dataclass
from math import ceil

from producers.load.engine import choose_engine
from producers.load.plan import Plan
from producers.load.segments import segments_of

PER_CORE_TPS = {"wire": 30_000.0, "aiohttp": 3_000.0}
"""What an engine sends on one core with room to spare: about half of the most that was measured."""
TLS_SHARE = 1 / 3
"""Of that, over TLS."""
SCENARIO_TPS = 1_000.0
"""Runs of a scenario on one core, of a few requests each."""


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes share a load, and in a few words why."""

    count: int
    reason: str

    @property
    def sentence(self) -> str:
        """As it is told to people."""
        return f"{self.count} load process{'' if self.count == 1 else 'es'}: {self.reason}"


def workers_for(plan: Plan, cores: int) -> Workers:
    """As many as the plan's highest rate needs, at least one and at most one a core.

    Users who do not think make no rate of their own to be kept: the service sets it, and one process is enough.
    """
    rates = [segment.peak_tps for segment in segments_of(plan) if segment.think_s or not segment.users]
    peak_tps = max(rates, default=0.0)
    if not peak_tps:
        return Workers(1, "the service sets the pace")
    per_core_tps = _per_core_tps(plan)
    needed = max(1, ceil(peak_tps / per_core_tps))
    reason = f"the plan's highest rate is {round(peak_tps, 1):,.8g} TPS, and a core sends {per_core_tps:,.0f}"
    if needed > cores:
        return Workers(cores, f"{reason}, so it would take {needed}; there are {cores} cores")
    return Workers(needed, reason)


def _per_core_tps(plan: Plan) -> float:
    """Arrivals per second on one core in the plan's mix: what each request takes of a second adds up."""
    engine_tps = PER_CORE_TPS[choose_engine(plan).name] * (TLS_SHARE if plan.target.startswith("https") else 1)
    total = sum(request.weight for request in plan.requests)
    taken_s = sum(one.weight / total / (SCENARIO_TPS if one.scenario else engine_tps) for one in plan.requests)
    return 1 / taken_s
