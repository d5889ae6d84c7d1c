"""What Prometheus reads: names by its practice, every figure under its own, nothing made up, nothing left behind."""

import math
import re
from dataclasses import fields, replace

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from loadflame.metrics import OF_PART, Figures, Metric, exposition
from processors.figures import WorkerFigures, WorkerSummary
from processors.records import Place
from producers.load.figures import LAG_BOUNDS_S, LoadFigures
from producers.profiler.figures import AgentFigures
from producers.publisher import Published, PublisherFigures
from schemas.watching import Durations
from views.figures import GatewayFigures, PageFigures

METRICS = [metric for metrics in OF_PART.values() for metric in metrics]
SUMMARY = WorkerSummary(
    records=1, ticks=2, batches=3, rows=4, windows=5, late_windows=6, dead_letters=7, commits=8, store_retries=9,
    rebalances=10,
)  # fmt: skip
SUMMARY.flushes.add(0.02)
SUMMARY.flushes.add(100.0)
WORKER = WorkerFigures(SUMMARY, 11, 12, 13, {Place("t.requests", 2): 14, Place("t.stacks", 2): 15}, {2: 1.5})
LOAD = LoadFigures(21, 22, 23, 24, 25, 26, Durations(LAG_BOUNDS_S))
PUBLISHER = PublisherFigures(Published(31, 32, 33, 34), 35, 36, 0.0, 37)
AGENT = AgentFigures(41, 42, 43, 44, 0.45, 46_000_000)
Key = tuple[str, tuple[tuple[str, str], ...]]


def read(*figures: Figures) -> dict[Key, float]:
    """What a Prometheus makes of it, without what every Python process shows."""
    families = text_string_to_metric_families(exposition(figures).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("loadflame_")
    }


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_follows_the_practice(metric: Metric) -> None:
    assert re.fullmatch(r"loadflame_(worker|publisher|load|agent|page|gateway)(_[a-z]+)+", metric.name)
    assert not re.search(r"_(us|ms|milliseconds|microseconds|kib|percent)(_|$)", metric.name), "base units"
    assert metric.meaning.endswith("."), "a sentence"
    assert set(metric.labels) <= {"topic", "partition"}, "no label may have a value more with every run"


def test_each_name_stands_for_one_thing() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len({metric.meaning for metric in METRICS}) == len(METRICS)


def test_a_worker_in_full() -> None:
    found = read(WORKER)
    plain = {name.removeprefix("loadflame_worker_"): value for (name, labels), value in found.items() if not labels}
    assert plain == {
        "records_total": 1, "ticks_total": 2, "batches_total": 3, "rows_total": 4, "windows_total": 5,
        "late_windows_total": 6, "dead_letters_total": 7, "commits_total": 8, "store_retries_total": 9,
        "rebalances_total": 10, "open_windows": 11, "open_window_bytes": 12, "unflushed_bytes": 13,
        "flush_seconds_count": 2, "flush_seconds_sum": pytest.approx(100.02),
    }  # fmt: skip
    assert found["loadflame_worker_lag_records", (("partition", "2"), ("topic", "t.requests"))] == 14
    assert found["loadflame_worker_lag_records", (("partition", "2"), ("topic", "t.stacks"))] == 15
    assert found["loadflame_worker_watermark_delay_seconds", (("partition", "2"),)] == 1.5
    buckets = {labels[0][1]: count for (name, labels), count in found.items() if name.endswith("_bucket")}
    assert (buckets["0.01"], buckets["0.025"], buckets["60.0"], buckets["+Inf"]) == (0, 1, 1, 2)


def test_producers_in_full() -> None:
    found = {
        name.removeprefix("loadflame_"): value
        for (name, labels), value in read(LOAD, PUBLISHER, AGENT).items()
        if not labels
    }
    assert found == {
        "load_scheduled_requests_total": 21, "load_sent_requests_total": 22, "load_completed_requests_total": 23,
        "load_failed_requests_total": 24, "load_dropped_requests_total": 25, "load_in_flight_requests": 26,
        "load_dispatch_lag_seconds_count": 0, "load_dispatch_lag_seconds_sum": 0,
        "publisher_acknowledged_batches_total": 31, "publisher_acknowledged_rows_total": 32,
        "publisher_lost_batches_total": 33, "publisher_lost_rows_total": 34, "publisher_waiting_messages": 35,
        "publisher_waiting_bytes": 36, "publisher_spooled_bytes": 37,
        "agent_windows_total": 41, "agent_samples_total": 42, "agent_instances": 43,
        "agent_sampling_rate_hertz": 44, "agent_coverage_ratio": 0.45, "agent_cpu_seconds_total": 46,
    }  # fmt: skip


def test_what_serves_people_and_clients_in_full() -> None:
    page, gateway = PageFigures(refused=51, failed=52, open=53), GatewayFigures(refused=61, failed=62, open=63)
    page.answers.add(0.02)
    found = read(page, gateway)
    assert {name.removeprefix("loadflame_"): value for (name, labels), value in found.items() if not labels} == {
        "page_answer_seconds_count": 1, "page_answer_seconds_sum": pytest.approx(0.02),
        "page_refused_questions_total": 51, "page_failed_questions_total": 52, "page_open_questions": 53,
        "gateway_answer_seconds_count": 0, "gateway_answer_seconds_sum": 0,
        "gateway_refused_statements_total": 61, "gateway_failed_statements_total": 62, "gateway_open_statements": 63,
    }  # fmt: skip


def test_what_is_not_known_is_left_out_and_never_0() -> None:
    unknown = read(
        replace(WORKER, lag_records={}, watermark_delay_s={}),
        replace(PUBLISHER, spooled_bytes=None),
        replace(AGENT, coverage=None),
    )
    names = {name for name, _ in unknown}
    for name in ("worker_lag_records", "worker_watermark_delay_seconds", "publisher_spooled_bytes"):
        assert f"loadflame_{name}" not in names
    assert "loadflame_agent_coverage_ratio" not in names


def test_the_process_shows_its_own_memory_and_cpu_under_the_usual_names() -> None:
    text = exposition([]).decode()
    assert "process_resident_memory_bytes" in text
    assert "process_cpu_seconds_total" in text


def test_nothing_is_left_behind_of_it() -> None:
    assert read(WORKER) == read(WORKER)
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("loadflame")]


def test_no_figure_of_a_worker_is_kept_for_nobody() -> None:
    """Each counter that the worker keeps moves exactly one metric."""
    before = read(WORKER)
    for field in fields(WorkerSummary):
        if field.name == "flushes":
            continue
        more = replace(SUMMARY, **{field.name: 1000})
        changed = {
            key for key, value in read(replace(WORKER, done=more)).items() if not math.isclose(before[key], value)
        }
        assert changed == {(f"loadflame_worker_{field.name}_total", ())}
