"""The shell that makes minutes beside a worker's flushes: what it makes, and what it does while the store is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from processors import minute_maker
from processors.minute_maker import MinuteMaker
from schemas.minutes import MinuteKey
from sinks.errors import StoreError, StoreUnreachableError
from sinks.memory import MemoryStore
from tests.support.batches import RUN, WINDOW, WINDOW_US
from tests.support.joined import joined_window
from tests.support.polling import until

FIRST = WINDOW // 60 * 60
MINUTE = FIRST // 60


@dataclass
class Asked:
    """Answers at once, in this thread."""

    store: MemoryStore = field(default_factory=MemoryStore)

    async def __call__(self, question: Callable[..., Any], *arguments: Any) -> Any:
        await asyncio.sleep(0)
        return question(*arguments)

    def maker(self, drain_run: str | None = None) -> MinuteMaker:
        return MinuteMaker(self.store, self, drain_run)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minute_maker, "_AGAIN_S", 0.0)
    monkeypatch.setattr(minute_maker, "LOOK_S", 0.0)


@contextlib.asynccontextmanager
async def at_work(maker: MinuteMaker) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(maker.work())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_what_a_worker_before_left_unmade_is_made_at_the_start_also_when_the_store_is_away_at_first() -> None:
    asked = Asked()
    asked.store.write_windows([joined_window(window=FIRST + 60 * at) for at in range(5)])
    asked.store.failures = [StoreUnreachableError("away"), StoreUnreachableError("away")]
    async with at_work(asked.maker()):
        await until(lambda: not asked.store.unmade_minutes(), 60, "every minute")
    assert {minute for _, minute in asked.store.minutes} == set(range(MINUTE, MINUTE + 5))


async def test_an_error_that_trying_again_cannot_mend_ends_the_work() -> None:
    asked = Asked()
    asked.store.write_windows([joined_window(window=FIRST)])
    asked.store.failures = [StoreError("no such table")]
    async with at_work(asked.maker()) as task:
        await asyncio.wait({task}, timeout=60)
        assert isinstance(task.exception(), StoreError)


async def test_a_worker_that_is_stopped_makes_what_it_changed_and_nothing_else() -> None:
    asked = Asked()
    asked.store.write_windows([joined_window(window=FIRST), joined_window(window=FIRST + 60)])
    maker = asked.maker()
    maker.changed([joined_window(window=FIRST)])
    asked.store.failures = [StoreUnreachableError("away")]
    await maker.finish()
    assert asked.store.unmade_minutes() == [MinuteKey(RUN, MINUTE + 1, WINDOW_US)]


async def test_of_a_run_that_is_drained_every_minute_is_made() -> None:
    asked = Asked()
    asked.store.write_windows(
        [joined_window(window=FIRST + 60 * at, run=run) for run in (RUN, "other") for at in range(3)]
    )
    await asked.maker(drain_run=RUN).finish()
    assert {run for run, _ in asked.store.minutes} == {RUN}
    assert asked.store.unmade_minutes(RUN) == []
