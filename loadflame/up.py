"""How a run comes up: broker, topics, worker and agent, in order, and a service that the agent starts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from loadflame.children import Child, ChildError
from loadflame.parts import START_S, Parts, parts_here
from loadflame.settings import Settings
from loadflame.starting import STOP_S
from producers.load.guard import TargetRefusedError, check_target
from producers.load.plan import Plan
from producers.publisher import KafkaPublisher

SOURCE = "loadflame/run"
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Up:
    """What is up before a load begins."""

    parts: Parts
    worker: Child
    agent: Child
    announcer: KafkaPublisher


async def all_up(
    plan: Plan,
    settings: Settings,
    stack: AsyncExitStack,
    *,
    profile: Sequence[str],
    run_id: str,
    logs: Path,
    on_phase: Callable[[str], None],
) -> Up:
    """Start everything but the load, and wait until it is ready; it ends with `stack`.

    `logs` is where the processes write theirs. Raises the UserError of what failed first.
    """
    on_phase("starting the broker")
    parts = await stack.enter_async_context(parts_here(settings, logs))
    on_phase("starting the stream processor and the profiler")
    worker = await parts.worker(run_id)
    agent = await parts.child("profile", "--run", run_id, *profile)
    stack.push_async_callback(agent.end, STOP_S)  # what it started itself must end with it, so it is not just killed
    await _all(worker.ready(START_S), agent.ready(START_S))
    if "--" in profile:
        await _listening(plan, settings, agent)
    announcer = KafkaPublisher(
        parts.broker, settings.topics, run_id, source=SOURCE, security=parts.security, spool=parts.settings.spool
    )
    return Up(parts, worker, agent, await stack.enter_async_context(announcer))


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
