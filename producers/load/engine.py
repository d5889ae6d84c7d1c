"""What sends requests: the interface of an engine, and which one a plan gets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from producers.clock import Clock
from producers.load.aiohttp_engine import AiohttpEngine
from producers.load.guard import Guard
from producers.load.plan import Plan
from producers.load.plan_errors import PlanError
from producers.load.prepared import prepared_requests
from producers.load.recorder import Recorder
from producers.load.rendering import cannot_render
from producers.load.segments import peak_tps, segments_of
from producers.load.setup import Setup
from producers.load.shards import Shard
from producers.load.trace_context import CHEAP_TPS, TraceContext
from producers.load.wire_engine import WireEngine


class Engine(Protocol):
    """Sends requests and tells the recorder what became of them. All methods are called on the event loop.

    An engine reports each request that `fire` began exactly once to `Recorder.ended`, unless `close` abandons it, and
    every request that it hands to a socket to `Recorder.was_sent`. It reports times and judges nothing.
    """

    name: str
    when_ended: Callable[[int], None]
    """Called with the time (Unix microseconds) when a request has ended: a moment to look for what is due."""

    in_flight: int
    """Requests begun and not ended."""

    async def open(self) -> None:
        """Make ready; sends nothing."""

    def fire(self, endpoint: int, stage: int, due_us: int, now_us: int) -> None:
        """Begin a request that was due at `due_us`. Returns at once and never raises because of the target."""

    async def close(self) -> None:
        """Abandon what is in flight and let go of all connections."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine of a plan, and in a few words why."""

    name: Literal["aiohttp", "wire"]
    reason: str


def choose_engine(plan: Plan) -> EngineChoice:
    """What the plan names; `auto` is the fastest that can do what the plan asks for. Pure.

    Raises PlanError when the plan names an engine that cannot send its requests.
    """
    obstacle = next(filter(None, (cannot_render(request) for request in plan.requests)), None)
    if plan.engine == "wire" and obstacle is not None:
        raise PlanError(f"engine wire cannot send what the plan asks for: {obstacle}; say `engine: auto`")
    if plan.engine != "auto":
        return EngineChoice(plan.engine, "the plan names it")
    if obstacle is not None:
        return EngineChoice("aiohttp", obstacle)
    return EngineChoice("wire", "the fastest, and it can do all that the plan asks for")


def is_traced(plan: Plan) -> bool:
    """Whether requests carry a trace context: as the plan says, else unless `wire` is to run at full speed. Pure."""
    if plan.trace_context is not None:
        return plan.trace_context
    return choose_engine(plan).name == "aiohttp" or peak_tps(segments_of(plan)) <= CHEAP_TPS


def engine_for(
    plan: Plan, recorder: Recorder, clock: Clock, guard: Guard, *, run_id: str, stages: Sequence[str], shard: Shard
) -> Engine:
    """The engine that the plan gets; `stages` are the labels that `fire` numbers. Raises PlanError as the above."""
    choice, requests = choose_engine(plan), prepared_requests(plan)
    context = TraceContext(run_id, stages, [(one.name, one.headers) for one in requests]) if is_traced(plan) else None
    setup = Setup(
        requests=requests,
        recorder=recorder,
        clock=clock,
        guard=guard,
        timeout_s=plan.timeout_s,
        redirects=plan.redirects,
        max_in_flight=plan.max_in_flight,
        context=context,
        shard=shard,
    )
    return WireEngine(setup) if choice.name == "wire" else AiohttpEngine(setup)
