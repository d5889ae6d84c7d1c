"""Makes minutes beside the flushes of a worker, a few at a time, so that these never wait for long."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import structlog

from processors.minutes import Minutes
from schemas.joined import JoinedWindow
from schemas.minutes import MinuteKey
from sinks.errors import StoreError
from sinks.store import Store

_log = structlog.get_logger()
LOOK_S = 1.0
LOOK_FOR_UNMADE_S = 3600.0
_AT_ONCE = 2
_AGAIN_S = 1.0


class Ask(Protocol):
    """Calls a function that blocks in the thread that the store belongs to."""

    def __call__(self, question: Callable[..., Any], *arguments: Any) -> Coroutine[Any, Any, Any]:
        """Wait for its answer."""


class MinuteMaker:
    """See `processors.minutes`. What a worker before this one left unmade is asked of the store, at first and hourly;
    of a run that is to be drained at the end as well.
    """

    def __init__(self, store: Store, ask: Ask, drain_run: str | None) -> None:
        self._store = store
        self._ask = ask
        self._drain_run = drain_run
        self._minutes = Minutes()

    def changed(self, windows: Sequence[JoinedWindow]) -> None:
        """Windows are in the store."""
        self._minutes.changed(windows, time.monotonic())

    async def work(self) -> None:
        """Make what is due, for ever. Tries again while the store is away; raises StoreError when that is vain."""
        unmade_s = -float("inf")
        while True:
            if time.monotonic() - unmade_s >= LOOK_FOR_UNMADE_S:
                found = await self._unmade(None)
                self._minutes.unmade(found or ())
                unmade_s = unmade_s if found is None else time.monotonic()
            while keys := self._minutes.take(time.monotonic(), _AT_ONCE):
                if not await self._made(keys):
                    break
            await asyncio.sleep(LOOK_S)

    async def finish(self) -> None:
        """Make what this worker changed, due or not, and the rest of a run that was drained; however often it takes."""
        found: Sequence[MinuteKey] | None = None if self._drain_run else ()
        while found is None:
            found = await self._unmade(self._drain_run)
            if found is None:
                await asyncio.sleep(_AGAIN_S)
        self._minutes.add(found, time.monotonic())
        while keys := self._minutes.take_changed(_AT_ONCE):
            if not await self._made(keys):
                await asyncio.sleep(_AGAIN_S)

    async def _unmade(self, run_id: str | None) -> list[MinuteKey] | None:
        """None when the store does not say."""
        try:
            found: list[MinuteKey] = await self._ask(self._store.unmade_minutes, run_id)
        except StoreError as error:
            self._refuse(error)
            return None
        return found

    async def _made(self, keys: Sequence[MinuteKey]) -> bool:
        try:
            await self._ask(self._store.write_minutes, keys)
        except StoreError as error:
            self._minutes.add(keys, time.monotonic())
            self._refuse(error)
            return False
        return True

    @staticmethod
    def _refuse(error: StoreError) -> None:
        if not error.retriable:
            raise error
        _log.warning("minutes are made later", error=str(error))
