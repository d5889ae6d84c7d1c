"""How a run begins and ends: its id, its first moment, and the events that open and close it."""

import os
import secrets
from datetime import UTC, datetime

from loadflame.settings import Settings
from producers.load.engine import choose_engine
from producers.load.plan import Plan
from producers.load.shards import Shard
from schemas.events import RunEnded, RunStarted

LEAD_US = 500_000
"""Between the announcement of a run, when all that sends is ready, and its first arrival."""
STOP_S = 20.0
"""How long a part may take to bring home what it measured."""
ACKNOWLEDGE_S = 10.0
"""How long a producer waits for Kafka at its end; the rest of STOP_S is for putting on disk what was not taken."""


def new_run_id() -> str:
    """Sortable by time, and unique without asking anybody."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def cores_here() -> int:
    """Cores that this process may use: fewer than there are where somebody pinned it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def aligned(time_us: int, window_us: int) -> int:
    """The next window boundary: visits of whole windows then hold no window of two rates."""
    return -(-time_us // window_us) * window_us


def run_started(
    plan: Plan, settings: Settings, run_id: str, started_at_us: int, *, host_cores: int | None = None
) -> RunStarted:
    """The event that opens a run. Raises PlanError when the plan names an engine that cannot send its requests."""
    engine = choose_engine(plan)
    return RunStarted(
        run_id=run_id,
        service=plan.service,
        target=str(plan.target),
        started_at_us=started_at_us,
        window_us=settings.window_us,
        partitions=settings.partitions,
        engine=engine.name,
        engine_reason=engine.reason,
        plan=plan.model_dump(mode="json"),
        host_cores=host_cores,
    )


def run_ended(run_id: str, ended_at_us: int, heard: int, part: Shard, *, aborted: bool) -> RunEnded:
    """The event that closes a run of loads on their own, of which so many have said their last words.

    It names as many producers as there will be, so that nobody waits for a load that is gone; such a run may not be
    judged.
    """
    silent = part.count - heard
    return RunEnded(
        run_id=run_id,
        ended_at_us=ended_at_us,
        reason="aborted" if aborted else "error" if silent > 0 else "finished",
        producers=heard,
        note=f"{silent} of {part.count} loads have not said how they ended" if silent > 0 else "",
    )
