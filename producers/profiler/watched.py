"""One instance under watch: its sampler beside its kernel counters, window by window."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from producers.profiler.backends import BackendChoice
from producers.profiler.counters import Counters, ProcessGoneError, read_counters
from producers.profiler.sampler import Samples
from producers.profiler.targets import Instance
from schemas.rows import STACKS, StackFacts

_NOTHING = Counters(0, 0, 0, {})


@dataclass(frozen=True, slots=True)
class WindowOfOne:
    """What is known of one instance in one window."""

    rows: pa.RecordBatch
    facts: StackFacts


class WatchedInstance:
    """An instance from the moment it is found until it is gone. Raises ProcessGoneError, ProfilerError at the start."""

    def __init__(self, instance: Instance, choice: BackendChoice, now_us: Callable[[], int]) -> None:
        self.instance = instance
        self.gone = False
        self._sampler = choice.sampler(instance.pid, now_us)
        self._last = read_counters(instance.pid)
        self._before = self._last
        self._agent_cpu_us = 0
        self._sampler.start()

    def ready(self) -> bool:
        """Whether its sampler has attached. Raises ProfilerError when it cannot."""
        return self._sampler.watching()

    def boundary(self, window_end_us: int) -> None:
        """A window ends: read the counters at once, and let the sampler change over."""
        self._before = self._last
        try:
            self._last = read_counters(self.instance.pid)
        except ProcessGoneError:
            self.gone = True
            self._sampler.stop()
        else:
            self._sampler.boundary(window_end_us)

    def window(self, service: str, start_us: int, end_us: int) -> WindowOfOne:
        """The window between the last two boundaries."""
        samples = self._sampler.take(start_us, end_us)
        before, after = self._before, self._last
        cost_us = self._sampler.cpu_us()
        spent_us, self._agent_cpu_us = max(0, cost_us - self._agent_cpu_us), max(cost_us, self._agent_cpu_us)
        facts = StackFacts(
            service=service,
            instance=self.instance.name,
            pid=self.instance.pid,
            backend=self._sampler.backend,
            timing=self._sampler.timing,
            cpu_us=max(0, after.cpu_us - before.cpu_us),
            busiest_thread_us=max(0, after.busiest_thread_us(before)),
            run_queue_us=max(0, after.run_queue_us - before.run_queue_us),
            rss_bytes=after.rss_bytes,
            threads=len(after.threads_us),
            covered_us=samples.covered_us,
            period_us=self._sampler.period_us,
            agent_cpu_us=spent_us,
        )
        return WindowOfOne(_rows(samples), facts)

    def close(self) -> None:
        """Let go of it."""
        self._sampler.close()


def _rows(samples: Samples) -> pa.RecordBatch:
    columns = (samples.sampled_at_us, samples.weight_us, samples.thread_id, samples.stack, samples.mode)
    arrays = []
    for field, values in zip(STACKS, columns, strict=True):
        if pa.types.is_dictionary(field.type):
            encoded = pa.array(values, pa.string()).dictionary_encode()
            arrays.append(encoded.cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=STACKS)
