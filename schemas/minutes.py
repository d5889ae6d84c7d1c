"""A minute of one run: its joined windows together, and the CPU of every stack in it.

It is derived, as windows are: the same windows and batches always give the same record. A window belongs to the minute
of the Unix clock in which it begins.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.batches import Batch
from schemas.joined import JoinedEndpoint, JoinedFunction, JoinedWindow
from schemas.rows import StackFacts
from schemas.sketch import Sketch

MINUTE_US = 60_000_000
SUMS = (
    "batches_covered", "window_us", "scheduled", "sent", "dropped", "completed", "failed", "generator_cpu_us",
    "busiest_generator_us", "covered_us", "samples", "cpu_us", "unattributed_us", "busiest_thread_us", "run_queue_us",
    "agent_cpu_us", "own_cpu_us", "host_cpu_us",
)  # fmt: skip
"""Fields of a minute that are sums of the same fields of its windows."""
GREATEST = ("in_flight", "dispatch_lag_p99_us")
"""Those that are the greatest of its windows; `instances` is the least."""


class MinuteKey(NamedTuple):
    """A minute of a run whose windows are `window_us` long; `minute` counts from the Unix epoch."""

    run_id: str
    minute: int
    window_us: int

    @property
    def windows(self) -> tuple[int, int]:
        """The first and the last window that begin in it; none do where the first is greater."""
        start_us = self.minute * MINUTE_US
        return -(-start_us // self.window_us), (start_us + MINUTE_US - 1) // self.window_us


def minute_of(window: int, window_us: int) -> int:
    """The minute in which a window begins."""
    return window * window_us // MINUTE_US


@dataclass(frozen=True, slots=True)
class StackCpu:
    """CPU of one folded stack of a service: the kernel's, given to stacks by the time that their samples stand for."""

    service: str
    stack: str
    samples: int
    cpu_us: int


@dataclass(frozen=True, slots=True)
class JoinedMinute:
    """One minute of one run; see `SUMS` and `GREATEST`, and `JoinedWindow` for what their fields are.

    `late`, `incomplete` (closed by the grace period) and `unwatched` (without a profile) count windows; `watched_us`
    and `watched_requests` are of the windows with a profile.
    """

    run_id: str
    minute: int
    windows: int
    late: int
    incomplete: int
    unwatched: int
    watched_us: int
    watched_requests: int
    batches_covered: int
    window_us: int
    scheduled: int
    sent: int
    dropped: int
    in_flight: int
    completed: int
    failed: int
    generator_cpu_us: int
    busiest_generator_us: int
    dispatch_lag_p99_us: int
    instances: int
    covered_us: int
    samples: int
    cpu_us: int
    unattributed_us: int
    busiest_thread_us: int
    run_queue_us: int
    agent_cpu_us: int
    own_cpu_us: int
    host_cpu_us: int
    endpoints: tuple[JoinedEndpoint, ...]
    functions: tuple[JoinedFunction, ...]
    stacks: tuple[StackCpu, ...]

    @property
    def latency(self) -> Sketch:
        """Latencies of all endpoints together."""
        return Sketch.merged(endpoint.latency for endpoint in self.endpoints)


def join_minute(minute: int, windows: Sequence[JoinedWindow], stacks: Iterable[StackCpu]) -> JoinedMinute:
    """The minute of these windows, one at least; `stacks` may name a stack more than once."""
    watched = [one for one in windows if one.instances]
    return JoinedMinute(
        run_id=windows[0].run_id,
        minute=minute,
        windows=len(windows),
        late=sum(one.closed_by == "late" for one in windows),
        incomplete=sum(one.closed_by == "grace" for one in windows),
        unwatched=len(windows) - len(watched),
        watched_us=sum(one.window_us for one in watched),
        watched_requests=sum(one.completed + one.failed for one in watched),
        instances=min(one.instances for one in windows),
        **{name: sum(getattr(one, name) for one in windows) for name in SUMS},
        **{name: max(getattr(one, name) for one in windows) for name in GREATEST},
        endpoints=_endpoints(endpoint for one in windows for endpoint in one.endpoints),
        functions=_functions(function for one in windows for function in one.functions),
        stacks=_stacks(stacks),
    )


def _endpoints(parts: Iterable[JoinedEndpoint]) -> tuple[JoinedEndpoint, ...]:
    found: dict[tuple[str, str], list[JoinedEndpoint]] = defaultdict(list)
    for part in parts:
        found[part.stage, part.endpoint].append(part)
    names = ("completed", "failed", "unanswered", "bytes_sent", "bytes_received")
    return tuple(
        JoinedEndpoint(
            *key,
            **{name: sum(getattr(part, name) for part in some) for name in names},
            latency=Sketch.merged(part.latency for part in some),
        )
        for key, some in sorted(found.items())
    )


def _functions(parts: Iterable[JoinedFunction]) -> tuple[JoinedFunction, ...]:
    found: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for part in parts:
        sums = found[part.service, part.function, part.file]
        for at, more in enumerate((part.self_samples, part.total_samples, part.self_cpu_us, part.total_cpu_us)):
            sums[at] += more
    return tuple(JoinedFunction(*key, *sums) for key, sums in sorted(found.items()))


def _stacks(parts: Iterable[StackCpu]) -> tuple[StackCpu, ...]:
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for part in parts:
        found[part.service, part.stack][0] += part.samples
        found[part.service, part.stack][1] += part.cpu_us
    return tuple(StackCpu(*key, *sums) for key, sums in sorted(found.items()))


def stack_cpu(batches: Iterable[Batch]) -> list[StackCpu]:
    """CPU by stack of the stack batches of one window, for each batch by itself: parts to be added up."""
    processes: dict[tuple[str, str], list[Batch]] = defaultdict(list)
    for batch in batches:
        facts = cast("StackFacts", batch.facts)
        if facts.instance:
            processes[batch.header.key.producer_id, facts.instance].append(batch)
    found = []
    for some in processes.values():
        service = max(cast("StackFacts", batch.facts).service for batch in some)
        process_us = sum(cast("StackFacts", batch.facts).cpu_us for batch in some)
        weights = [_weights(batch) for batch in some]
        all_us = sum(int(us) for part in weights for _, us in part.values())
        for part in weights:
            for stack, (samples, us) in part.items():
                cpu_us = shared_us(*(np.array([one], np.uint64) for one in (process_us, us, all_us)))
                found.append(StackCpu(service, stack, samples, int(cpu_us[0])))
    return found


def _weights(batch: Batch) -> dict[str, tuple[int, int]]:
    """Samples that were on a CPU, and the time that they stand for, by stack."""
    on_cpu = pc.equal(batch.rows["mode"].cast("string"), "cpu").to_numpy(zero_copy_only=False)
    texts = batch.rows["stack"].dictionary.to_pylist()
    codes = batch.rows["stack"].indices.to_numpy()[on_cpu]
    samples = np.bincount(codes, minlength=len(texts))
    # Sums of floats are exact here: a batch has too few rows to reach 2**53.
    times_us = np.bincount(codes, batch.rows["weight_us"].to_numpy()[on_cpu], minlength=len(texts))
    found: dict[str, tuple[int, int]] = {}
    for code in np.flatnonzero(samples).tolist():
        count, us = found.get(texts[code], (0, 0))  # a text may stand twice in a dictionary
        found[texts[code]] = count + int(samples[code]), us + int(times_us[code])
    return found


def shared_us(
    process_us: NDArray[np.uint64], weight_us: NDArray[np.uint64], all_us: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Of a process's CPU what falls to a stack that has `weight_us` of the `all_us` of its samples, to the nearest us.

    In whole numbers, rounded for each batch, so that any order of adding up gives the same. 0 where samples weigh
    nothing.
    """
    some = np.maximum(all_us, 1)
    found: NDArray[np.uint64] = np.where(all_us > 0, (2 * process_us * weight_us + some) // (2 * some), 0)
    return found.astype(np.uint64)
