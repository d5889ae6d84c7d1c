"""A worker is ended when records wait and nothing moves; not in an outage, nor when there is nothing to do."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from processors.watchdog import Watchdog, WorkerStuckError
from tests.support.polling import until

STUCK_S = 0.1


@pytest.fixture
async def listener() -> AsyncIterator[str]:
    """The address of somebody who answers."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def answering(value: bool) -> tuple[Callable[[], Awaitable[bool]], list[float]]:
    """A question that is always answered so, and when it was asked."""
    asked: list[float] = []

    async def is_waiting() -> bool:
        asked.append(time.monotonic())
        return value

    return is_waiting, asked


async def test_records_wait_and_nothing_moves(listener: str) -> None:
    is_waiting, _ = answering(True)
    with pytest.raises(WorkerStuckError, match="start the worker again"):
        async with asyncio.timeout(20):
            await Watchdog(listener, STUCK_S, time.monotonic()).watch(is_waiting)


async def test_a_client_that_cannot_even_say_is_stuck(listener: str) -> None:
    async def never() -> bool:
        await asyncio.Event().wait()
        return False

    with pytest.raises(WorkerStuckError):
        async with asyncio.timeout(20):
            await Watchdog(listener, STUCK_S, time.monotonic()).watch(never)


async def test_nothing_waits(listener: str) -> None:
    is_waiting, asked = answering(False)
    watching = asyncio.create_task(Watchdog(listener, STUCK_S, time.monotonic()).watch(is_waiting))
    await until(lambda: len(asked) >= 2, 20, "a second look")
    assert not watching.done()
    assert asked[1] - asked[0] >= STUCK_S
    watching.cancel()


async def test_an_outage_is_waited_out(listener: str) -> None:
    is_waiting, asked = answering(True)
    host, _, port = listener.rpartition(":")
    nobody = f"{host}:1"
    outage = asyncio.create_task(Watchdog(nobody, STUCK_S, time.monotonic()).watch(is_waiting))
    with pytest.raises(WorkerStuckError):
        await Watchdog(f"{nobody}, {host}:{port}", STUCK_S, time.monotonic()).watch(is_waiting)
    assert len(asked) == 1, "only where one of the addresses answers is it asked whether something waits"
    assert not outage.done()
    outage.cancel()


async def test_while_something_moves_nobody_is_asked(listener: str) -> None:
    is_waiting, asked = answering(True)
    watchdog = Watchdog(listener, STUCK_S, time.monotonic() + 3600)
    watching = asyncio.create_task(watchdog.watch(is_waiting))
    others, when = answering(False)
    other = asyncio.create_task(Watchdog(listener, STUCK_S, time.monotonic()).watch(others))
    await until(lambda: len(when) >= 2, 20, "two looks of another one")
    assert asked == []
    for task in (watching, other):
        task.cancel()
