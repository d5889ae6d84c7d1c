"""The one clock of a load: Unix time that never steps."""

import time
from typing import Protocol


class Clock(Protocol):
    """What everything here asks for the time."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch; never less than before."""
        ...


class SteadyClock:
    """Wall time as it was when this object was made, carried on by the performance counter."""

    def __init__(self) -> None:
        self._anchor_ns = time.time_ns() - time.perf_counter_ns()

    def now_us(self) -> int:
        """See Clock."""
        return (self._anchor_ns + time.perf_counter_ns()) // 1000
