"""A worker is ended when records wait and nothing moves; not in an outage, nor when there is nothing to do."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from loadflame.broker import free_ports
from processors import watchdog as module
from processors.watchdog import Watchdog, WorkerStuckError
from tests.support.polling import until

STUCK_S = 0.1
SOON_S = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a host that is held up while it connects."""
    monkeypatch.setattr(module, "_CONNECT_S", SOON_S)


@dataclass
class Clock:
    """By which nothing passes of itself, however long this host is held up."""

    now_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@contextlib.asynccontextmanager
async def listening(*, port: int = 0, leaves: list[int] | None = None) -> AsyncIterator[str]:
    """The address of somebody who takes connections, and keeps them; or, with `leaves`, ends and counts them there."""
    connections = set()

    def come(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if leaves is None:
            connections.add(writer)
        else:
            writer.close()
            leaves.append(1)

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
        async with asyncio.timeout(SOON_S):
            await Watchdog(listener, STUCK_S, time.monotonic()).watch(is_waiting)


async def test_a_client_that_cannot_even_say_is_stuck(listener: str) -> None:
    async def never() -> bool:
        await asyncio.Event().wait()
        return False

    with pytest.raises(WorkerStuckError):
        async with asyncio.timeout(SOON_S):
            await Watchdog(listener, STUCK_S, time.monotonic()).watch(never)


async def test_a_client_that_fails_to_say_as_in_a_rebalance_ends_no_worker(listener: str, clock: Clock) -> None:
    asked: list[float] = []

    async def is_waiting() -> bool:
        asked.append(time.monotonic())
        if len(asked) == 1:
            raise RuntimeError("Partition TP('requests', 3) is not assigned")
        return False

    watching = asyncio.create_task(Watchdog(listener, STUCK_S, clock.now_s).watch(is_waiting))
    clock.now_s += STUCK_S / 2
    await until(lambda: len(asked) >= 2 or watching.done(), SOON_S, "a second look")
    assert not watching.done()
    watching.cancel()


async def test_nothing_waits(listener: str) -> None:
    is_waiting, asked = answering(False)
    watching = asyncio.create_task(Watchdog(listener, STUCK_S, time.monotonic()).watch(is_waiting))
    await until(lambda: len(asked) >= 2, SOON_S, "a second look")
    assert not watching.done()
    assert asked[1] - asked[0] >= STUCK_S / 6
    watching.cancel()


async def test_an_outage_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSES_S", SOON_S)
    is_waiting, never = answering(True)
    looks: list[int] = []
    async with listening(leaves=looks) as proxy:
        outages = [
            asyncio.create_task(Watchdog(away, STUCK_S, time.monotonic()).watch(is_waiting))
            for away in ("127.0.0.1:1", proxy)
        ]
        began_s = time.monotonic()
        await until(
            lambda: len(looks) >= 3 and time.monotonic() - began_s > 2 * STUCK_S, SOON_S, "a long outage, looked at"
        )
        assert never == [], "where nobody answers it is not asked whether something waits"
        for outage in outages:
            assert not outage.done()
            outage.cancel()


async def test_where_one_of_the_addresses_answers_there_is_no_outage(listener: str) -> None:
    is_waiting, asked = answering(True)
    with pytest.raises(WorkerStuckError):
        async with asyncio.timeout(SOON_S):
            await Watchdog(f"127.0.0.1:1, {listener}", STUCK_S, time.monotonic()).watch(is_waiting)
    assert asked


async def test_after_an_outage_it_has_all_of_its_time_again(clock: Clock) -> None:
    (port,) = free_ports(1)
    is_waiting, asked = answering(True)
    watchdog = Watchdog(f"127.0.0.1:{port}", STUCK_S, clock.now_s)
    watching = asyncio.create_task(watchdog.watch(is_waiting))
    clock.now_s += STUCK_S / 2
    await until(lambda: watchdog._well_s == clock.now_s, SOON_S, "a look in the outage, long before the end")
    async with listening(port=port):
        clock.now_s += STUCK_S * 0.9
        await until(lambda: asked, SOON_S, "a look behind it")
        assert not watching.done()
        clock.now_s += STUCK_S * 0.2
        with pytest.raises(WorkerStuckError):
            async with asyncio.timeout(SOON_S):
                await watching


async def test_while_something_moves_nobody_is_asked(listener: str) -> None:
    is_waiting, asked = answering(True)
    watchdog = Watchdog(listener, STUCK_S, time.monotonic() + 3600)
    watching = asyncio.create_task(watchdog.watch(is_waiting))
    others, when = answering(False)
    other = asyncio.create_task(Watchdog(listener, STUCK_S, time.monotonic()).watch(others))
    await until(lambda: len(when) >= 2, SOON_S, "two looks of another one")
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
    async with asyncio.timeout(SOON_S):
        while not watching.done():
            await watchdog.health(is_waiting, time.monotonic())
            await asyncio.sleep(0.01)
    with pytest.raises(WorkerStuckError):
        await watching
