"""What is waited for is let go as soon as somebody asks to end."""

import asyncio

import pytest

from loadflame.stopping import StoppedError, unless


async def test_what_is_waited_for_is_cancelled_once_the_event_is_set() -> None:
    stop, ended = asyncio.Event(), []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("in order")

    asyncio.get_running_loop().call_soon(stop.set)
    with pytest.raises(StoppedError):
        async with unless(stop):
            await wait_for_ever()
    assert ended == ["in order"]


async def test_without_the_event_nothing_is_changed() -> None:
    async with unless(asyncio.Event()):
        await asyncio.sleep(0)


async def test_an_event_that_is_set_already_or_at_the_very_end_counts() -> None:
    stop = asyncio.Event()
    with pytest.raises(StoppedError):
        async with unless(stop):
            stop.set()
    with pytest.raises(StoppedError):
        async with unless(stop):
            await asyncio.Event().wait()


async def test_a_timeout_or_an_error_of_what_is_inside_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError):
        async with unless(asyncio.Event()), asyncio.timeout(0):
            await asyncio.Event().wait()
    with pytest.raises(ZeroDivisionError):
        async with unless(asyncio.Event()):
            raise ZeroDivisionError
