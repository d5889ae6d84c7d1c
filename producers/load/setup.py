"""What every engine is given."""

from collections.abc import Sequence
from dataclasses import dataclass

from producers.clock import Clock
from producers.load.guard import Guard
from producers.load.prepared import PreparedRequest
from producers.load.recorder import Recorder
from producers.load.shards import WHOLE, Shard
from producers.load.trace_context import TraceContext


@dataclass(frozen=True, slots=True)
class Setup:
    """What to send, how, and whom to tell. `context` is None when no trace context is to be sent."""

    requests: Sequence[PreparedRequest]
    recorder: Recorder
    clock: Clock
    guard: Guard
    timeout_s: float
    redirects: int
    max_in_flight: int
    context: TraceContext | None = None
    shard: Shard = WHOLE
