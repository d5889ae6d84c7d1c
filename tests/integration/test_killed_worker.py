"""A worker killed in mid-run, as a power cut would, and started again: totals are exact."""

import asyncio

from tests.integration.test_pipeline import Setting, assert_exact, setting
from tests.support.polling import until
from tests.support.traffic import joined_events

__all__ = ["setting"]  # the fixture: each broker, and two workers


async def test_a_worker_killed_twice_in_mid_run_loses_and_repeats_nothing(setting: Setting) -> None:
    traffic = setting.traffic
    with setting.worker() as first:
        await traffic.begin()
        await traffic.send(*range(10))
        await _announced(setting, traffic, 3)
        first.kill()
    await traffic.send(*range(10, 14))  # nobody works
    with setting.worker() as second:
        await traffic.send(*range(14, 18))
        second.kill()  # it has hardly begun to read again
    with setting.worker() as third:
        await traffic.send(*range(18, 24), goodbye=True)
        await traffic.end()
        await asyncio.to_thread(third.end)
    checks, windows = await asyncio.to_thread(setting.outcome)
    assert_exact(traffic, checks, windows)


async def _announced(setting: Setting, traffic, count: int) -> None:
    """Wait until so many windows are joined and announced: the worker is in the middle of its work."""
    found = 0

    async def look() -> None:
        nonlocal found
        while found < count:
            found = len(await joined_events(setting.workers.broker, setting.workers.topics, traffic.run_id))

    looking = asyncio.create_task(look())
    try:
        await until(lambda: found >= count, 30, f"{count} joined windows")
    finally:
        looking.cancel()
