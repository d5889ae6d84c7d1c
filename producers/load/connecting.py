"""How many connections are begun at once: few, for a burst of arrivals must leave time to send.

A TLS handshake takes some milliseconds of a core. A burst in which every request began one would leave none to use the
connections that there are, and so the next arrivals would find none idle either: measured at 1,500 requests/s over TLS
with aiohttp, 270 were answered. So whoever needs a connection waits for one of a few handshakes, or for one that is
given back, whichever is first. To a target that is 20 ms away or more 200 a second are begun over TLS at most, and
1,600 without.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

TLS_AT_ONCE, AT_ONCE = 4, 32
_MOMENT_S = 0.02


@contextlib.contextmanager
def counted_for_a_moment(release: Callable[[], None]) -> Iterator[None]:
    """Call `release` once: at the end, or after 20 ms: what takes longer waits for the network, at no cost."""
    is_counted = True

    def once() -> None:
        nonlocal is_counted
        if is_counted:
            is_counted = False
            release()

    timer = asyncio.get_running_loop().call_later(_MOMENT_S, once)
    try:
        yield
    finally:
        timer.cancel()
        once()
