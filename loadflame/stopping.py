"""Ctrl-C before there is anything to keep: whatever is waited for is let go, at whatever point that is."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from types import FrameType
from typing import NoReturn

BEFORE_LOAD = "aborted before the load began; nothing was measured"


class StoppedError(BaseException):
    """Somebody asked to end before a load began: there is nothing to store, to report or to judge.

    As KeyboardInterrupt, it is no Exception, so that nobody takes it for an error that may be borne.
    """


def stop_by_ctrl_c() -> None:
    """From now on Ctrl-C raises StoppedError, for as long as no event loop hears of it.

    KeyboardInterrupt would not do: where it hits code that is made from a string, as that of a dataclass, CPython ends
    the process by the signal in the end, whatever the exit code was to be.
    """
    signal.signal(signal.SIGINT, _raise_stopped)


def _raise_stopped(_: int, __: FrameType | None) -> NoReturn:
    raise StoppedError("ended by Ctrl-C")


@contextlib.asynccontextmanager
async def unless(stop: asyncio.Event) -> AsyncIterator[None]:
    """Do what is inside, but only as long as `stop` is not set: then it is cancelled, and StoppedError raised."""
    try:
        async with asyncio.timeout(None) as scope:
            watching = asyncio.create_task(_expire_at(stop, scope))
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if scope.expired():
            raise StoppedError(BEFORE_LOAD) from None
        raise
    if stop.is_set():  # just when it was through
        raise StoppedError(BEFORE_LOAD)


async def _expire_at(stop: asyncio.Event, scope: asyncio.Timeout) -> None:
    await stop.wait()
    scope.reschedule(asyncio.get_running_loop().time())
