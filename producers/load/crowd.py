"""The closed model: so many users, each of whom sends, waits for the answer, thinks, and sends again. Pure.

A user's next request is due when the last one has ended and the time to think is over. So the service sets the pace,
and a stalling one is asked less: latency in such a stage tells what a user felt, not what the service did to a given
traffic (coordinated omission). Users are not told apart: those who neither wait nor think must be about to think.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from producers.load.segments import Segment
from producers.load.shards import Shard

NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Stint:
    """A segment in which users are there: its index, from and to when (Unix microseconds), and how many of ours."""

    segment: int
    from_us: int
    to_us: int
    users: int
    think_us: int


def stints_of(segments: Sequence[Segment], start_us: int, shard: Shard) -> tuple[Stint, ...]:
    """The stints of a run, in order. Users are shared among the shards, the first ones get what is over."""
    return tuple(
        Stint(
            index,
            start_us + round(segment.offset_s * 1e6),
            start_us + round(segment.end_s * 1e6),
            segment.users // shard.count + (shard.index < segment.users % shard.count),
            round(segment.think_s * 1e6),
        )
        for index, segment in enumerate(segments)
        if segment.users
    )


class Crowd:
    """Says when requests of users are due. `next_due_us` is when to ask again; answers that come in are a time too."""

    def __init__(self, stints: Sequence[Stint]) -> None:
        self._stints = deque(stints)
        self._now: Stint | None = None
        self._ready_us: deque[int] = deque()
        self.next_due_us = stints[0].from_us if stints else NEVER

    def due(self, until_us: int, in_flight: int) -> Iterator[tuple[int, int]]:
        """Segment and due time of each request that is due by `until_us`, with so many under way until now."""
        if self._now is not None and until_us >= self._now.to_us:
            self._now = None
            self._ready_us.clear()
        while self._now is None and self._stints and self._stints[0].from_us <= until_us:
            stint = self._stints.popleft()
            if until_us < stint.to_us:
                self._now = stint
                self._ready_us.extend([stint.from_us] * max(stint.users - in_flight, 0))
        if self._now is not None:
            yield from self._of(self._now, until_us, in_flight)
        following = self._stints[0].from_us if self._stints else NEVER
        self.next_due_us = self._ready_us[0] if self._ready_us else following

    def _of(self, stint: Stint, until_us: int, in_flight: int) -> Iterator[tuple[int, int]]:
        # Their answers came just now: this is asked whenever a request ends.
        idle = stint.users - in_flight - len(self._ready_us)
        self._ready_us.extend([until_us + stint.think_us] * max(idle, 0))
        while self._ready_us and self._ready_us[0] <= until_us:
            yield stint.segment, self._ready_us.popleft()
