"""The course of one run: from the first arrival to the last window, published as it goes."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from producers.clock import Clock
from producers.load.crowd import stints_of
from producers.load.engine import Engine, engine_for
from producers.load.figures import LAG_BOUNDS_S, LoadFigures
from producers.load.guard import Guard
from producers.load.pacer import Pacer
from producers.load.plan import Plan
from producers.load.pump import Pump
from producers.load.recorder import Recorder, WindowRecord
from producers.load.segments import Segment, segments_of
from producers.load.shards import WHOLE, Shard
from producers.publisher import Publisher
from schemas.events import LoadTotals, StageEntered
from schemas.rows import RequestFacts
from schemas.watching import Durations
from schemas.windows import window_of

STOP_GRACE_S = 2.0
"""How long Ctrl-C waits for requests in flight, at most."""
_OVERTIME_S = 1.0
"""Beyond the timeout, for the last requests: engines look for what takes too long now and then, and may be behind."""
_POLL_S = 0.01
_READY_US = 100_000
"""Between making a run ready and its first arrival, at least."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A window's figures as it is published. `p99_ms` is None when nothing ended in it."""

    elapsed_s: float
    duration_s: float
    stage: str
    offered_tps: float
    achieved_tps: float
    failed: int
    dropped: int
    in_flight: int
    p99_ms: float | None


class Course:
    """See `producers.load.runner.run_load` for the arguments. Times are microseconds by the publisher's clock."""

    def __init__(
        self,
        plan: Plan,
        *,
        publisher: Publisher,
        run_id: str,
        start_at_us: int,
        window_us: int,
        guard: Guard,
        on_progress: Callable[[Progress], None] | None,
        shard: Shard = WHOLE,
    ) -> None:
        self._publisher = publisher
        self._run_id = run_id
        self._window_us = window_us
        self._on_progress = on_progress
        self._clock: Clock = publisher.clock
        # Too late for the start that was asked for: a later one, rather than all that is overdue at once.
        earliest_us = self._clock.now_us() + _READY_US
        self._start_us = -(-max(start_at_us, earliest_us) // window_us) * window_us
        self._window = window_of(self._start_us, window_us)
        self._segments = segments_of(plan)
        self._entered = 0
        self._end_us = self._start_us + round(self._segments[-1].end_s * 1e6)
        self._timeout_s = plan.timeout_s
        stages = [segment.label for segment in self._segments]
        self._recorder = Recorder([request.name for request in plan.requests], stages, window_us=window_us)
        self._engine: Engine = engine_for(
            plan, self._recorder, self._clock, guard, run_id=run_id, stages=stages, shard=shard
        )
        self._pump = Pump(
            Pacer(self._segments, plan.seed if plan.arrivals == "poisson" else None),
            [segment.weights for segment in self._segments],
            engine=self._engine,
            recorder=self._recorder,
            clock=self._clock,
            start_us=self._start_us,
            max_in_flight=max(1, plan.max_in_flight // shard.count),
            shard=shard,
            stints=stints_of(self._segments, self._start_us, shard),
        )
        self._cpu_ns = time.process_time_ns()
        self._dispatch_lags = Durations(LAG_BOUNDS_S)

    def figures(self) -> LoadFigures:
        """What may be told of it to whoever watches: the recorder's own counts, so that no request pays for it."""
        recorder = self._recorder
        return LoadFigures(
            scheduled=recorder.scheduled,
            sent=recorder.sent,
            completed=recorder.completed,
            failed=recorder.failed,
            dropped=recorder.dropped,
            in_flight=recorder.in_flight,
            dispatch_lags=self._dispatch_lags,
        )

    async def play(self, stop: asyncio.Event) -> LoadTotals:
        """Run the schedule to its end or until `stop`, wait for stragglers, publish everything."""
        await self._engine.open()
        stopping = asyncio.create_task(stop.wait())
        try:
            if not stop.is_set():
                self._pump.run()
                await self._until_the_schedule_ends(stopping)
            grace_s = min(self._timeout_s + _OVERTIME_S, STOP_GRACE_S) if stop.is_set() else self._timeout_s
            await self._until_all_ended(stopping, self._clock.now_us() + round(grace_s * 1e6))
        finally:
            stopping.cancel()
            self._pump.stop()
            await self._engine.close()
        in_flight = self._recorder.in_flight
        self._publish_rest()
        recorder = self._recorder
        totals = LoadTotals(
            scheduled=recorder.scheduled,
            sent=recorder.sent,
            completed=recorder.completed,
            failed=recorder.failed,
            dropped=recorder.dropped,
            in_flight_at_end=in_flight,
        )
        assert totals.scheduled == totals.completed + totals.failed + totals.dropped + totals.in_flight_at_end
        return totals

    async def _until_the_schedule_ends(self, stopping: "asyncio.Task[bool]") -> None:
        now_us = self._clock.now_us()
        while now_us < self._end_us and not stopping.done():
            self._publish_ended(now_us)
            self._enter_stages(now_us)
            await self._wait_until(self._next_event_us(), stopping)
            now_us = self._clock.now_us()
        self._pump.dispatch(now_us)
        self._pump.stop()
        if now_us < self._end_us and self._entered:
            self._announce(self._segments[self._entered - 1], now_us)  # it ends before its time

    async def _until_all_ended(self, stopping: "asyncio.Task[bool]", deadline_us: int) -> None:
        """Wait for requests in flight, and less long when stopped meanwhile."""
        stopped_before = stopping.done()
        looks_left = round(_OVERTIME_S / _POLL_S)
        while self._engine.in_flight:
            now_us = self._clock.now_us()
            if now_us >= deadline_us:
                # Looks, not time: who was held up for long has its timeouts to work off first.
                if not looks_left or stopping.done():
                    break
                looks_left -= 1
            if stopping.done() and not stopped_before:
                stopped_before = True
                deadline_us = min(deadline_us, now_us + round(STOP_GRACE_S * 1e6))
            self._publish_ended(now_us)
            await asyncio.sleep(_POLL_S)

    async def _wait_until(self, time_us: int, stopping: "asyncio.Task[bool]") -> None:
        delay_s = max(time_us - self._clock.now_us(), 0) / 1e6
        await asyncio.wait({stopping}, timeout=delay_s)

    def _next_event_us(self) -> int:
        """The next window's end, or the next segment's beginning, or the end of all."""
        times = [self._end_us, (self._window + 1) * self._window_us]
        if self._entered < len(self._segments):
            times.append(self._starts_us(self._segments[self._entered]))
        return min(times)

    def _starts_us(self, segment: Segment) -> int:
        return self._start_us + round(segment.offset_s * 1e6)

    def _enter_stages(self, now_us: int) -> None:
        while self._entered < len(self._segments) and self._starts_us(self._segments[self._entered]) <= now_us:
            segment = self._segments[self._entered]
            if self._entered == 0:
                self._cpu_ns = time.process_time_ns()
            self._entered += 1
            self._announce(segment, self._start_us + round(segment.end_s * 1e6))

    def _announce(self, segment: Segment, ends_at_us: int) -> None:
        self._publisher.announce(
            StageEntered(
                run_id=self._run_id,
                label=segment.label,
                stage=segment.stage,
                form=segment.form,
                visit=segment.visit,
                starts_at_us=self._starts_us(segment),
                ends_at_us=ends_at_us,
                rate_from_tps=segment.rate_from_tps,
                rate_to_tps=segment.rate_to_tps,
                settle_us=round(segment.settle_s * 1e6),
                role=segment.role,
                modulate=segment.modulate,
            )
        )

    def _publish_ended(self, now_us: int) -> None:
        """Publish every window whose time is over."""
        while (self._window + 1) * self._window_us <= now_us:
            self._pump.dispatch(now_us)  # what fell due in this window belongs to it, also when we are behind
            self._publish(goodbye=False)

    def _publish_rest(self) -> None:
        """Publish what is left once nothing more can happen, and say goodbye."""
        last = max(self._window, self._recorder.last_window)
        while self._window <= last:
            self._publish(goodbye=self._window == last)

    def _publish(self, *, goodbye: bool) -> None:
        record = self._recorder.take(self._window)
        cpu_ns = time.process_time_ns()
        facts = RequestFacts(
            engine=self._engine.name,
            scheduled=record.scheduled,
            sent=record.sent,
            dropped=record.dropped,
            in_flight=record.in_flight,
            generator_cpu_us=(cpu_ns - self._cpu_ns) // 1000,
        )
        self._cpu_ns = cpu_ns
        self._publisher.publish("requests", record.window, record.rows, facts, final=True, goodbye=goodbye)
        self._window += 1
        self._dispatch_lags.add_all_us(record.rows["dispatch_lag_us"].to_numpy())
        if self._on_progress is not None:
            self._on_progress(self._progress(record))

    def _progress(self, record: WindowRecord) -> Progress:
        window_s = self._window_us / 1e6
        latency_us = record.rows.column("latency_us").to_numpy()
        return Progress(
            elapsed_s=(self._window * self._window_us - self._start_us) / 1e6,
            duration_s=(self._end_us - self._start_us) / 1e6,
            stage=self._segments[max(self._entered - 1, 0)].label,
            offered_tps=record.scheduled / window_s,
            achieved_tps=record.rows.num_rows / window_s,
            failed=record.failed,
            dropped=record.dropped,
            in_flight=record.in_flight,
            p99_ms=float(np.percentile(latency_us, 99)) / 1e3 if len(latency_us) else None,
        )
