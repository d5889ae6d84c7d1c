"""A long hold in a store: what its minutes tell. Windows are ten seconds long, so that an hour is written at once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from schemas.batches import Batch, BatchHeader, BatchKey
from schemas.events import RunEnded, RunStarted, StageEntered
from schemas.joined import JoinedEndpoint, JoinedFunction, JoinedWindow
from schemas.rows import STACKS, StackFacts
from schemas.sketch import Sketch
from sinks.clickhouse import ClickHouseStore
from sinks.connect import open_client
from sinks.migrate import migrate
from sinks.store import StoredBatch
from tests.support.commands import loadflame
from views.facts import read_run
from views.report import Report, build_report

WINDOW_US = 10_000_000
FIRST = 178_000_002  # a window that is the first of no minute
TPS, WINDOWS = 200, 6 * 90
MIB = 1 << 20


def window_of(random: np.random.Generator, run: str, number: int, *, leaks: bool) -> tuple[JoinedWindow, StoredBatch]:
    """Of a service in which `sweep` gets dearer by half within the run and memory grows by 60 MiB, if it leaks."""
    along = number / WINDOWS if leaks else 0.0
    count = TPS * 10
    sweep_us, rank_us = (round(each * count * random.normal(1, 0.01)) for each in (300 * (1 + 0.5 * along), 500))
    cpu_us = sweep_us + rank_us
    latency = Sketch.of((9_000 * random.lognormal(0, 0.3, 200)).astype(np.int64))
    joined = JoinedWindow(
        run_id=run, window=FIRST + number, window_us=WINDOW_US, batches_covered=1, closed_by="producers",
        scheduled=count, sent=count, dropped=0, in_flight=3, completed=count, failed=0, generator_cpu_us=90_000,
        busiest_generator_us=90_000, dispatch_lag_p99_us=200, instances=1, covered_us=WINDOW_US, samples=400,
        cpu_us=cpu_us, unattributed_us=0, busiest_thread_us=cpu_us, run_queue_us=0, agent_cpu_us=9_000,
        own_cpu_us=99_000, host_cpu_us=0,
        endpoints=(JoinedEndpoint("soak", "search", count, 0, 0, 0, 0, latency),),
        functions=(
            JoinedFunction("shop", "sweep", "shop.py", 150, 150, sweep_us, sweep_us),
            JoinedFunction("shop", "rank", "shop.py", 250, 250, rank_us, rank_us),
        ),
    )  # fmt: skip
    facts = StackFacts(
        service="shop", instance="pid-100", pid=100, backend="austin", cpu_us=cpu_us, busiest_thread_us=cpu_us,
        rss_bytes=round((120 + 60 * along) * MIB), threads=1, covered_us=WINDOW_US, period_us=10_000,
    )  # fmt: skip
    header = BatchHeader(BatchKey("stacks", run, FIRST + number, "agent-1", 0), rows=0, partitions=1, final=True)
    return joined, StoredBatch(Batch(header, facts, pa.RecordBatch.from_pylist([], schema=STACKS)), 0, number)


def write_hold(store: ClickHouseStore, run: str, *, leaks: bool) -> None:
    random = np.random.default_rng(5)
    written = [window_of(random, run, number, leaks=leaks) for number in range(WINDOWS)]
    store.write_batches([batch for _, batch in written])
    store.write_windows([joined for joined, _ in written])
    start_us, end_us = FIRST * WINDOW_US, (FIRST + WINDOWS) * WINDOW_US
    events = [
        RunStarted(
            run_id=run, service="shop", target="http://127.0.0.1:8080", started_at_us=start_us, window_us=WINDOW_US,
            partitions=1, engine="wire", plan={"service": "shop"}, host_cores=4,
        ),
        StageEntered(
            run_id=run, label="soak", stage="soak", form="hold", visit=0, starts_at_us=start_us, ends_at_us=end_us,
            rate_from_tps=TPS, rate_to_tps=TPS,
        ),
        RunEnded(run_id=run, ended_at_us=end_us, reason="finished", producers=1),
    ]  # fmt: skip
    store.write_events(events, [start_us] * len(events))
    store.write_minutes(store.unmade_minutes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hold")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    opened = open_client(f"chdb://{folder}/store")
    migrate(opened)
    store = ClickHouseStore(opened)
    for run, leaks in (("clean", False), ("leaks", True)):
        write_hold(store, run, leaks=leaks)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def leaking(client: Client) -> Report:
    return build_report(client, "leaks")


def test_what_fills_up_and_what_leaks_head_the_findings(leaking: Report) -> None:
    assert [one.kind for one in leaking.findings[:2]] == ["drift", "leak"]
    assert leaking.findings[0].function == "sweep (shop.py)"
    assert leaking.findings[0].summary.startswith("`sweep` (shop.py), in its own code, gets dearer by 3")
    assert "pid-100 grows by 40 [" in leaking.findings[1].summary


def test_windows_know_how_many_cores_their_host_has(client: Client) -> None:
    assert set(read_run(client, "clean").windows.host_cores.tolist()) == {4}


def test_every_measure_stands_in_the_report_with_its_interval(leaking: Report) -> None:
    assert leaking.over_time is not None
    rows = {(one.measure, one.of): one for one in leaking.over_time.drifts}
    assert set(rows) == {
        *((measure, None) for measure in ("cost", "p50", "p99")),
        ("function", "sweep (shop.py)"),
        ("function", "rank (shop.py)"),
        ("rss", "pid-100"),
    }
    sweep, memory = rows["function", "sweep (shop.py)"], rows["rss", "pid-100"]
    assert (sweep.claimed, rows["function", "rank (shop.py)"].claimed, memory.claimed) == (True, False, True)
    assert sweep.last / sweep.first == pytest.approx(1.5 / 1.05, rel=0.05)
    assert memory.per_hour == pytest.approx(40, rel=0.02)
    assert leaking.over_time.hours == pytest.approx(80 / 60, abs=0.05)


def test_a_clean_hold_is_called_steady(client: Client) -> None:
    report = build_report(client, "clean")
    assert [one.kind for one in report.findings if one.kind in ("drift", "leak", "change")] == []
    assert next(one for one in report.findings if one.kind == "steady").summary.startswith("Steady: over 8")


def test_a_run_without_minutes_tells_nothing_of_time(client: Client) -> None:
    store = ClickHouseStore(client)
    random = np.random.default_rng(1)
    joined, batch = window_of(random, "none", 0, leaks=False)
    store.write_batches([batch])
    store.write_windows([joined])
    start_us = FIRST * WINDOW_US
    store.write_events(
        [
            RunStarted(
                run_id="none", service="shop", target="", started_at_us=start_us, window_us=WINDOW_US, partitions=1,
                engine="wire", plan={},
            ),
            StageEntered(
                run_id="none", label="soak", stage="soak", form="hold", visit=0, starts_at_us=start_us,
                ends_at_us=start_us + 3_600_000_000, rate_from_tps=TPS, rate_to_tps=TPS,
            ),
        ],
        [start_us] * 2,
    )  # fmt: skip
    assert build_report(client, "none").over_time is None


@pytest.mark.parametrize(("at_tps", "cores"), [(None, 0.16), (250, 0.2)])
def test_the_service_is_sized_for_the_rate_that_is_asked_for(
    client: Client, at_tps: float | None, cores: float
) -> None:
    size = build_report(client, "clean", at_tps=at_tps).sizing
    assert size is not None
    assert size.tps == (at_tps or TPS)
    assert size.cores == pytest.approx(cores, rel=0.02)
    assert (size.workers, size.workers_needed) == (1, 1)


def test_the_command_takes_the_rate(client: Client, folder: Path) -> None:
    client.close()
    told = loadflame("report", "clean", "--at-tps", "250", data_dir=folder)
    assert "At 250 TPS shop needs 0.20 [0.20, 0.20] cores" in " ".join(told.stdout.split())
