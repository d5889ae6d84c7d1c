"""How fast a service goes when it is asked as fast as it answers: the closed model, users who never think."""

import asyncio
from dataclasses import dataclass

import psutil
import uvloop

from producers.load.plan import Plan
from producers.load.runner import run_load
from producers.publisher import MemoryPublisher

USERS = 8
_WARM_UP = 0.25


@dataclass(frozen=True, slots=True)
class Limit:
    """Answers a second, and the share of a core that the service got meanwhile."""

    tps: float
    cores: float

    @property
    def tps_of_a_core(self) -> float:
        """Answers for each second of CPU: the limit had nobody taken the core away."""
        return self.tps / self.cores


def saturated(plan: Plan, pid: int, *, measured_s: float) -> Limit:
    """The limit of a running service that is held by one core; `plan` says what it is asked."""
    for seconds in (_WARM_UP * measured_s, measured_s):
        stage = {"name": "all", "users": USERS, "for": f"{seconds:g}s"}
        asked = Plan.model_validate(plan.model_dump(by_alias=True, exclude_none=True) | {"stages": [stage]})
        before = psutil.Process(pid).cpu_times()
        completed = uvloop.run(_load(asked))
        after = psutil.Process(pid).cpu_times()
    used_s = after.user + after.system - before.user - before.system
    return Limit(completed / measured_s, used_s / measured_s)


async def _load(plan: Plan) -> int:
    totals = await run_load(
        plan,
        publisher=MemoryPublisher(),
        run_id="saturated",
        start_at_us=0,
        window_us=1_000_000,
        stop=asyncio.Event(),
    )
    assert totals.failed == 0, totals
    return totals.completed
