"""What the page's API answers, as typed records; a column is a list with one value a bucket of time.

Times are seconds since the start of the run, so that a link and a saved file mean the same wherever they are read; CPU
is in microseconds unless the name says cores. A null is "not known", never zero.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from views.model import Accounting, Check, Figure, MaybeFigure
from views.runs import State

Trust = Literal["no profile", "partly profiled", "generator-limited", "host-limited", "late", "incomplete"]
"""Why figures of a window are to be taken with care; `incomplete`: closed before every producer's last batch was in."""
Kind = Literal["own", "library", "idle", "unattributed"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunSummary(_Answer):
    """One line of the run list. Unix milliseconds; `tps` is the highest answered rate of a window."""

    id: str
    service: str
    target: str
    started_ms: int
    ended_ms: int | None
    verdict: str | None
    state: State
    seconds: Figure | None
    requests: int
    failed: int
    tps: MaybeFigure
    p99_ms: MaybeFigure
    cores: MaybeFigure


class RunList(_Answer):
    """The newest runs first; `more` when the store holds others."""

    runs: tuple[RunSummary, ...]
    more: bool = False


class Stage(_Answer):
    """A band on the time axis."""

    label: str
    stage: str
    form: str
    from_s: Figure
    to_s: Figure
    from_tps: Figure
    to_tps: Figure
    role: str


class Head(_Answer):
    """A run without its figures. `first_s` to `last_s` is what the store has windows of, null before the first.

    `observed`: its requests came by themselves, so nothing was offered, and its latencies are of whoever told of them.
    `heard_ms` is its end, or when anything was heard of it last.
    """

    id: str
    service: str
    target: str
    engine: str
    started_ms: int
    heard_ms: int
    state: State
    verdict: str | None
    note: str
    window_s: Figure
    first_s: MaybeFigure
    last_s: MaybeFigure
    endpoints: tuple[str, ...]
    stages: tuple[Stage, ...]
    observed: bool = False


class Series(_Answer):
    """What happened in each bucket of `step_s` seconds; rates are per second of the windows that are there.

    A percentile in `p99_bound` (positions) lies among requests that were dropped or not answered: a lower bound.
    `trust` names what is wrong with a bucket, by its position.
    """

    step_s: Figure
    t_s: tuple[Figure, ...]
    offered_tps: tuple[Figure, ...]
    achieved_tps: tuple[Figure, ...]
    bad_tps: tuple[Figure, ...]
    requests: tuple[int, ...]
    watched_requests: tuple[int, ...]
    in_flight: tuple[int, ...]
    p50_ms: tuple[MaybeFigure, ...]
    p95_ms: tuple[MaybeFigure, ...]
    p99_ms: tuple[MaybeFigure, ...]
    p99_bound: tuple[int, ...]
    lag_p99_ms: tuple[Figure, ...]
    cpu_us: tuple[int, ...]
    unattributed_us: tuple[int, ...]
    watched_s: tuple[Figure, ...]
    seconds: tuple[Figure, ...]
    coverage: tuple[Figure, ...]
    samples: tuple[int, ...]
    agent_cpu_us: tuple[int, ...]
    trust: dict[int, tuple[Trust, ...]]


class HotFunction(_Answer):
    """CPU of one function by bucket: by itself, and with what it called."""

    label: str
    function: str
    file: str
    package: str
    kind: Kind
    self_us: tuple[int, ...]
    total_us: tuple[int, ...]


class Hot(_Answer):
    """The functions that took most CPU by themselves; buckets are those of a series of the same range and step."""

    step_s: Figure
    t_s: tuple[Figure, ...]
    functions: tuple[HotFunction, ...]
    others_us: tuple[int, ...]


class Flame(_Answer):
    """CPU of a range as a tree in preorder: node 0 is the root, a parent stands before its children.

    `label[i]` is a place in `labels`; `self_us[i]` is of the node alone, what is below it counts on top. CPU is the
    kernel's, given to stacks by the time that their samples stand for, as in a joined window.
    """

    from_s: Figure
    to_s: Figure
    seconds: Figure
    requests: int
    samples: int
    cpu_us: int
    unattributed_us: int
    labels: tuple[str, ...]
    packages: tuple[str, ...]
    kinds: tuple[Kind, ...]
    parent: tuple[int, ...]
    label: tuple[int, ...]
    self_us: tuple[int, ...]
    self_samples: tuple[int, ...]


class Curve(_Answer):
    """CPU per second over TPS by the fitted growth, with its 95% band."""

    tps: tuple[Figure, ...]
    cores: tuple[Figure, ...]
    low: tuple[Figure, ...]
    high: tuple[Figure, ...]


class FunctionPoints(_Answer):
    """One function against the throughput, a point a window. `used`: positions that the growth rests on."""

    label: str
    t_s: tuple[Figure, ...]
    tps: tuple[Figure, ...]
    cores: tuple[Figure, ...]
    used: tuple[int, ...]
    curve: Curve | None
    sentence: str


class EndpointLatency(_Answer):
    """One endpoint over the range. A percentile named in `censored` is a lower bound."""

    endpoint: str
    completed: int
    failed: int
    unanswered: int
    p50_ms: MaybeFigure
    p90_ms: MaybeFigure
    p95_ms: MaybeFigure
    p99_ms: MaybeFigure
    p999_ms: MaybeFigure
    max_ms: MaybeFigure
    censored: tuple[str, ...]


class Latency(_Answer):
    """Latency over time: `counts[i][bucket]` requests over `edges_ms[i]` and up to `edges_ms[i + 1]`.

    Rows have the same numbers in every answer; the lowest one here is `first_row`.
    """

    endpoint: str
    step_s: Figure
    t_s: tuple[Figure, ...]
    first_row: int
    edges_ms: tuple[Figure, ...]
    counts: tuple[tuple[int, ...], ...]
    p50_ms: tuple[MaybeFigure, ...]
    p90_ms: tuple[MaybeFigure, ...]
    p99_ms: tuple[MaybeFigure, ...]
    p999_ms: tuple[MaybeFigure, ...]
    endpoints: tuple[EndpointLatency, ...]


class RequestRow(_Answer):
    """One request; `t_s` is when it was over."""

    t_s: Figure
    endpoint: str
    stage: str
    latency_ms: Figure
    lag_ms: Figure
    status: int
    error: str | None


class Requests(_Answer):
    """The slowest requests of a cell, the longest first, and how many there are."""

    count: int
    rows: tuple[RequestRow, ...]


class Letter(_Answer):
    """A message that could not be read."""

    topic: str
    partition: int
    offset: int
    received_s: Figure
    bytes: int
    error: str


class Producer(_Answer):
    """One load process or agent, by its last words."""

    role: str
    batches: int
    rows: int
    lost: int
    spooled: int
    died: bool
    clock_correction_ms: Figure
    note: str


class Health(_Answer):
    """How far a run can be relied upon."""

    accounting: Accounting
    checks: tuple[Check, ...]
    producers: tuple[Producer, ...]
    letters: tuple[Letter, ...]
    warnings: tuple[str, ...]
    trust_lines: tuple[tuple[str, str], ...]


class Refusal(_Answer):
    """Why there is no answer, in a sentence."""

    error: str
