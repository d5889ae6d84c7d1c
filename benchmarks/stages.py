"""Where a worker's CPU time goes: seconds by stage, each less what the stages inside it took.

The store's thread waits while the embedded engine works for it in threads of its own, which Python cannot see. So the
time of a stage on any thread but the main one is then all that the process used meanwhile, less the main thread's own.
What the engine does between stages (merging parts) is in none of them. Without an engine it is the thread's own time.
"""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator, Iterator
from functools import partial
from typing import Any


class Stages:
    """CPU seconds by stage so far. Made on the main thread."""

    def __init__(self) -> None:
        self.cpu_s: defaultdict[str, float] = defaultdict(float)
        self.has_engine = True
        main = threading.main_thread().ident
        assert main is not None
        self._main_clock = time.pthread_getcpuclockid(main)
        self._inside = threading.local()

    def main_s(self) -> float:
        """CPU seconds of the main thread."""
        return time.clock_gettime(self._main_clock)

    def reset(self) -> None:
        """Begin anew; what is under way counts from its own beginning."""
        self.cpu_s.clear()

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count what is done inside as `name`."""
        inside: list[float] = self._inside.__dict__.setdefault("spent_s", [])
        inside.append(0.0)
        began_s = self._clock_s()
        try:
            yield
        finally:
            spent_s = self._clock_s() - began_s
            self.cpu_s[name] += spent_s - inside.pop()
            if inside:
                inside[-1] += spent_s

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time counted."""

        def counted(*arguments: Any, **named: Any) -> Any:
            with self.of(name):
                return function(*arguments, **named)

        return counted

    def stepped(self, name: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The same coroutine function, the time of its own steps counted: not what runs while it waits."""

        def counted(*arguments: Any, **named: Any) -> Awaitable[Any]:
            return _Stepped(self, name, function(*arguments, **named))

        return counted

    def _clock_s(self) -> float:
        if not self.has_engine or threading.current_thread() is threading.main_thread():
            return time.thread_time()
        return time.process_time() - self.main_s()


class _Stepped:
    """An awaitable that counts each of its steps."""

    def __init__(self, stages: Stages, name: str, inner: Awaitable[Any]) -> None:
        self._stages = stages
        self._name = name
        self._inner = inner

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._inner.__await__()
        step = partial(next, steps)
        while True:
            with self._stages.of(self._name):
                try:
                    waits_for = step()
                except StopIteration as done:
                    return done.value
            try:
                yield waits_for
                step = partial(next, steps)
            except BaseException as error:  # noqa: BLE001  a cancellation, say: the coroutine is to see it
                step = partial(steps.throw, error)
