"""A worker is ended when records wait and nothing moves; not in an outage, nor when there is nothing to do."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from processors.watchdog import Watchdog, WorkerStuckError
from tests.support.polling import until

STUCK_S = 0.1


@contextlib.asynccontextmanager
async def listening(*, stays: bool = True, port: int = 0) -> AsyncIterator[str]:
    """The address of somebody who takes connections, and keeps them unless told otherwise."""
    connections = set()

    def come(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if stays:
            connections.add(writer)
        else:
            writer.close()

    server = await asyncio.start_server(come, "127.0.0.1", port)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in connections:
            writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[str]:
    """The address of somebody who answers."""
    async with listening() as address:
        yield address


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


async def test_a_client_that_fails_to_say_as_in_a_rebalance_ends_no_worker(listener: str) -> None:
    asked: list[float] = []

    async def is_waiting() -> bool:
        asked.append(time.monotonic())
        if len(asked) == 1:
            raise RuntimeError("Partition TP('requests', 3) is not assigned")
        return False

    watching = asyncio.create_task(Watchdog(listener, STUCK_S * 10, time.monotonic()).watch(is_waiting))
    await until(lambda: len(asked) >= 2 or watching.done(), 20, "a second look")
    assert not watching.done()
    watching.cancel()


async def test_nothing_waits(listener: str) -> None:
    is_waiting, asked = answering(False)
    watching = asyncio.create_task(Watchdog(listener, STUCK_S, time.monotonic()).watch(is_waiting))
    await until(lambda: len(asked) >= 2, 20, "a second look")
    assert not watching.done()
    assert asked[1] - asked[0] >= STUCK_S / 6
    watching.cancel()


async def test_an_outage_is_waited_out(listener: str) -> None:
    (is_waiting, asked), (also, never) = answering(True), answering(True)
    host, _, port = listener.rpartition(":")
    nobody = f"{host}:1"
    async with listening(stays=False) as proxy:
        outages = [
            asyncio.create_task(Watchdog(away, STUCK_S, time.monotonic()).watch(also)) for away in (nobody, proxy)
        ]
        with pytest.raises(WorkerStuckError):
            await Watchdog(f"{nobody}, {host}:{port}", STUCK_S, time.monotonic()).watch(is_waiting)
        await until(lambda: asked, 20, "a question")
        assert never == [], "only where one of the addresses answers is it asked whether something waits"
        for outage in outages:
            assert not outage.done()
            outage.cancel()


async def test_after_an_outage_it_has_all_of_its_time_again() -> None:
    async with listening() as gone:
        port = int(gone.rpartition(":")[2])
    is_waiting, asked = answering(True)
    began_s, stuck_s = time.monotonic(), 1.0
    watching = asyncio.create_task(Watchdog(f"127.0.0.1:{port}", stuck_s, began_s).watch(is_waiting))
    await until(lambda: time.monotonic() - began_s > stuck_s, 20, "an outage as long as nothing may move")
    async with listening(port=port):
        back_s = time.monotonic()
        with pytest.raises(WorkerStuckError):
            async with asyncio.timeout(20):
                await watching
    assert asked[0] > back_s
    assert asked[-1] - back_s > stuck_s * 0.7


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


HOUR_S = 3600.0
LOOKS: dict[str, tuple[list[tuple[float, bool | None]], list[str]]] = {
    "something has just moved": ([(1, True)], ["working"]),
    "nothing waits": ([(HOUR_S, False)], ["idle"]),
    "a record has come after an hour of nothing": ([(HOUR_S, False), (HOUR_S + 1, True)], ["idle", "working"]),
    "it waits, and still does half the time later": (
        [(HOUR_S, True), (HOUR_S + 29, True), (HOUR_S + 30, True)],
        ["working", "working", "stuck"],
    ),
    "it was away in between": (
        [(HOUR_S, True), (HOUR_S + 20, False), (HOUR_S + 30, True), (HOUR_S + 59, True)],
        ["working", "idle", "working", "working"],
    ),
    "something has moved in between": (
        [(HOUR_S, True), (HOUR_S + 25, None), (HOUR_S + 31, True), (HOUR_S + 60, True), (HOUR_S + 62, True)],
        ["working", "working", "working", "stuck"],
    ),
}


@pytest.mark.parametrize(("looks", "states"), LOOKS.values(), ids=LOOKS)
async def test_health_tells_the_stuck_from_the_idle_and_from_the_slow(
    listener: str, looks: list[tuple[float, bool | None]], states: list[str]
) -> None:
    """A look is a moment and whether something waits then; None: something moves."""
    watchdog = Watchdog(listener, 60.0, now_s=0.0)
    found = []
    for now_s, waits in looks:
        if waits is None:
            watchdog.moved(now_s)
        else:
            found.append((await watchdog.health(answering(waits)[0], now_s)).state)
    assert found == states


async def test_health_says_of_an_outage_where_nobody_answers() -> None:
    is_waiting, asked = answering(True)
    watchdog = Watchdog("127.0.0.1:1", 60.0, now_s=0.0)
    for now_s in (HOUR_S, 2 * HOUR_S):
        health = await watchdog.health(is_waiting, now_s)
        assert (health.state, health.sentence) == ("degraded", "nobody answers at the broker 127.0.0.1:1")
    assert asked == []


async def test_asking_for_the_health_keeps_no_worker_alive(listener: str) -> None:
    is_waiting, _ = answering(True)
    watchdog = Watchdog(listener, STUCK_S, time.monotonic())
    watching = asyncio.create_task(watchdog.watch(is_waiting))
    async with asyncio.timeout(20):
        while not watching.done():
            await watchdog.health(is_waiting, time.monotonic())
            await asyncio.sleep(0.01)
    with pytest.raises(WorkerStuckError):
        await watching
