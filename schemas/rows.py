"""Arrow schemas of the two bulk topics and the facts that travel with each batch."""

from typing import Annotated

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

_text16 = pa.dictionary(pa.int16(), pa.string())

REQUESTS: pa.Schema = pa.schema(
    [
        pa.field("scheduled_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("dispatch_lag_us", pa.uint32(), nullable=False),
        pa.field("write_lag_us", pa.uint32(), nullable=False),
        pa.field("latency_us", pa.uint32(), nullable=False),
        pa.field("status", pa.uint16(), nullable=False),
        pa.field("error", _text16),
        pa.field("endpoint", _text16, nullable=False),
        pa.field("bytes_sent", pa.uint64(), nullable=False),
        pa.field("bytes_received", pa.uint64(), nullable=False),
        pa.field("stage", _text16, nullable=False),
    ]
)
"""One row per request that ended, in the window in which it ended.

All three times count from the *scheduled* start, so coordinated omission cannot hide: `dispatch_lag_us` until the
generator turned to it, `write_lag_us` until its bytes were handed to the socket, `latency_us` until it ended. They are
rounded where the row is made (see `schemas.precision`), latencies within 0.5% and lags within 8%, so that a row may
seem to have ended a little beside its window. Exact times are read as well, and take more room. A latency of
`schemas.precision.UNKNOWN_US` is not known: the row says that a request ended, not how long it took, and
`scheduled_at` is when it ended.
`status` is 0 when no answer came; `error` is null when nothing went wrong; `stage` is the label of a plan's segment.
"""

STACKS: pa.Schema = pa.schema(
    [
        pa.field("sampled_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("weight_us", pa.uint32(), nullable=False),
        pa.field("thread_id", pa.uint64(), nullable=False),
        pa.field("stack", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("mode", pa.dictionary(pa.int8(), pa.string()), nullable=False),
    ]
)
"""One row per stack sample; `weight_us` is the time it stands for, `mode` is `cpu` or `wall`. `sampled_at` is a whole
millisecond. A weight of a millisecond or more is a number of steps of 50 us, and what rounding leaves of it goes on to
the next row of its mode: sums hold, single weights are off by less than a step (`schemas.precision`).

`stack` is folded, root first, frames `function (file.py)` joined by `;` (see `schemas.stacks`).

Rows of mode `cpu` are what CPU is charged by. Rows of mode `wall` are looks at all threads of a process at the same
moment, some times a second: one for each stack in which any stood, with the time since the look before for every thread
in it and the id of one of them. Of a thread that waited the last frame is `(waiting)`. No CPU is charged by them.
"""

ENDPOINT: pa.Field = pa.field("endpoint", _text16)
STACKS_JOINED: pa.Schema = STACKS.append(ENDPOINT)
"""The same, where the service tells which request its threads served: the endpoint of the one that this sample's thread
served at its time; null where nobody knows, and of looks. Batches in which it is known of no sample lack the column.
"""


# What a store holds in 64 bits, sums over many batches included.
_Count = Annotated[int, Field(ge=0, lt=1 << 53)]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RequestFacts(_Facts):
    """What the load generator did in a window; the sums over the batches of one window and producer are the facts.

    `scheduled` arrivals fell due, `sent` were handed to a socket, `dropped` met the in-flight cap, and `in_flight`
    were under way as the window ended. `generator_cpu_us` is the CPU time that the generator itself took.
    """

    engine: str = Field(default="", max_length=64)
    scheduled: _Count = 0
    sent: _Count = 0
    dropped: _Count = 0
    in_flight: _Count = 0
    generator_cpu_us: _Count = 0


class StackFacts(_Facts):
    """What the profiler knows of one process of the service in a window.

    `cpu_us` is the kernel's figure for the whole process and `busiest_thread_us` that of its busiest thread;
    `run_queue_us` is the time its threads waited for a core; `covered_us` is the part of the window in which the
    sampler was watching, `period_us` its sampling period, `agent_cpu_us` what watching cost. `timing` is `exact`
    when each sample carries its own time and `window` when it is only known to lie in the window. `own_cpu_us` is of
    all of the run's processes on the agent's host, agent and samplers among them, `host_cpu_us` of everything there;
    one batch of a window tells these two.
    """

    service: str = Field(default="", max_length=256)
    instance: str = Field(default="", max_length=256)
    pid: _Count = 0
    backend: str = Field(default="", max_length=64)
    timing: str = Field(default="exact", pattern="^(exact|window)$")
    cpu_us: _Count = 0
    busiest_thread_us: _Count = 0
    run_queue_us: _Count = 0
    rss_bytes: _Count = 0
    threads: _Count = 0
    covered_us: _Count = 0
    period_us: _Count = 0
    agent_cpu_us: _Count = 0
    own_cpu_us: _Count = 0
    host_cpu_us: _Count = 0


type_of_facts: dict[str, type[RequestFacts] | type[StackFacts]] = {
    "requests": RequestFacts,
    "stacks": StackFacts,
}
schema_of: dict[str, pa.Schema] = {"requests": REQUESTS, "stacks": STACKS}
"""The columns that are always there."""
optional_of: dict[str, tuple[pa.Field, ...]] = {"requests": (), "stacks": (ENDPOINT,)}
"""Those that may stand behind them, in this order."""


def known_columns(topic: str, schema: pa.Schema) -> int | None:
    """How many columns of a batch this version knows: what a newer writer has put behind them is passed over.

    None when it lacks one, or has one of another type.
    """
    base = schema_of[topic]
    known = len(base)
    if not pa.schema(list(schema)[:known]).equals(base, check_metadata=False):
        return None
    for field, mine in zip(list(schema)[known:], optional_of[topic], strict=False):
        if field.name != mine.name:
            break
        if not field.equals(mine):
            return None
        known += 1
    return known
