"""What is done now and then, beside the flushes of a worker."""

import asyncio
import contextlib
import ctypes

import structlog

from processors.minute_maker import Ask
from sinks.errors import StoreError
from sinks.store import Store

_log = structlog.get_logger()
_C = ctypes.CDLL(None)


async def sweep(store: Store, ask: Ask, every_s: float) -> None:
    """Clear away what killed workers left in the store."""
    while True:
        await asyncio.sleep(every_s)
        try:
            if swept := await ask(store.sweep):
                _log.info("rows that nothing names were deleted", rows=swept)
        except StoreError as error:
            _log.warning("could not sweep; trying again later", error=str(error))


async def give_back(ask: Ask, every_s: float) -> None:
    """Give our memory back to the system. The embedded engine has an allocator of its own (see `sinks.embedded`)."""
    while True:
        await asyncio.sleep(every_s)
        await ask(_trim)


def _trim() -> None:
    """malloc_trim(3): glibc has a heap for every few threads, and gives back only what is free at the end of one."""
    with contextlib.suppress(AttributeError):  # another C library
        _C.malloc_trim(0)
