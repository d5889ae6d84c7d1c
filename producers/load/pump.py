"""Fires arrivals when they are due, whatever the target and the rest of the program do."""

from collections.abc import Sequence

import numpy as np

from producers.clock import Clock
from producers.load.alarm import Alarm
from producers.load.crowd import NEVER, Crowd, Stint
from producers.load.engine import Engine
from producers.load.mix import cycle_of
from producers.load.pacer import Pacer
from producers.load.recorder import Recorder
from producers.load.shards import WHOLE, Shard

_BLOCK = 4096
_NAP_US = 250
"""Between two alarms, at least: setting one takes some ten microseconds. Answers that come in between wake us too."""


class Pump:
    """Between the pacer and the engine. `dispatch` may be called at any time; `run` has an alarm call it in time.

    `weights` are those of the endpoints, of each segment; `stints` are when users of the closed model are there.
    """

    def __init__(
        self,
        pacer: Pacer,
        weights: Sequence[Sequence[float]],
        *,
        engine: Engine,
        recorder: Recorder,
        clock: Clock,
        start_us: int,
        max_in_flight: int,
        shard: Shard = WHOLE,
        stints: Sequence[Stint] = (),
    ) -> None:
        self._pacer = pacer
        cycles = [cycle_of(of_segment) for of_segment in weights]
        self._cycles = np.concatenate(cycles)
        self._cycle_lengths = np.array([len(cycle) for cycle in cycles])
        self._cycle_starts = np.cumsum([0, *self._cycle_lengths[:-1]])
        self._engine = engine
        self._fire, self._arrived, self._now_us = engine.fire, recorder.arrived, clock.now_us
        self._start_us = start_us
        self._max_in_flight = max_in_flight
        self._shard = shard
        self._prepared = 0
        self._place = 0
        self._due_us: list[int] = []
        self._endpoints: list[int] = []
        self._stages: list[int] = []
        self._crowd = Crowd(stints) if stints else None
        self._sent_by_users = shard.index
        self._is_firing_users = self._again = False
        self._alarm: Alarm | None = None
        self._alarm_us = NEVER
        self.next_due_us = NEVER
        """When the next arrival is due; NEVER when there is none."""
        self._prepare()

    def run(self) -> None:
        """Begin to dispatch on time."""
        self._engine.when_ended = self.dispatch
        self._alarm = Alarm(self._ring)
        self._ring()

    def stop(self) -> None:
        """Fire no more: what is not yet due never will be."""
        self.next_due_us = NEVER
        self._crowd = None
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None

    def dispatch(self, until_us: int) -> None:
        """Fire or drop every arrival due by `until_us`, which is not in the future."""
        now_us = until_us
        while self.next_due_us <= until_us:
            due_us, place = self.next_due_us, self._place
            endpoint, stage = self._endpoints[place], self._stages[place]
            self._place = place + 1
            if place + 1 < len(self._due_us):
                self.next_due_us = self._due_us[place + 1]
            else:
                self._prepare()
            if self._engine.in_flight < self._max_in_flight:
                self._arrived(due_us)
                self._fire(endpoint, stage, due_us, now_us)
                now_us = self._now_us()
            else:
                self._arrived(due_us, dropped=True)

        if self._crowd is not None:
            self._fire_users(self._crowd, until_us)

    def _fire_users(self, crowd: Crowd, until_us: int) -> None:
        if self._is_firing_users:
            self._again = True  # a request ended as soon as it began: whose turn it is must be asked later
            return
        self._is_firing_users, self._again = True, False
        try:
            for stage, due_us in list(crowd.due(until_us, self._engine.in_flight)):
                self._arrived(due_us)
                place = self._cycle_starts[stage] + self._sent_by_users % self._cycle_lengths[stage]
                self._sent_by_users += self._shard.count
                self._fire(int(self._cycles[place]), stage, due_us, self._now_us())
        finally:
            self._is_firing_users = False
        if self._alarm is not None and self._again:
            self._alarm.set(_NAP_US)
        elif crowd.next_due_us < self._alarm_us:
            self._set_alarm()

    def _ring(self) -> None:
        self._alarm_us = NEVER
        self.dispatch(self._now_us())
        if self._alarm_us == NEVER and not self._again:
            self._set_alarm()

    def _set_alarm(self) -> None:
        self._alarm_us = min(self.next_due_us, self._crowd.next_due_us if self._crowd is not None else NEVER)
        if self._alarm is not None and self._alarm_us != NEVER:
            self._alarm.set(max(self._alarm_us - self._now_us(), _NAP_US))

    def _prepare(self) -> None:
        """Make the next block of arrivals ready: numbers are cheap by the thousand and dear one by one."""
        first, last = self._prepared, min(self._prepared + _BLOCK * self._shard.count, self._pacer.total)
        numbers = np.arange(first + (self._shard.index - first) % self._shard.count, last, self._shard.count)
        if not len(numbers):
            self.next_due_us = NEVER
            return
        stages = self._pacer.segment_of(numbers)
        within = numbers - self._pacer.first_arrival[stages]
        self._due_us = (self._pacer.due_us(numbers) + self._start_us).tolist()
        places = self._cycle_starts[stages] + within % self._cycle_lengths[stages]
        self._endpoints = self._cycles[places].tolist()
        self._stages = stages.tolist()
        self._prepared, self._place = last, 0
        self.next_due_us = self._due_us[0]
