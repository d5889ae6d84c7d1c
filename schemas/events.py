"""The low-volume events: CloudEvents 1.0 in Kafka's binary mode, JSON data checked by the models below.

Delivered at least once: subscribers drop event ids they have seen. Sources: CloudEvents specification 1.0.2 and its
"Kafka Protocol Binding".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from schemas.batches import Headers
from schemas.errors import DecodeError
from schemas.joined import ClosedBy
from schemas.topics import Kind

MAX_EVENT_BYTES = 256 << 10
Text = Annotated[str, Field(max_length=1024)]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]
Signed = Annotated[int, Field(gt=-(1 << 53), lt=1 << 53)]
Number = Annotated[float, Field(allow_inf_nan=False)]
_REQUIRED = ("ce_id", "ce_source", "ce_type", "ce_specversion")


class EventData(BaseModel):
    """Data of an event. Unknown fields are passed over, so that a newer writer does not break an older reader."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    type: ClassVar[str]
    topic: ClassVar[Kind] = "runs"

    run_id: Text

    def event_id(self) -> str:
        """The id that makes a repeated event known; the same fact always has the same id."""
        return f"{self.run_id}/{self.type}"


class RunStarted(EventData):
    """A run begins: what will be loaded and how it is cut into windows. `plan` is the plan as it was read."""

    type: ClassVar[str] = "loadflame.run.started.v1"
    service: Text
    target: Text
    started_at_us: Count
    window_us: Count
    partitions: Count
    engine: Text
    plan: dict[str, JsonValue]
    host_cores: Count | None = None
    """Cores of the service's host, where whoever opened the run knows them."""
    engine_reason: Text = ""
    """Why this engine, in a few words."""


class StageEntered(EventData):
    """A segment of the plan begins: a whole stage, or one visit of a `levels` stage.

    Arrivals run from `rate_from_tps` to `rate_to_tps` between the two times; requests carry `label` as their stage. A
    segment that ends before its time is announced again, under the same id: the later one holds.
    """

    type: ClassVar[str] = "loadflame.stage.entered.v1"
    label: Text
    stage: Text
    form: Literal["hold", "ramp", "level"]
    visit: Count
    starts_at_us: Count
    ends_at_us: Count
    rate_from_tps: Annotated[Number, Field(ge=0)]
    rate_to_tps: Annotated[Number, Field(ge=0)]
    settle_us: Count = 0
    """How much of its beginning is for things to settle, and left out of findings."""
    role: Literal["measure", "warm-up", "cool-down"] = "measure"
    """No capacity is drawn from the other two."""
    modulate: Annotated[Number, Field(ge=0, le=1)] = 0.0
    """How far the requests' weights are swung in it, as a part of them; 0: the plan's mix."""

    def event_id(self) -> str:
        """One for each label of a run."""
        return f"{super().event_id()}/{self.label}"


class LoadTotals(BaseModel):
    """What a load producer did in a run. `scheduled` = `completed` + `failed` + `dropped` + `in_flight_at_end`."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    scheduled: Count = 0
    sent: Count = 0
    completed: Count = 0
    failed: Count = 0
    dropped: Count = 0
    in_flight_at_end: Count = 0
    target_counted: Count | None = None
    """Requests that the target itself says it got meanwhile; None when it does not count."""


def counted_by_target(counts: Iterable[int | None]) -> int | None:
    """What a target counted in a run, from what it counted for each of its loads: their sum.

    None unless it counted for each: of a load that is shared it counts everybody's requests, so none of those says it.
    """
    known = list(counts)
    total = sum(count for count in known if count is not None)
    return None if not known or None in known else total


class ProducerEnded(EventData):
    """A producer published its last batch: what Kafka acknowledged, and what had to be given up.

    Of the acknowledged, `batches_spooled` were still on the producer's disk as it ended, for Kafka was away: they were
    sent later, and before this event.

    `clock_correction_us` was added to its host's clock, once, to stamp everything by Kafka's; `clock_residual_us` is
    how far Kafka's was ahead of the result at the end, give or take `clock_error_us` (null: Kafka does not tell).
    """

    type: ClassVar[str] = "loadflame.producer.ended.v1"
    producer_id: Text
    role: Literal["load", "profiler"]
    batches_acknowledged: Count
    rows_acknowledged: Count
    batches_lost: Count = 0
    rows_lost: Count = 0
    batches_spooled: Count = 0
    rows_spooled: Count = 0
    clock_correction_us: Signed = 0
    clock_residual_us: Signed | None = None
    clock_error_us: Count | None = None
    totals: LoadTotals | None = None
    note: Text = ""
    died: bool = False
    """It could not say this itself: its totals are what its batches said, with the rest of its share as dropped."""

    def event_id(self) -> str:
        """One for each producer of a run."""
        return f"{super().event_id()}/{self.producer_id}"


class RunEnded(EventData):
    """A run is over: nothing more will be sent to the target, and `producers` of them report their own end."""

    type: ClassVar[str] = "loadflame.run.ended.v1"
    ended_at_us: Count
    reason: Literal["finished", "aborted", "broken", "error"]
    """`broken`: ended early, by a threshold that had not held for its time."""
    producers: Count
    note: Text = ""
    judged: bool = False
    """Whoever says this also checks the run and judges it, once it is stored; otherwise a worker does."""


class HotFunction(BaseModel):
    """One function in a joined window."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    service: Text
    function: Text
    file: Text
    self_cpu_us: Count
    total_cpu_us: Count
    samples: Count


class EndpointOutcome(BaseModel):
    """What came of one endpoint's requests in a joined window, in one stage; milliseconds from the scheduled start."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    stage: Text
    endpoint: Text
    completed: Count
    failed: Count
    p50_ms: Number | None
    p95_ms: Number | None
    p99_ms: Number | None
    p999_ms: Number | None = None
    mean_ms: Number | None = None
    max_ms: Number | None = None
    unanswered: Count = 0
    sent_bytes: Count = 0
    received_bytes: Count = 0


class WindowJoined(EventData):
    """One joined window. `tps` is what ended in it per second; times are milliseconds from the scheduled start.

    `profile_coverage` is the watched part of the window, null when there is no profile (which is not zero CPU).
    `endpoints` and `functions` are those with the most requests and CPU time, when there are many. Latencies are of
    all that ended, the `unanswered` with the time they were waited for: one among these or the `dropped` is a bound.
    Bytes are those of the requests that ended in the window, by direction as the load saw it.
    """

    type: ClassVar[str] = "loadflame.window.joined.v1"
    topic: ClassVar[Kind] = "windows"
    window: Count
    starts_at_us: Count
    window_us: Count
    batches_covered: Count
    closed_by: ClosedBy
    stages: list[Text]
    offered_tps: Number
    tps: Number
    completed: Count
    failed: Count
    dropped: Count
    in_flight: Count
    p50_ms: Number | None
    p95_ms: Number | None
    p99_ms: Number | None
    cpu_us: Count | None
    profile_coverage: Number | None
    functions: list[HotFunction]
    p999_ms: Number | None = None
    mean_ms: Number | None = None
    max_ms: Number | None = None
    unanswered: Count = 0
    sent_bytes: Count = 0
    received_bytes: Count = 0
    endpoints: list[EndpointOutcome] = Field(default_factory=list)

    def event_id(self) -> str:
        """One for each state of a window."""
        return f"{self.run_id}/{self.window}/{self.batches_covered}"


class Found(EventData):
    """What events about one finding share. `finding` names it within its run, whatever becomes of its figures.

    `revision` counts from 1 what was said of it, and `windows` are the joined windows of the run that this rests on.
    """

    topic: ClassVar[Kind] = "findings"
    kind: Text
    summary: Text
    function: Text | None = None
    finding: Text = ""
    revision: Count = 1
    windows: Count = 0

    def event_id(self) -> str:
        """One for each revision of a finding; one that is made again on more windows is another."""
        name = self.finding or f"{self.kind}/{self.function or ''}"
        return f"{super().event_id()}/{name}/{self.revision}/{self.windows}"


class FindingMade(Found):
    """A finding in one plain sentence, with the evidence it rests on. Of several the highest revision holds."""

    type: ClassVar[str] = "loadflame.finding.made.v1"
    evidence: dict[str, JsonValue] = Field(default_factory=dict)


class FindingWithdrawn(Found):
    """What was found does not hold any more, now that more of the run is known: `summary` says what that was."""

    type: ClassVar[str] = "loadflame.finding.withdrawn.v1"


class FindingsSettled(EventData):
    """All of a run is stored, and these are its findings, by their names, the dearest first.

    They rest on so many joined windows, of so many batches. Said again should a batch come later.
    """

    type: ClassVar[str] = "loadflame.findings.settled.v1"
    topic: ClassVar[Kind] = "findings"
    findings: list[Text]
    windows: Count
    batches: Count

    def event_id(self) -> str:
        """One for each state of what is stored."""
        return f"{super().event_id()}/{self.windows}/{self.batches}"


class CheckOutcome(BaseModel):
    """One delivery invariant of a run: whether it holds (null: it could not be checked), and the figures."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: Text
    ok: bool | None
    sentence: Text


class RunChecked(EventData):
    """Whether everything was stored once and the sums close; the verdict rests on it."""

    type: ClassVar[str] = "loadflame.run.checked.v1"
    checks: list[CheckOutcome]


class RunJudged(EventData):
    """The verdict on a run, once everything is stored."""

    type: ClassVar[str] = "loadflame.run.judged.v1"
    verdict: Literal["passed", "failed", "inconclusive", "generator-limited", "host-limited", "aborted"]


EVENTS: tuple[type[EventData], ...] = (
    RunStarted,
    StageEntered,
    ProducerEnded,
    RunEnded,
    RunChecked,
    RunJudged,
    WindowJoined,
    FindingMade,
    FindingWithdrawn,
    FindingsSettled,
)
EVENT_OF_TYPE = {event.type: event for event in EVENTS}


@dataclass(frozen=True, slots=True)
class EventMessage:
    """An event as Kafka takes it; `key` is the run id."""

    headers: Headers
    key: bytes
    value: bytes


def to_message(data: EventData, *, source: str, time_us: int) -> EventMessage:
    """Event data as a Kafka message. `source` is a URI reference that names the writer, `time_us` the Unix time.

    Written by hand, in the library's words: it would read the data once more to write it, for four times the price.
    """
    headers = {
        "ce_id": data.event_id(),
        "ce_type": data.type,
        "ce_source": source,
        "ce_specversion": "1.0",
        "ce_time": f"{datetime.fromtimestamp(time_us / 1e6, UTC).replace(tzinfo=None).isoformat()}Z",
        "ce_subject": data.run_id,
        "content-type": "application/json",
    }
    value = data.model_dump_json().encode()  # JSON has no NaN: null
    return EventMessage([(name, text.encode()) for name, text in headers.items()], data.run_id.encode(), value)


def from_message(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> EventData | None:
    """Read an event; None for a type that this version does not know. Raises DecodeError when it is damaged."""
    if value is None:
        raise DecodeError("an event without data")
    if len(value) > MAX_EVENT_BYTES:
        raise DecodeError(f"an event of {len(value)} bytes, more than {MAX_EVENT_BYTES}")
    attributes = {name: text for name, text in headers if text is not None}
    for name in _REQUIRED:
        if name not in attributes:
            raise DecodeError(f"header {name} is missing")
    try:
        event = from_binary(KafkaMessage(attributes, None, value), JSONFormat(), CloudEvent)
        model = EVENT_OF_TYPE.get(event.get_type())
        if model and not _is_json(event.get_datacontenttype()):
            raise DecodeError(f"an event whose data is {event.get_datacontenttype()!r:.80}, not JSON")
        # From the bytes: Python's own JSON reader lets through text that nobody can write down again.
        return model.model_validate_json(value) if model else None
    except ValidationError as error:
        first = error.errors()[0]
        raise DecodeError(f"event field {'.'.join(map(str, first['loc']))[:200]}: {first['msg']}") from error
    except (CloudEventValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DecodeError(f"no CloudEvent that can be read: {str(error)[:200]}") from error


def _is_json(content_type: str | None) -> bool:
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")
