"""Functions that time themselves: each adds its own CPU time, by its thread's clock, to a table that `/truth` shows.

They do what handlers do: loops, string building, hashing, sorting; short (tens to hundreds of microseconds), for that
is where samplers go wrong. `grows` costs more the more requests come.
"""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import wraps

_lock = threading.Lock()
truth_ns: dict[str, int] = {}
_recent: deque[float] = deque()


def timed(function: Callable[[], object]) -> Callable[[], object]:
    """Time a function by its thread's CPU clock, the time of what it calls included."""
    name = function.__name__

    @wraps(function)
    def measured() -> object:
        before = time.thread_time_ns()
        try:
            return function()
        finally:
            spent = time.thread_time_ns() - before
            with _lock:
                truth_ns[name] = truth_ns.get(name, 0) + spent

    return measured


@timed
def build_page() -> object:
    return "".join(f"<li>{number * 7 % 13}</li>" for number in range(1200))


@timed
def sort_rows() -> object:
    rows = [(number * 7919) % 1009 for number in range(3000)]
    rows.sort()
    return rows[0]


@timed
def sign() -> object:
    digest = b"seed"
    for _ in range(800):
        digest = hashlib.sha256(digest).digest()
    return digest


@timed
def grows() -> object:
    """As long as the requests of the last second are many."""
    now = time.monotonic()
    with _lock:
        _recent.append(now)
        while _recent and _recent[0] < now - 1.0:
            _recent.popleft()
        count = len(_recent)
    total = 0
    for number in range(count * 40):
        total += number & 7
    return total


def handle(number: int) -> None:
    """One request's work: a mix that differs from request to request."""
    build_page()
    grows()
    if number % 2:
        sort_rows()
    if number % 3 == 0:
        sign()
