"""How a run comes up: broker, topics, worker, agent and load, in order, and a service that the agent starts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from loadflame.children import Child, ChildError
from loadflame.loads import WaitingLoads, start_loads
from loadflame.parts import START_S, Parts, parts_here
from loadflame.settings import Settings
from loadflame.starting import STOP_S
from producers.load.guard import TargetRefusedError, check_target
from producers.load.plan import Plan
from producers.load.settled import settled
from producers.publisher import KafkaPublisher

SOURCE = "loadflame/run"
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Up:
    """What is up before a load begins. Where nothing is profiled from here there is no agent."""

    parts: Parts
    worker: Child
    agent: Child | None
    announcer: KafkaPublisher


async def all_up(
    plan: Plan,
    settings: Settings,
    stack: AsyncExitStack,
    *,
    profile: Sequence[str],
    workers: int,
    run_id: str,
    logs: Path,
    on_phase: Callable[[str], None],
) -> tuple[Up, WaitingLoads]:
    """Start everything, and wait until it is ready; it ends with `stack`. So many `workers` will load, once told to.

    `logs` is where the processes write theirs. Raises the UserError of what failed first.
    """
    plan_file = _write_plan(plan, logs)
    on_phase("starting the broker")
    parts = await stack.enter_async_context(parts_here(settings, logs))
    on_phase("starting the stream processor, the profiler and the load")
    worker = await parts.worker(run_id)
    agent = await parts.child("profile", "--run", run_id, *profile)
    stack.push_async_callback(agent.end, STOP_S)  # what it started itself must end with it, so it is not just killed
    loads = await start_loads(parts, plan_file, run_id, workers)
    await _all(worker.ready(START_S), agent.ready(START_S), loads.ready(START_S))
    if "--" in profile:
        now = settled(plan, time.time_ns() // 1000)  # it is settled for good when it begins
        await _listening(now, settings, agent)
    announcer = KafkaPublisher(
        parts.broker, settings.topics, run_id, source=SOURCE, security=parts.security, spool=parts.settings.spool
    )
    return Up(parts, worker, agent, await stack.enter_async_context(announcer)), loads


def _write_plan(plan: Plan, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.yaml"
    path.write_text(plan.to_yaml())
    return path


async def _listening(plan: Plan, settings: Settings, agent: Child) -> None:
    """Wait until the service listens that the agent has just started. Raises UserError when it does not, or ends."""
    until = time.monotonic() + START_S
    while True:
        if not agent.running:
            await agent.wait()  # its own sentence, if it has one
            raise ChildError(f"the command ended before it listened at {plan.target}; its output is in {agent.log}")
        try:
            return await check_target(plan, settings.allow_hosts, settings.max_tps)
        except TargetRefusedError:
            if time.monotonic() > until:
                raise ChildError(
                    f"the command did not listen at {plan.target} within {START_S:.0f} s; mend `target` in the plan, "
                    f"or see what it said in {agent.log}"
                ) from None
        await asyncio.sleep(_POLL_S)


async def _all(*waits: Awaitable[None]) -> None:
    """Wait for all; the first failure is raised as it is."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        for task in asyncio.as_completed(tasks):
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
