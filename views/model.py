"""The report as data: its JSON is a contract (names and nesting stay; fields may be added)."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer

from analysis.costs.growth import Shape
from analysis.judging.verdict import Verdict


def _rounded(value: float | None) -> float | None:
    """Six significant digits: more would be noise, and make reports hard to compare by eye."""
    return None if value is None else float(f"{value:.6g}")


Figure = Annotated[float, PlainSerializer(_rounded, return_type=float, when_used="json")]
MaybeFigure = Annotated[float | None, PlainSerializer(_rounded, return_type=float | None, when_used="json")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Run(_Part):
    """What was run, and the verdict; `why` says in a sentence what the verdict rests on."""

    id: str
    service: str
    started_at: datetime
    ended_at: datetime | None
    verdict: Verdict
    why: str = ""
    target: str = ""
    observed: bool = False
    """Whether its requests came by themselves: nobody sent them, so nothing was offered, and times are who told's."""


class Threshold(_Part):
    """One threshold; `value` is in ms, a share, or requests/s, and a lower bound if `censored`."""

    text: str
    value: MaybeFigure
    censored: bool
    held: bool | None


class ErrorRow(_Part):
    """Requests of one endpoint that failed in one way; the names are those of `producers.load.outcomes`."""

    endpoint: str
    error: str
    requests: int


class Accounting(_Part):
    """Where every arrival went. `stored` are rows in the store; `late` windows were joined again after a late batch.

    `windows` are the joined windows during the load; `target_counted` is what the target itself says it was asked.
    """

    scheduled: int
    sent: int
    completed: int
    failed: int
    dropped: int
    stored: int
    late: int
    dead_letters: int
    windows: int
    windows_without_profile: int
    in_flight_at_end: int = 0
    lost: int = 0
    target_counted: int | None = None


class LoadRow(_Part):
    """One stage, or all visits of one rate of a `levels` stage. Times count from the scheduled start.

    A percentile named in `censored` lies among requests that were dropped, timed out or still under way: it is a lower
    bound. `achieved_tps` counts requests that were answered as asked; `held` says whether the thresholds held here,
    null where that is not judged: along a ramp, and where `limited` says that the generator or the host was the limit.
    No capacity is drawn from stages whose `role` is another than `measure`.
    """

    stage: str
    offered_tps: Figure
    achieved_tps: Figure
    p50_ms: MaybeFigure
    p95_ms: MaybeFigure
    p99_ms: MaybeFigure
    p999_ms: MaybeFigure
    error_rate: Figure
    bytes_per_s: Figure
    sent_bytes_per_s: Figure = 0.0
    received_bytes_per_s: Figure = 0.0
    censored: tuple[str, ...] = ()
    form: str = "hold"
    visits: int = 1
    seconds: Figure = 0.0
    dropped: int = 0
    held: bool | None = None
    limited: bool = False
    role: str = "measure"


class Generator(_Part):
    """The load's own side. `cpu_share` is of one core; `reason` says why this engine."""

    engine: str
    send_lag_p99_ms: MaybeFigure
    cpu_share: Figure
    limited: bool
    reason: str = ""


class Instance(_Part):
    """One process of the service as the profiler saw it. `cpu_share` is of the CPU of all instances."""

    instance: str
    pid: int
    backend: str
    timing: str
    threads: int
    cpu_share: Figure
    rss_bytes: int


class Profile(_Part):
    """How far the profile can be trusted. Shares: `coverage` of the load's time, `agent_cpu_share` of one core.

    `unattributed_share` is the part of the service's CPU that no sample could place.
    """

    coverage: Figure
    agent_cpu_share: Figure
    service_cpu_cores: Figure
    unattributed_share: Figure = 0.0
    samples: int = 0
    instances: tuple[Instance, ...] = ()


class EndpointCost(_Part):
    """What a request of an endpoint makes a function cost, and the endpoint's share of its CPU; 95% intervals.

    Microseconds with what the function calls, on the mean of the rates. `unknown_share` is the part of the function's
    CPU of which no request is known, where it was seen whose request each sample was; null: told from the mix.
    """

    endpoint: str
    us_per_request: Figure
    us_low: Figure
    us_high: Figure
    share: Figure
    share_low: Figure
    share_high: Figure
    unknown_share: MaybeFigure = None


class Function(_Part):
    """One function; shares are of the service's CPU, `us_low` to `us_high` the interval of `total_us_per_request`.

    `growth` is its own: what it inherits from a function that it calls is folded under `inherits_from`; a function
    with `part_of` belongs to a growing one. `endpoints` are those whose part in it was seen, or is told by the mix.
    """

    function: str
    file: str
    self_share: Figure
    total_share: Figure
    self_us_per_request: Figure
    total_us_per_request: Figure
    us_low: MaybeFigure
    us_high: MaybeFigure
    samples: int
    growth: MaybeFigure
    growth_low: MaybeFigure
    growth_high: MaybeFigure
    shape: Shape
    us_at_lowest: MaybeFigure = None
    us_at_highest: MaybeFigure = None
    inherits_from: str | None = None
    part_of: str | None = None
    endpoints: tuple[EndpointCost, ...] = ()


class FindingRow(_Part):
    """One finding in a plain sentence."""

    kind: str
    summary: str
    function: str | None
    evidence: dict[str, JsonValue]


class WhatIf(_Part):
    """The limit if one function were changed."""

    function: str
    change: str
    tps: Figure
    tps_low: MaybeFigure
    tps_high: MaybeFigure


class Capacity(_Part):
    """Requests per second: seen within the thresholds, and where the CPU time runs out (null when unknown)."""

    max_tps_within_thresholds: MaybeFigure
    predicted_tps: MaybeFigure
    predicted_low: MaybeFigure
    predicted_high: MaybeFigure
    limited_by: str | None
    what_if: tuple[WhatIf, ...] = ()


class Growth(_Part):
    """What the growth figures rest on: `levels`, `ramp`, `steady` or `unfit`, and the blocks that were used."""

    design: str
    lowest_tps: MaybeFigure
    highest_tps: MaybeFigure
    blocks: int
    left_out: tuple[str, ...] = ()


class Drift(_Part):
    """How one measure of a stretch of equal rate ran with time: `cost`, `function`, `p50`, `p99` (us) or `rss` (MiB).

    `per_hour` is a share of `first` (of `rss` MiB), with its 95% interval; `claimed` when it is a finding. `of` names a
    function or a process.
    """

    measure: str
    of: str | None
    first: Figure
    last: Figure
    per_hour: MaybeFigure
    per_hour_low: MaybeFigure
    per_hour_high: MaybeFigure
    claimed: bool


class OverTime(_Part):
    """The longest stretch of one rate, once it was warm."""

    tps: Figure
    hours: Figure
    units: int
    unit_s: Figure
    drifts: tuple[Drift, ...]


class Sizing(_Part):
    """Cores that `tps` needs; of `workers` so many are needed to be `busy_target` busy at most."""

    tps: Figure
    cores: Figure
    cores_low: MaybeFigure
    cores_high: MaybeFigure
    workers: int | None
    workers_needed: int | None
    busy_target: Figure


class Check(_Part):
    """A delivery invariant, checked when the run was over: whether it holds (null: not checked), and the figures."""

    name: str
    ok: bool | None
    sentence: str


class Report(_Part):
    """Everything that is known of a run."""

    run: Run
    accounting: Accounting
    load: tuple[LoadRow, ...]
    generator: Generator
    profile: Profile
    functions: tuple[Function, ...]
    findings: tuple[FindingRow, ...]
    capacity: Capacity
    thresholds: tuple[Threshold, ...] = ()
    errors: tuple[ErrorRow, ...] = ()
    growth: Growth = Field(default=Growth(design="unfit", lowest_tps=None, highest_tps=None, blocks=0))
    endpoints_note: str = ""
    """How far costs by endpoint were seen, or why they are not given to endpoints, or not to all, with the remedy."""
    warnings: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    over_time: OverTime | None = None
    sizing: Sizing | None = None

    @property
    def is_broken(self) -> bool:
        """Whether a delivery invariant does not hold: then no figure of it may be relied upon."""
        return any(check.ok is False for check in self.checks)
