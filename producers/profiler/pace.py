"""The rate that a sampler can afford. A pure state machine over the windows' costs.

Looking costs by the thread and by the process, so a fixed rate is a promise that nobody can keep: at 150 Hz py-spy
took 0.04 of a core on a process of one thread, and 0.40 on one with twenty idle ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

BUDGET_SHARE = 0.043
"""Share of one core that an agent and all of its samplers may take together: what it promises is 0.05, and each new
rate has a sampler more for some seconds.
"""
LEAST_SHARE = 0.01
"""What samplers may take, however dear the agent itself is."""
MIN_HZ = 20
_CALM = 3
_FAR = 1.5
_RISE = 1.5
_CHANGING = 2
_ROOM = 0.6
_MARGIN = 0.9


@dataclass(slots=True)
class Pace:
    """One rate for every instance of a service, at most `wanted_hz`; `fixed` when the user named it.

    `thread_cost` is what looking at one more thread costs, in processes of one thread.
    """

    wanted_hz: int
    fixed: bool = False
    thread_cost: float = 0.0
    rate_hz: int = 0
    _spent: float = 0.0
    _own: float = 0.0
    _windows: int = 0

    def begin(self, threads: Sequence[int]) -> int:
        """The first rate in hertz: instances with so many threads each share what one of one thread could have.

        `wanted_hz` fits one thread with room to spare, so the dearest first guess is not far beyond the budget.
        """
        looks = sum(1 + self.thread_cost * (count - 1) for count in threads)
        self.rate_hz = self.wanted_hz if self.fixed else max(MIN_HZ, int(self.wanted_hz / max(1.0, looks)))
        return self.rate_hz

    def after(self, cost_share: float, own_share: float = 0.0) -> int:
        """The rate after a window in which sampling took this share of a core, and the agent and its looks that one.

        It goes by the mean of three windows, so that one busy second does not change it, unless that was far beyond;
        it falls at once to what fits, and rises only where there is much room.
        """
        self._windows += 1
        if self._windows <= 0:
            return self.rate_hz
        self._spent += cost_share
        self._own += own_share
        budget = max(LEAST_SHARE, BUDGET_SHARE - self._own / self._windows)
        if self.fixed or (self._windows < _CALM and self._spent < _FAR * self._windows * budget):
            return self.rate_hz
        share = self._spent / self._windows
        self._spent = self._own = 0.0
        self._windows = 0
        if share > budget or (share < _ROOM * budget and self.rate_hz < self.wanted_hz):
            fitting = self.rate_hz * _MARGIN * budget / max(share, 1e-6)
            before_hz = self.rate_hz
            self.rate_hz = round(min(self.wanted_hz, max(MIN_HZ, min(fitting, _RISE * before_hz))))
            self._windows = -_CHANGING if self.rate_hz != before_hz else 0
        return self.rate_hz
