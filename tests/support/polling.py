"""Waiting for what must come, with a deadline: no test sleeps to wait."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable

_POLL_S = 0.02


def answers(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Block until `condition()`; AssertionError after `timeout_s`, saying `what` did not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"within {timeout_s:.0f} s it did not come: {what}"
        time.sleep(_POLL_S)


async def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """The same in an event loop."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"within {timeout_s:.0f} s it did not come: {what}"
        await asyncio.sleep(_POLL_S)
