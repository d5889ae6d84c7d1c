"""What can be counted of a worker: plain figures, which whoever watches it turns into metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from processors.records import Place
from schemas.watching import Durations

_FLUSH_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(slots=True)
class WorkerSummary:
    """What a worker did in its life. `flushes` are the times from taking a flush until all of it was acknowledged,
    however often the store was away meanwhile.
    """

    records: int = 0
    ticks: int = 0
    batches: int = 0
    rows: int = 0
    windows: int = 0
    late_windows: int = 0
    dead_letters: int = 0
    commits: int = 0
    store_retries: int = 0
    rebalances: int = 0
    flushes: Durations = field(default_factory=lambda: Durations(_FLUSH_BOUNDS_S))


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """A worker at one moment. `lag_records` is empty while Kafka does not say where its partitions end: a lag that is
    not known is no lag of 0. `watermark_delay_s` is there for partitions with open windows: without any, nothing
    waits for a watermark, and it may stand still.
    """

    done: WorkerSummary
    open_windows: int
    open_bytes: int
    unflushed_bytes: int
    lag_records: Mapping[Place, int]
    watermark_delay_s: Mapping[int, float]
