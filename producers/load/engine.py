"""What sends requests: the interface of an engine, and where the plan's `engine` is looked up."""

from collections.abc import Callable
from typing import Protocol

from producers.load.aiohttp_engine import AiohttpEngine
from producers.load.clock import Clock
from producers.load.guard import Guard
from producers.load.plan import Plan
from producers.load.prepared import prepared_requests
from producers.load.recorder import Recorder


class Engine(Protocol):
    """Sends requests and tells the recorder what became of them. All methods are called on the event loop.

    An engine reports each request that `fire` began exactly once to `Recorder.ended`, unless `close` abandons it, and
    every request that it hands to a socket to `Recorder.was_sent`. It reports times and judges nothing.
    """

    name: str
    in_flight: int

    async def open(self) -> None:
        """Make ready; sends nothing."""

    def fire(self, endpoint: int, stage: int, due_us: int, now_us: int) -> None:
        """Begin a request that was due at `due_us`. Returns at once and never raises because of the target."""

    async def close(self) -> None:
        """Abandon what is in flight and let go of all connections."""


EngineMaker = Callable[[Plan, Recorder, Clock, Guard], Engine]


def _aiohttp(plan: Plan, recorder: Recorder, clock: Clock, guard: Guard) -> Engine:
    return AiohttpEngine(
        prepared_requests(plan),
        recorder=recorder,
        clock=clock,
        guard=guard,
        timeout_s=plan.timeout_s,
        redirects=plan.redirects,
        max_in_flight=plan.max_in_flight,
    )


ENGINES: dict[str, EngineMaker] = {"aiohttp": _aiohttp, "auto": _aiohttp}
"""By the plan's `engine`; `auto` is the fastest that can do what the plan asks for."""
