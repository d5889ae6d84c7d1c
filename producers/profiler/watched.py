"""One instance under watch: its sampler beside its kernel counters, window by window."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import structlog

from producers.profiler.backends import BackendChoice
from producers.profiler.charging import charged_us, waiting_us
from producers.profiler.context import UNKNOWN, Served
from producers.profiler.counters import Counters, ProcessGoneError, cpu_us_of, own_pid_of, read_counters
from producers.profiler.errors import ProfilerError
from producers.profiler.sampler import Samples
from producers.profiler.targets import Instance
from schemas.precision import sample_weights_us, sampled_at_us
from schemas.rows import STACKS, STACKS_JOINED, StackFacts

_log = structlog.get_logger()
_Row = tuple[int, int, int, str, str, str | None]


@dataclass(frozen=True, slots=True)
class WindowOfOne:
    """What is known of one instance in one window; `looks_us` of its cost is of looks at all threads.

    `pid` is the process as it sees itself, within its own namespace.
    """

    samples: Samples
    facts: StackFacts
    looks_us: int = 0
    pid: int = 0

    def rows(self, served: Served | None = None) -> pa.RecordBatch:
        """Its samples as they travel, with the requests that were served meanwhile, if somebody tells."""
        endpoints: Sequence[str] = ()
        if served is not None:
            threads = [one.thread_id for one in self.samples.stacks]
            endpoints = served.endpoints(self.pid, threads, self.samples.sampled_at_us)
        return rows_of(self.samples, self.facts.run_queue_us, endpoints)


class WatchedInstance:
    """One of some `processes` of a service, from the moment it is found until it is gone. Raises ProcessGoneError,
    ProfilerError at the start.

    What goes wrong with its sampler later is logged once; its windows then have counters and no coverage.
    """

    def __init__(
        self,
        instance: Instance,
        choice: BackendChoice,
        rate_hz: int,
        now_us: Callable[[], int],
        processes: int = 1,
        *,
        stamped: bool = False,
    ) -> None:
        self.instance = instance
        self.gone = False
        self._last = read_counters(instance.pid)
        self._before = self._last
        self._sampler = choice.sampler(instance.pid, rate_hz, now_us, processes, stamped=stamped)
        self._own_pid = own_pid_of(instance.pid)
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
        return WindowOfOne(samples, facts, samples.looks_us, self._own_pid)

    def close(self) -> None:
        """Let go of it."""
        self._sampler.close()


def rows_of(samples: Samples, run_queue_us: int = 0, endpoints: Sequence[str] = ()) -> pa.RecordBatch:
    """Samples as a batch of `schemas.rows.STACKS`, one row each, with the weights of `charging`, then what was seen.

    `endpoints` are those that the samples belong to, UNKNOWN where nobody knows, or none at all.

    The CPU that waiting took is one row more, without a stack: it cannot be placed. Of samples, those of threads that
    stood where they wait say no more than that, and have no row.
    """
    stacks = samples.stacks
    charged = charged_us(samples.weight_us, stacks, run_queue_us)
    rows: list[_Row] = [
        (at_us, us, one.thread_id, one.stack, one.mode, endpoint or None)
        for at_us, us, one, endpoint in zip(
            samples.sampled_at_us, charged, stacks, endpoints or [UNKNOWN] * len(stacks), strict=True
        )
        if one.mode == "cpu"
    ]
    schema = STACKS_JOINED if any(row[-1] for row in rows) else STACKS
    if nowhere_us := waiting_us(samples.weight_us, stacks, run_queue_us):
        rows.append((max(samples.sampled_at_us), nowhere_us, 0, "", "cpu", None))
    seen: list[_Row] = [(one.at_us, one.weight_us, one.thread_id, one.stack, "wall", None) for one in samples.seen]
    rows = [*_as_they_travel(rows), *_as_they_travel(seen)]
    columns = zip(*rows, strict=True) if rows else ((),) * len(STACKS_JOINED)
    arrays = []
    for field, values in zip(schema, columns, strict=False):
        if pa.types.is_dictionary(field.type):
            encoded = pa.array(values, pa.string()).dictionary_encode()
            arrays.append(encoded.cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _as_they_travel(rows: Sequence[_Row]) -> Iterator[_Row]:
    """Rows of one mode, their times and weights as exact as others are to have them."""
    weights_us = sample_weights_us([row[1] for row in rows])
    for (at_us, _, thread_id, stack, mode, endpoint), us in zip(rows, weights_us, strict=True):
        yield sampled_at_us(at_us), us, thread_id, stack, mode, endpoint
