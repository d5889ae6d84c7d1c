"""What the running function of a stack tells of the thread: it works, waits, wakes another or sends. Pure.

A sampler sees whether a thread is runnable, not whether it has a core, so time in the run queue looks like work. Most
of it is spent in two places. A thread that was woken stands where it waited until it gets a core. A thread that wakes
another, or sends to a process that waits for it, is often put aside on the spot: in a thread pool under load 43% of
all samples stood in asyncio's `_write_to_self`, which takes microseconds. See `charging` for what follows.

A name alone proves nothing (`get` in an application's own `queue.py` is work), hence modules by their place in the
standard library or among the installed packages. What C does shows the Python function that called it: an idle
`ThreadPoolExecutor` thread stands in `_worker`.
"""

import re
from collections.abc import Mapping
from typing import Literal

Leaf = Literal["work", "wait", "wake", "send"]

_WAITS: Mapping[str, set[str]] = {
    "asyncore": {"poll"},
    "concurrent/futures/process": {"wait_result_broken_or_wakeup"},
    "concurrent/futures/thread": {"_worker"},
    "multiprocessing/connection": {"wait", "_recv"},
    "multiprocessing/popen_fork": {"poll"},
    "multiprocessing/queues": {"get"},
    "multiprocessing/synchronize": {"__enter__", "acquire"},
    "queue": {"get", "put", "join"},
    "selectors": {"select"},
    "socket": {"accept"},
    "subprocess": {"_wait", "_try_wait"},
    "threading": {"wait", "acquire", "join", "_wait_for_tstate_lock"},
    "*gunicorn/arbiter": {"sleep"},
    "*gunicorn/workers/sync": {"wait"},
    "*waitress/wasyncore": {"poll", "poll2"},
}
_WAKES: Mapping[str, set[str]] = {
    "asyncio/selector_events": {"_write_to_self"},
    "concurrent/futures/thread": {"submit"},
    "threading": {"notify", "set", "release", "start"},
}
_SENDS: Mapping[str, set[str]] = {
    # uvloop waits, sends and wakes in C, below the function that runs the loop.
    "asyncio/runners": {"run"},
    "asyncio/selector_events": {"write", "_write_send", "_write_sendmsg", "_write_ready"},
    "socketserver": {"write"},
    "*gunicorn/util": {"write", "write_chunk"},
    "*uvicorn/protocols/http/h11_impl": {"send"},
    "*uvicorn/protocols/http/httptools_impl": {"send"},
}
_KNOWN: Mapping[Leaf, Mapping[str, set[str]]] = {"wait": _WAITS, "wake": _WAKES, "send": _SENDS}
# A star stands before modules of installed packages.
_MODULE = re.compile(r"(?:^|/)(?:python3\.\d+t?/(?!(?:site|dist)-packages/)|((?:site|dist)-packages/))(.+)\.py$")


def leaf_of(function: str, path: str) -> Leaf:
    """What a thread does whose running function is `function` (qualified or not) in the file `path`."""
    match = _MODULE.search(path)
    if match is None:
        return "work"
    module, name = ("*" if match[1] else "") + match[2], function.rpartition(".")[2]
    for leaf, known in _KNOWN.items():
        if name in known.get(module, ()):
            return leaf
    return "work"
