"""How much a service can take, roughly: a short closed loop of a few connections."""

import asyncio
import time
from collections.abc import Collection
from itertools import count

import aiohttp

from producers.load.guard import Guard, TargetError, check_target, highest_tps
from producers.load.outcomes import error_name, error_of
from producers.load.plan import Plan
from producers.load.rates import AWAY_TPS

CONNECTIONS = 8
WARM_UP_S, MEASURE_S = 0.4, 1.6
_TIMEOUT_S = 5.0


async def probe_rate(target: str, path: str, allow_hosts: Collection[str], max_tps: float = AWAY_TPS) -> float:
    """Requests per second that the service answered with all of a few connections kept busy for about two seconds.

    In a closed loop the service sets the pace, so this is near the most that it sustains; not a measurement.
    Another machine than this one is not asked more than `max_tps` times a second. Raises TargetError when the
    target is not there, not allowed, or answers with errors; PlanError when the URL does not fit.
    """
    stage = {"name": "probe", "hold": 1.0, "for": 1.0}
    plan = Plan.model_validate({"target": target, "stages": [stage], "requests": [{"name": "probe", "path": path}]})
    await check_target(plan, allow_hosts, max_tps)
    highest = await highest_tps(plan.target, max_tps)
    url = plan.target + path
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    guard = Guard(allow_hosts)
    async with aiohttp.ClientSession(connector=guard.connector(), timeout=timeout, auto_decompress=False) as session:
        began = time.perf_counter()
        ends: list[float] = []
        number = count()
        errors: list[str] = []

        async def visitor() -> None:
            until = began + WARM_UP_S + MEASURE_S
            while not errors and max(time.perf_counter(), turn := began + next(number) / highest) < until:
                await asyncio.sleep(turn - time.perf_counter())
                error = await _ask(session, url)
                ends.append(time.perf_counter())
                if error is not None:
                    errors.append(error)

        await asyncio.gather(*(visitor() for _ in range(CONNECTIONS)))
    if errors:
        raise TargetError(f"{url} answers the probe with '{errors[0]}'; mend the URL, or write a plan")
    measured = [end for end in ends if end >= began + WARM_UP_S]
    rate = len(measured) / (max(ends) - began - WARM_UP_S) if measured else len(ends) / (max(ends) - began)
    return min(rate, highest)


async def _ask(session: aiohttp.ClientSession, url: str) -> str | None:
    """Ask once and read the answer; the error's name if there is one."""
    try:
        async with session.get(url) as response:
            async for _ in response.content.iter_any():
                pass
            return error_of(response.status)
    except Exception as error:  # noqa: BLE001  whatever it is, it is the probe's outcome
        return error_name(error)
