"""A joined window: what one window of one run came to, request outcomes beside stack samples.

It is derived: the same batches always give the same record, whoever joins them and in whatever order.
"""

from dataclasses import dataclass
from typing import Literal

from schemas.sketch import Sketch

ClosedBy = Literal["producers", "grace", "late"]


@dataclass(frozen=True, slots=True)
class JoinedEndpoint:
    """One endpoint in one stage: `completed` were answered as asked, `failed` were not; the sketch holds both.

    `unanswered` of the failed got no whole answer: the sketch has how long they were waited for (`schemas.censoring`).
    """

    stage: str
    endpoint: str
    completed: int
    failed: int
    unanswered: int
    bytes_sent: int
    bytes_received: int
    latency: Sketch


@dataclass(frozen=True, slots=True)
class JoinedFunction:
    """One function of one service: samples in which it ran (self) or was on the stack (total), and their CPU time.

    CPU is the kernel's figure for the process, given to functions by their share of its samples.
    """

    service: str
    function: str
    file: str
    self_samples: int
    total_samples: int
    self_cpu_us: int
    total_cpu_us: int


@dataclass(frozen=True, slots=True)
class JoinedWindow:
    """One window of one run.

    `batches_covered` says how much of the truth went in: of two records of one window the greater wins. `closed_by`
    is `producers` (every expected final batch was in), `grace` (time was up) or `late` (rebuilt after a late batch).
    `covered_us` is the mean over instances of the time a sampler was watching; 0 instances means "no profile",
    never zero CPU. `unattributed_us` is CPU that the samples could not place. `generator_cpu_us` is of all load
    processes together, `busiest_generator_us` of the one that took most. `own_cpu_us` is of loadflame's processes on
    the service's host and `host_cpu_us` of everything there (0: not known), with several agents the most of one.
    """

    run_id: str
    window: int
    window_us: int
    batches_covered: int
    closed_by: ClosedBy
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

    @property
    def latency(self) -> Sketch:
        """Latencies of all endpoints together."""
        return Sketch.merged(endpoint.latency for endpoint in self.endpoints)

    @property
    def unanswered(self) -> int:
        """Requests of all endpoints that got no whole answer."""
        return sum(endpoint.unanswered for endpoint in self.endpoints)
