"""austin: a separate program that reads a Python process's stacks and prints one line a sample.

A stream of it runs until its rate is to change, or until it dies and another takes its place; see `austin_stream`.
Beside it a second one looks at all threads now and then; see `austin_wall`.
"""

from collections.abc import Callable

from producers.profiler.austin_stream import AustinStream
from producers.profiler.austin_wall import NO_LOOKS, Looks, WallStream
from producers.profiler.errors import NoPermissionError, SamplerError
from producers.profiler.permission import refused, remedy
from producers.profiler.sampler import Samples, Timing

_RESTARTS = 5
_BUSY_SHARE = 0.03
"""Of a core, from which on a process is looked at: see `austin_wall` for what it is to begin with one that rests."""


class AustinSampler:
    """`Sampler` on austin; `now_us` is the clock whose time samples carry.

    `looks` at all threads are extra: they begin once the process is busy, and where they fail, nothing else does.
    `stamped`: times are as exact as a join with requests needs.
    """

    backend = "austin"
    timing: Timing = "exact"

    def __init__(
        self, pid: int, rate_hz: int, now_us: Callable[[], int], looks: Looks = NO_LOOKS, *, stamped: bool = False
    ) -> None:
        self._pid = pid
        self._stamped = stamped
        self.looks = looks
        self._wall: WallStream | None = None
        self._seen_us = 0
        self._period_us = 1_000_000 // rate_hz
        self._now_us = now_us
        self._stream: AustinStream | None = None
        self._next: AustinStream | None = None
        self._over: list[AustinStream] = []
        self._restarts = 0
        self._past_cpu_us = 0

    def start(self) -> None:
        """See Sampler."""
        self._stream = self._begun(self._period_us)

    def _begun(self, period_us: int) -> AustinStream:
        return AustinStream(self._pid, period_us, self._now_us, stamped=self._stamped)

    def watching(self) -> bool:
        """See Sampler."""
        if self._stream is None:
            return False
        if self._stream.attached_us is not None:
            return True
        if self._stream.ended_us is not None:
            # What the kernel refuses to show, austin takes for "not a Python process".
            if refused(self._pid):
                raise NoPermissionError(remedy(self._pid))
            words = " ".join(self._stream.said.split()).lstrip("\N{OCTAGONAL SIGN}\N{ALIEN MONSTER} ") or "nothing"
            raise SamplerError(f"austin cannot watch process {self._pid}; it says: {words[:200]}")
        return False

    def set_rate(self, rate_hz: int) -> None:
        """See Sampler. austin's rate is fixed at its start: another one starts, and takes over once it has attached."""
        period_us = 1_000_000 // rate_hz
        if self._stream is not None and self._next is None and period_us != self._stream.period_us:
            self._next = self._begun(period_us)

    def prepare(self) -> None:
        """See Sampler."""
        ended = self._stream is not None and self._stream.ended_us is not None
        if ended and self._next is None and self._restarts < _RESTARTS:
            assert self._stream is not None
            self._restarts += 1
            self._next = self._begun(self._stream.period_us)

    def boundary(self, window_end_us: int) -> None:
        """See Sampler. Samples carry their own time, so there is only a successor to be let in."""
        if self._stream is None or self._next is None:
            return
        running = self._stream.ended_us is None
        if running and self._next.ended_us is not None:  # it could not
            self._next.until_us = 0
            self._over.append(self._next)
            self._next = None
        elif not running or self._next.attached_us is not None:
            self._stream.until_us = self._next.from_us = window_end_us
            self._stream.interrupt()
            self._over.append(self._stream)
            self._stream, self._next = self._next, None

    def take(self, start_us: int, end_us: int) -> Samples:
        """See Sampler."""
        over, self._over = self._over, []
        streams = [*over, *([self._stream] if self._stream else [])]
        taken = Samples(streams[0].period_us if streams else self._period_us)
        for stream in streams:
            stream.take(start_us, end_us, taken)
        for stream in over:
            self._retire(stream)
        if self._wall is None and self.looks.rate_hz and sum(taken.weight_us) >= _BUSY_SHARE * (end_us - start_us):
            self._wall = WallStream(self._pid, self.looks, self._now_us)
        elif self._wall is not None:
            taken.seen = self._wall.take(start_us, end_us)
            self._wall.afford(end_us - start_us)
            before_us, self._seen_us = self._seen_us, self._wall.cpu_us()
            taken.looks_us = self._seen_us - before_us
        return taken

    def _retire(self, stream: AustinStream) -> None:
        stream.close()
        self._past_cpu_us += stream.cpu_us()

    def stop(self) -> None:
        """See Sampler."""
        for stream in (self._stream, self._next, self._wall):
            if stream is not None:
                stream.close()

    def close(self) -> None:
        """See Sampler."""
        self.stop()
        for stream in self._over:
            self._retire(stream)
        self._over.clear()

    def cpu_us(self) -> int:
        """See Sampler."""
        streams = (self._stream, self._next, self._wall, *self._over)
        running = sum(stream.cpu_us() for stream in streams if stream is not None)
        return self._past_cpu_us + running
