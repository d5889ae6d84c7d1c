"""Where plain traffic is seen: an access log, or the service's own middleware."""

from typing import Protocol

from producers.natural.seen import Seen, Tally


class Source(Protocol):
    """Tells of requests that have ended. Called from one thread, the event loop's; nothing waits or raises."""

    @property
    def name(self) -> str:
        """What it is, as it stands for the engine in a run: `access log`, `middleware`."""
        ...

    @property
    def tally(self) -> Tally:
        """What became of all that it was told."""
        ...

    @property
    def note(self) -> str:
        """What is to be known of it once it is over: what was not understood, and what to do about it."""
        ...

    @property
    def behind(self) -> bool:
        """Whether there was more than one look may take: then look again at once."""
        ...

    @property
    def settle_us(self) -> int:
        """How long what has ended may take to be told of."""
        ...

    def look(self, now_us: int) -> list[Seen]:
        """What has been told since the last look, at a time in microseconds of the Unix epoch."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
