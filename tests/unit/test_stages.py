"""CPU time by stage: each less what is inside it, and nothing of what others did meanwhile."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.stages import Stages

BURNT_S = 0.03


def burn(seconds: float = BURNT_S) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=0.6 * BURNT_S)


def test_a_stage_counts_less_what_the_stage_inside_it_took() -> None:
    stages = Stages()
    with stages.of("outer"):
        burn()
        stages.timed("inner", burn)(2 * BURNT_S)
        burn()
    assert dict(stages.cpu_s) == {"outer": about(2 * BURNT_S), "inner": about(2 * BURNT_S)}


def test_a_stage_that_fails_is_counted_all_the_same() -> None:
    stages = Stages()

    def fail() -> None:
        burn()
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  its own
        stages.timed("failing", fail)()
    assert stages.cpu_s["failing"] == about(BURNT_S)


def test_on_another_thread_the_threads_that_it_waits_for_count_and_the_main_one_does_not() -> None:
    stages = Stages()

    def waits_for_a_helper() -> None:
        with ThreadPoolExecutor(1) as helper:
            helper.submit(burn, 2 * BURNT_S).result()

    with ThreadPoolExecutor(1) as store:
        working = store.submit(stages.timed("store", waits_for_a_helper))
        burn()  # the event loop's own work
        working.result()
    assert stages.cpu_s["store"] == about(2 * BURNT_S)


async def test_of_a_coroutine_its_own_steps_count_and_not_what_runs_while_it_waits() -> None:
    stages, gone_on = Stages(), asyncio.Event()

    async def send() -> str:
        burn()
        await gone_on.wait()
        burn()
        return "sent"

    sending = asyncio.ensure_future(stages.stepped("send", send)())
    await asyncio.sleep(0)
    burn(4 * BURNT_S)
    gone_on.set()
    assert await sending == "sent"
    assert stages.cpu_s["send"] == about(2 * BURNT_S)


async def test_a_cancellation_reaches_the_coroutine() -> None:
    stages, ended = Stages(), []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("in order")

    waiting = asyncio.ensure_future(stages.stepped("wait", wait)())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == ["in order"]
