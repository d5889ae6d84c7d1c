"""A real service, two in a hundred of whose requests wait on a slow downstream: looked at, loaded, and understood.

What is asserted hangs on no machine's speed. The looks have no budget here, requests are timed by the service and
counted rather than given a time, and one user asks again and again: whatever else runs here, the service works while
ordinary requests are under way, and nobody does while one waits.
"""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from analysis.waiting.contrast import Contrast, Groups, contrast
from analysis.waiting.slow_findings import slow_findings
from analysis.waiting.ticks import Ticks, WallStack
from benchmarks.serving import free_port, serving
from producers.profiler.austin_wall import Looks, WallStream
from producers.profiler.sampler import Seen
from schemas.stacks import WAITING, unfold

pytestmark = pytest.mark.alone
SERVICE = Path(__file__).parents[1] / "support" / "waiting_service.py"
REQUESTS, QUANTILE = 800, 0.9825
MOST_S = 60
LOOKS = Looks(97)


def now_us() -> int:
    return time.time_ns() // 1000


async def asked(url: str) -> tuple[list[int], list[int]]:
    """When requests were begun and done, in Unix microseconds."""
    starts_us: list[int] = []
    ends_us: list[int] = []
    async with asyncio.timeout(MOST_S), aiohttp.ClientSession() as session:
        for _ in range(REQUESTS):
            async with session.get(url) as answer:
                began_us, done_us = (await answer.text()).split()
            starts_us.append(int(began_us))
            ends_us.append(int(done_us))
    return starts_us, ends_us


async def looked_at(url: str, pid: int) -> tuple[list[int], list[int], list[Seen]]:
    stream = WallStream(pid, LOOKS, now_us)
    try:
        starts_us, ends_us = await asked(url)
        return starts_us, ends_us, stream.take(0, now_us())
    finally:
        stream.close()


def ticks_of(seen: list[Seen]) -> Ticks:
    texts = sorted({one.stack for one in seen})
    labels = [unfold(text) for text in texts]
    stacks = [WallStack(one[:-1] if one[-1:] == (WAITING,) else one, one[-1:] == (WAITING,)) for one in labels]
    number = {text: place for place, text in enumerate(texts)}
    at_us, weight_us, stack = (
        np.array(column, np.int64)
        for column in zip(*((one.at_us, one.weight_us, number[one.stack]) for one in seen), strict=True)
    )
    return Ticks.of(np.zeros(len(seen), np.int64), at_us, weight_us, stack, stacks)


def compared(starts_us: list[int], ends_us: list[int], seen: list[Seen]) -> Contrast:
    groups = Groups.of(np.array(starts_us), np.array(ends_us), quantile=QUANTILE, endpoint="search", level="hold")
    return contrast(groups, ticks_of(seen))


async def test_requests_that_wait_on_a_downstream_are_told_by_where_their_threads_stand_while_nobody_runs() -> None:
    port = free_port()
    with serving([sys.executable, str(SERVICE), str(port)], port) as process:
        found = compared(*await looked_at(f"http://127.0.0.1:{port}/", process.pid))
    assert found.idle is not None, found.lacks
    (finding,) = slow_findings("shop", [found])
    assert finding.kind == "slow", (finding.summary, found)
    assert finding.evidence["cause"] == "waiting", (finding.summary, found)
    assert finding.function == "ask_downstream (support/waiting_service.py)", (finding.summary, found)
    assert finding.evidence["idle_slow"] > finding.evidence["idle_ordinary"] + 0.3
