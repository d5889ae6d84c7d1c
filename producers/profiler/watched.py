"""One instance under watch: its sampler beside its kernel counters, window by window."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import structlog

from producers.profiler.backends import BackendChoice
from producers.profiler.charging import charged_us, waiting_us
from producers.profiler.counters import Counters, ProcessGoneError, cpu_us_of, read_counters
from producers.profiler.errors import ProfilerError
from producers.profiler.sampler import Samples
from producers.profiler.targets import Instance
from schemas.precision import sampled_at_us
from schemas.rows import STACKS, StackFacts

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WindowOfOne:
    """What is known of one instance in one window."""

    rows: pa.RecordBatch
    facts: StackFacts


class WatchedInstance:
    """An instance from the moment it is found until it is gone. Raises ProcessGoneError, ProfilerError at the start.

    What goes wrong with its sampler later is logged once; its windows then have counters and no coverage.
    """

    def __init__(self, instance: Instance, choice: BackendChoice, rate_hz: int, now_us: Callable[[], int]) -> None:
        self.instance = instance
        self.gone = False
        self._last = read_counters(instance.pid)
        self._before = self._last
        self._sampler = choice.sampler(instance.pid, rate_hz, now_us)
        self._in_trouble = False
        self._cost_us = 0
        self._sampler.start()

    def ready(self) -> bool:
        """Whether its sampler has attached. Raises ProfilerError when it cannot."""
        return self._sampler.watching()

    def set_rate(self, rate_hz: int) -> None:
        """Sample at another rate from one of the next windows on."""
        self._with_care(lambda: self._sampler.set_rate(rate_hz))

    def prepare(self) -> None:
        """A boundary comes: see Sampler."""
        self._with_care(self._sampler.prepare)

    def _with_care(self, step: Callable[[], object]) -> None:
        try:
            step()
        except (ProfilerError, OSError) as trouble:
            if not self._in_trouble:
                _log.warning("no samples", instance=self.instance.name, why=str(trouble))
            self._in_trouble = True

    def boundary(self, window_end_us: int) -> None:
        """A window ends: read the counters at once, and let the sampler change over."""
        self._before = self._last
        try:
            self._last = self._read()
            self._sampler.boundary(window_end_us)
        except ProcessGoneError:
            self.gone = True
            if not self.instance.replaced():
                # While its parent has not noticed its end, the kernel still knows what it used.
                self._last = replace(self._last, cpu_us=max(self._last.cpu_us, cpu_us_of(self.instance.pid)))
            self._sampler.stop()

    def _read(self) -> Counters:
        """Its counters now. Raises ProcessGoneError, also when another process has its pid."""
        if self.instance.replaced():
            raise ProcessGoneError(f"process {self.instance.pid} is another one now")
        return read_counters(self.instance.pid)

    def window(self, service: str, start_us: int, end_us: int) -> WindowOfOne:
        """The window between the last two boundaries."""
        samples = self._sampler.take(start_us, end_us)
        before, after = self._before, self._last
        before_us, self._cost_us = self._cost_us, self._sampler.cpu_us()
        if not self.gone:
            self._with_care(self._sampler.watching)
        facts = StackFacts(
            service=service,
            instance=self.instance.name,
            pid=self.instance.pid,
            backend=self._sampler.backend,
            timing=self._sampler.timing,
            cpu_us=max(0, after.cpu_us - before.cpu_us),
            busiest_thread_us=after.busiest_thread_us_since(before),
            run_queue_us=after.run_queue_us_since(before),
            rss_bytes=after.rss_bytes,
            threads=len(after.threads_us),
            covered_us=samples.covered_us,
            period_us=samples.period_us,
            agent_cpu_us=max(0, self._cost_us - before_us),
        )
        return WindowOfOne(rows_of(samples, facts.run_queue_us), facts)

    def close(self) -> None:
        """Let go of it."""
        self._sampler.close()


def rows_of(samples: Samples, run_queue_us: int = 0) -> pa.RecordBatch:
    """Samples as a batch of `schemas.rows.STACKS`, one row each, with the weights of `charging`.

    The CPU that waiting took is one row more, without a stack: it cannot be placed.
    """
    stacks = samples.stacks
    columns: tuple[list[Any], ...] = (
        [sampled_at_us(us) for us in samples.sampled_at_us],
        charged_us(samples.weight_us, stacks, run_queue_us),
        [one.thread_id for one in stacks],
        [one.stack for one in stacks],
        [one.mode for one in stacks],
    )
    if nowhere_us := waiting_us(samples.weight_us, stacks, run_queue_us):
        for values, value in zip(columns, (max(columns[0]), nowhere_us, 0, "", "cpu"), strict=True):
            values.append(value)
    arrays = []
    for field, values in zip(STACKS, columns, strict=True):
        if pa.types.is_dictionary(field.type):
            encoded = pa.array(values, pa.string()).dictionary_encode()
            arrays.append(encoded.cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=STACKS)
