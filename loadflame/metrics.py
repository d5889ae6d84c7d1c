"""Every metric that a loadflame process shows at `/metrics`, by name, with what it means.

Names follow Prometheus' practice: base units (seconds, bytes, ratios), `_total` for what only grows. Labels are topic
and partition and nothing else: a run id would be one more series for ever with every run; it stands in the logs.
Everything is read when it is asked for, from the counts that each part keeps for itself: nothing here is paid for by
a request or a record. What is not known is left out, never 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from processors.figures import WorkerFigures
from producers.load.figures import LoadFigures
from producers.profiler.figures import AgentFigures
from producers.publisher.figures import PublisherFigures
from schemas.watching import Durations
from views.figures import GatewayFigures, PageFigures

Value = float | None | Durations | Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A name, what it means, and how it is read from the figures of its part; `labels` name the keys of a mapping."""

    name: str
    meaning: str
    read: Callable[[Any], Value]
    labels: tuple[str, ...] = ()


# The stream processor. Lag and watermark delay say whether it keeps up, the flush time whether the store does.
WORKER: Final = (
    Metric("loadflame_worker_records_total", "Messages taken in, ticks included.", lambda it: it.done.records),
    Metric("loadflame_worker_batches_total", "Batches stored, repeated ones too.", lambda it: it.done.batches),
    Metric("loadflame_worker_rows_total", "Outcomes and samples stored, repeated ones too.", lambda it: it.done.rows),
    Metric("loadflame_worker_windows_total", "Windows closed, joined and announced.", lambda it: it.done.windows),
    Metric(
        "loadflame_worker_late_windows_total",
        "Windows joined again because a batch came after they had closed.",
        lambda it: it.done.late_windows,
    ),
    Metric(
        "loadflame_worker_dead_letters_total",
        "Messages that could not be read; see `loadflame dead-letters list`.",
        lambda it: it.done.dead_letters,
    ),
    Metric(
        "loadflame_worker_ticks_total",
        "Empty batches appended to hear the broker's clock while windows were open and nothing came.",
        lambda it: it.done.ticks,
    ),
    Metric("loadflame_worker_commits_total", "Commits that Kafka took.", lambda it: it.done.commits),
    Metric(
        "loadflame_worker_rebalances_total", "Times that partitions were taken away.", lambda it: it.done.rebalances
    ),
    Metric(
        "loadflame_worker_store_retries_total",
        "Flushes done again because the store was away or busy.",
        lambda it: it.done.store_retries,
    ),
    Metric(
        "loadflame_worker_flush_seconds",
        "From taking what waits until it is stored, announced and acknowledged.",
        lambda it: it.done.flushes,
    ),
    Metric("loadflame_worker_open_windows", "Windows that are not over.", lambda it: it.open_windows),
    Metric("loadflame_worker_open_window_bytes", "Rows of open windows, in memory.", lambda it: it.open_bytes),
    Metric(
        "loadflame_worker_unflushed_bytes",
        "What waits to be stored; beyond its budget the worker stops reading.",
        lambda it: it.unflushed_bytes,
    ),
    Metric(
        "loadflame_worker_lag_records",
        "Messages in Kafka that were not taken in yet. Absent while Kafka does not say where its partitions end.",
        lambda it: {(place.topic, str(place.partition)): lag for place, lag in it.lag_records.items()},
        labels=("topic", "partition"),
    ),
    Metric(
        "loadflame_worker_watermark_delay_seconds",
        "How far the broker clock that closes windows is behind ours. Absent for partitions without open windows.",
        lambda it: {(str(partition),): delay_s for partition, delay_s in it.watermark_delay_s.items()},
        labels=("partition",),
    ),
)

# What every producer (load or agent) hands to Kafka. Whatever is lost is also declared at the end of its run.
PUBLISHER: Final = (
    Metric("loadflame_publisher_waiting_messages", "Messages that wait for Kafka.", lambda it: it.waiting_messages),
    Metric("loadflame_publisher_waiting_bytes", "What waits for Kafka, in memory.", lambda it: it.waiting_bytes),
    Metric("loadflame_publisher_spooled_bytes", "What waits for Kafka, on the disk.", lambda it: it.spooled_bytes),
    Metric(
        "loadflame_publisher_acknowledged_batches_total",
        "Batches that Kafka acknowledged.",
        lambda it: it.published.batches_acknowledged,
    ),
    Metric(
        "loadflame_publisher_acknowledged_rows_total",
        "Outcomes or samples that Kafka acknowledged.",
        lambda it: it.published.rows_acknowledged,
    ),
    Metric(
        "loadflame_publisher_lost_batches_total",
        "Batches given up: refused by Kafka, or more than may wait.",
        lambda it: it.published.batches_lost,
    ),
    Metric("loadflame_publisher_lost_rows_total", "Outcomes or samples given up.", lambda it: it.published.rows_lost),
)

# A load: scheduled = completed + failed + dropped + in flight, at every moment.
LOAD: Final = (
    Metric("loadflame_load_scheduled_requests_total", "Arrivals that fell due.", lambda it: it.scheduled),
    Metric("loadflame_load_sent_requests_total", "Requests written, followed redirects too.", lambda it: it.sent),
    Metric("loadflame_load_completed_requests_total", "Requests that ended well.", lambda it: it.completed),
    Metric("loadflame_load_failed_requests_total", "Requests that ended in an error.", lambda it: it.failed),
    Metric(
        "loadflame_load_dropped_requests_total",
        "Arrivals that met the cap on requests in flight.",
        lambda it: it.dropped,
    ),
    Metric("loadflame_load_in_flight_requests", "Requests under way.", lambda it: it.in_flight),
    Metric(
        "loadflame_load_dispatch_lag_seconds",
        "From the moment a request was due until the generator turned to it: its own lateness, not the target's.",
        lambda it: it.dispatch_lags,
    ),
)

# An agent beside a service.
AGENT: Final = (
    Metric("loadflame_agent_windows_total", "Windows published.", lambda it: it.windows),
    Metric("loadflame_agent_samples_total", "Stack samples published.", lambda it: it.samples),
    Metric("loadflame_agent_instances", "Processes of the service that are watched.", lambda it: it.instances),
    Metric("loadflame_agent_sampling_rate_hertz", "Samples per second that the agent affords.", lambda it: it.rate_hz),
    Metric(
        "loadflame_agent_coverage_ratio",
        "Part of the last window in which the samplers were watching.",
        lambda it: it.coverage,
    ),
    Metric(
        "loadflame_agent_cpu_seconds_total",
        "CPU time that watching has cost, agent and samplers together.",
        lambda it: it.cpu_us / 1e6,
    ),
)

# `serve`: the page for people, the gateway for ClickHouse's clients. How long they wait is what they ask about first.
PAGE: Final = (
    Metric("loadflame_page_answer_seconds", "From a question of the page to its answer.", lambda it: it.answers),
    Metric(
        "loadflame_page_refused_questions_total",
        "Questions of the page that nobody can answer: no such run, no such range.",
        lambda it: it.refused,
    ),
    Metric(
        "loadflame_page_failed_questions_total", "Questions of the page that the store left open.", lambda it: it.failed
    ),
    Metric("loadflame_page_open_questions", "Questions of the page that are being answered.", lambda it: it.open),
)
GATEWAY: Final = (
    Metric(
        "loadflame_gateway_answer_seconds",
        "From a statement of a ClickHouse client until it has all of its answer.",
        lambda it: it.answers,
    ),
    Metric(
        "loadflame_gateway_refused_statements_total",
        "Statements that are wrong, not allowed, or too much.",
        lambda it: it.refused,
    ),
    Metric(
        "loadflame_gateway_failed_statements_total", "Statements for which no store could be had.", lambda it: it.failed
    ),
    Metric("loadflame_gateway_open_statements", "Statements whose answers are on their way.", lambda it: it.open),
)

OF_PART: Final[Mapping[type, Sequence[Metric]]] = {
    WorkerFigures: WORKER,
    PublisherFigures: PUBLISHER,
    LoadFigures: LOAD,
    AgentFigures: AGENT,
    PageFigures: PAGE,
    GatewayFigures: GATEWAY,
}
Figures = WorkerFigures | PublisherFigures | LoadFigures | AgentFigures | PageFigures | GatewayFigures


def exposition(figures: Iterable[Figures]) -> bytes:
    """The text that Prometheus reads: these figures, and the process's own (memory, CPU, files) under standard names.

    Each call has a registry of its own, so nothing is left behind of it.
    """
    families = [_family(metric, value) for one in figures for metric, value in _values(one) if value is not None]
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Families(families))
    return generate_latest(registry)


class _Families:
    """A collector of what was collected already."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _values(figures: Figures) -> Iterable[tuple[Metric, Value]]:
    return ((metric, metric.read(figures)) for metric in OF_PART[type(figures)])


def _family(metric: Metric, value: Value) -> Family:
    if isinstance(value, Durations):
        buckets = [("+Inf" if bound == inf else repr(bound), count) for bound, count in value.cumulated()]
        return HistogramMetricFamily(metric.name, metric.meaning, buckets=buckets, sum_value=value.sum_s)
    kind = CounterMetricFamily if metric.name.endswith("_total") else GaugeMetricFamily
    if not isinstance(value, Mapping):
        return kind(metric.name, metric.meaning, value=value)
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, one in value.items():
        family.add_metric(labels, one)
    return family
